from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bkgpipe.settings import Settings, read_settings


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The smallest settings file: everything else has a default."""
    (tmp_path / "store").mkdir()
    path = tmp_path / "luigi.cfg"
    path.write_text(
        "[data]\nstore = store\noutput = out\n[mask]\ncatalogs =\n", encoding="utf-8"
    )
    return path


@pytest.fixture
def make_settings(config: Path) -> Callable[..., Settings]:
    def make(*overrides: str) -> Settings:
        return read_settings(config, overrides)

    return make
