"""The worked examples of docs/extending.md, applied to a copy of the package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PAGE = _ROOT / "docs" / "extending.md"
_DIFF = re.compile(r"^```diff\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the package as the page changes it."""
    folder = tmp_path_factory.mktemp("extended")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(_ROOT / "bkgpipe", folder / "bkgpipe", ignore=ignored)
    for number, diff in enumerate(_DIFF.findall(_PAGE.read_text())):
        change = folder / f"{number}.diff"
        change.write_text(diff)
        subprocess.run(["git", "apply", change], check=True, cwd=folder)  # noqa: S603, S607
    return folder


def _run(folder: Path, package: Path, *given: str) -> None:
    words = [word for each in given for word in ("--set", each)]
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "bkgpipe", "run", "smooth", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_method_of_the_page_has_folders_of_its_own(folder: Path, extended: Path):
    for sigma in ("1", "3"):
        _run(folder, extended, "smooth.method=box", f"smooth.sigma={sigma}")
    assert len(list((folder / "out").glob("smooth-*"))) == 2


def test_a_term_of_the_page_is_fitted(folder: Path, extended: Path):
    terms = "fit.terms=zenith, muon_squared"
    _run(folder, extended, "smooth.method=regression", terms)
    assert list((folder / "out").glob("smooth-*/*.h5"))
