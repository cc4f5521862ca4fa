from __future__ import annotations

import json
from pathlib import Path

import pytest

from bkgpipe.errors import OutputError
from bkgpipe.simulate.archive.record import (
    RECORD_FILE,
    file_digest,
    recipe_digest,
    require_same_recipe,
    write_recipe,
)

_RECIPE = {"seed": 3, "truth": {"norm": 280.0}}


def test_an_empty_folder_holds_no_store(tmp_path: Path) -> None:
    assert not require_same_recipe(tmp_path, _RECIPE)
    assert not require_same_recipe(tmp_path / "absent", _RECIPE)


def test_the_same_recipe_goes_on(tmp_path: Path) -> None:
    write_recipe(tmp_path / RECORD_FILE, _RECIPE)
    assert require_same_recipe(tmp_path, dict(reversed(_RECIPE.items())))
    record = json.loads((tmp_path / RECORD_FILE).read_text())
    assert record["digest"] == recipe_digest(_RECIPE)
    assert record["recipe"] == _RECIPE


def test_another_recipe_is_refused(tmp_path: Path) -> None:
    write_recipe(tmp_path / RECORD_FILE, _RECIPE)
    with pytest.raises(OutputError, match=r"other settings.*Name another folder"):
        require_same_recipe(tmp_path, _RECIPE | {"seed": 4})


@pytest.mark.parametrize("text", ["no json", "{}", "[1]"])
def test_a_record_that_says_nothing_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD_FILE).write_text(text)
    with pytest.raises(OutputError, match="holds a data store already"):
        require_same_recipe(tmp_path, _RECIPE)


def test_a_store_without_a_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "obs-index.fits").write_bytes(b"")
    with pytest.raises(OutputError, match="holds a data store already"):
        require_same_recipe(tmp_path, _RECIPE)


def test_files_have_digests_of_their_content(tmp_path: Path) -> None:
    for name, text in {"a": "x", "b": "x", "c": "y"}.items():
        (tmp_path / name).write_text(text)
    one, same, other = (file_digest(tmp_path / name) for name in "abc")
    assert one == same != other
