from __future__ import annotations

from pathlib import Path

import pytest

from bkgpipe.errors import InputError
from bkgpipe.product.json_file import read_json


def _read(path: Path) -> int:
    return read_json(path, lambda found: found["n"] + 1, holds="number", fix="Count")


def test_a_record_is_made_of_what_the_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "n.json"
    path.write_text('{"n": 4}')
    assert _read(path) == 5


@pytest.mark.parametrize("text", [None, "", "[", "[]", "{}", '{"n": "four"}'])
def test_anything_else_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "n.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=r"n\.json: the file holds no number .*Count"):
        _read(path)
