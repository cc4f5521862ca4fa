from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import pytest

import bkgpipe

_ROOT = Path(__file__).parents[1]
_SLOW = ("astropy", "gammapy", "luigi", "matplotlib", "numpy")


def _python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, *words], capture_output=True, text=True, check=False
    )


def test_the_version_stands_in_one_place():
    assert bkgpipe.__version__ == version("bkgpipe")
    assert bkgpipe.__all__ == ["Production", "__version__"]


def test_completion_shows_the_public_names():
    assert dir(bkgpipe) == ["Production", "__version__"]


def test_other_places_say_the_same_version():
    citation = (_ROOT / "CITATION.cff").read_text(encoding="utf-8")

    found = re.findall(r"^version: (.+)$", citation, flags=re.MULTILINE)

    assert found == [bkgpipe.__version__]


@pytest.mark.parametrize(
    "name",
    [
        "setup.cfg",
        "pyproject.toml",
        "docs/conf.py",
        "containers/bkgpipe.def",
        "containers/build.sh",
        "Makefile",
    ],
)
def test_no_other_place_names_the_version(name):
    text = (_ROOT / name).read_text(encoding="utf-8")

    pattern = rf"(?<![\d.]){re.escape(bkgpipe.__version__)}(?![\d.])"
    assert not re.search(pattern, text)


def test_the_installed_package_has_more_than_modules():
    found = {path.name for path in (files("bkgpipe") / "plot").iterdir()}
    kept = {path.name for path in (_ROOT / "bkgpipe" / "plot").glob("*.html")}

    assert kept
    assert kept <= found
    assert (files("bkgpipe") / "py.typed").is_file()


def test_all_that_the_manifest_names_is_there():
    lines = (_ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines if line.startswith(("include", "graft"))]

    missing = [
        name for _, *names in words for name in names if not (_ROOT / name).exists()
    ]

    assert words
    assert missing == []


def test_the_api_is_imported_late():
    code = (
        "import sys, bkgpipe; early = len(sys.modules); from bkgpipe import Production"
    )

    result = _python("-c", f"{code}; print(early, Production.__module__)")

    assert result.returncode == 0, result.stderr
    early, module = result.stdout.split()
    assert int(early) < 200
    assert module == "bkgpipe.api"


def test_one_class_is_the_production():
    modules = (_ROOT / "bkgpipe").rglob("*.py")
    found = [each for each in modules if "\nclass Production" in each.read_text()]

    assert [each.name for each in found] == ["api.py"]


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="'bkgpipe' has no attribute 'Producton'"):
        bkgpipe.Producton  # noqa: B018


def test_python_m_is_the_command():
    result = _python("-m", "bkgpipe", "--version")

    assert result.returncode == 0
    assert result.stdout.strip().endswith(f"version {bkgpipe.__version__}")
    assert result.stderr == ""


@pytest.mark.parametrize("module", ["bkgpipe", "bkgpipe.cli.main"])
def test_import_of_the_command_is_light(module):
    code = f"import sys, {module}; print(*sys.modules)"

    result = _python("-W", "error", "-c", code)

    assert result.returncode == 0, result.stderr
    assert not set(_SLOW) & set(result.stdout.split())


@pytest.mark.parametrize(
    "layer", ["geometry", "core", "stages.fit", "stages.rank", "errors"]
)
def test_the_science_knows_no_framework(layer):
    code = f"import sys, pkgutil, bkgpipe.{layer} as top\n"
    code += "for m in pkgutil.iter_modules(getattr(top, '__path__', [])):\n"
    code += "    m.name == 'files' or __import__(top.__name__ + '.' + m.name)\n"
    code += "print(*sys.modules)"

    result = _python("-c", code)

    assert result.returncode == 0, result.stderr
    loaded = set(result.stdout.split())
    # healpy brings matplotlib along
    assert not {"luigi", "h5py", "gammapy"} & loaded
