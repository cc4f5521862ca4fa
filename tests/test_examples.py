from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import bkgpipe

# Of the installed package, as in all tests
_ROOT = Path(bkgpipe.__file__).parents[1]
_MODULES = sorted(
    ".".join(path.relative_to(_ROOT).with_suffix("").parts)
    for path in (_ROOT / "bkgpipe").rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", _MODULES)
def test_examples_in_docstrings(name: str) -> None:
    result = doctest.testmod(import_module(name))

    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize("folder", ["core", "geometry", "stages"])
def test_the_numerics_have_examples(folder: str) -> None:
    assert any(name.startswith(f"bkgpipe.{folder}.") for name in _MODULES)
