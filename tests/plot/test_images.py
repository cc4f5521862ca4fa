from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from bkgpipe.errors import OutputError
from bkgpipe.plot.images import save_figure


@pytest.fixture
def figure() -> Figure:
    figure = Figure(figsize=(1.0, 1.0))
    figure.subplots().plot([1, 2])
    return figure


@pytest.mark.parametrize(
    ("image_format", "start"),
    [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")],
)
def test_figure_is_written_whatever_the_name(
    figure: Figure, tmp_path: Path, image_format: str, start: bytes
):
    path = tmp_path / "rate.png-tmp-123"
    save_figure(figure, path, image_format=image_format)
    assert path.read_bytes().startswith(start)


def test_unknown_format_names_the_known(figure: Figure, tmp_path: Path):
    path = tmp_path / "rate.gif2"
    with pytest.raises(OutputError, match=r"rate\.gif2: .*Use one of .*pdf.*png"):
        save_figure(figure, path, image_format="gif2")
    assert not path.exists()


def test_missing_folder_is_told(figure: Figure, tmp_path: Path):
    with pytest.raises(OutputError, match=r"none/rate\.png: .*existing folder"):
        save_figure(figure, tmp_path / "none" / "rate.png")
