"""`bkgpipe check --deep` compares every checksum of a production."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest

from bkgpipe.store.fits_file import write_fits

_FINE = """\
Checkpoints:  {} verified, 0 without a checksum, 0 failed
Deliverables: {} verified, 0 without a checksum, 0 failed
Inputs:       10 verified, 0 without a checksum, 0 failed
No problems.
"""


@pytest.fixture(scope="module")
def _made(prepare, tmp_path_factory, fork) -> Path:
    folder = prepare(tmp_path_factory.mktemp("deep"))
    for path in (folder / "store").rglob("*.fits.gz"):
        write_fits(path, gzip.decompress(path.read_bytes()), compress=True)
    process = fork(folder, "run")
    _, told = process.communicate(timeout=180)
    assert process.returncode == 0, told
    return folder


@pytest.fixture
def made(_made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Production that is done, of which one file may be changed."""
    monkeypatch.chdir(_made)
    before = {path: path.read_bytes() for path in _made.rglob("*.*") if path.is_file()}
    yield _made
    for path, content in before.items():
        if path.read_bytes() != content:
            path.write_bytes(content)


def _flip(path: Path, place: float) -> None:
    """Flip one bit, at a share of the length; of gzip in the content itself."""
    content = path.read_bytes()
    is_gzip = content.startswith(b"\x1f\x8b")
    flipped = bytearray(gzip.decompress(content) if is_gzip else content)
    flipped[int(place * len(flipped))] ^= 2
    path.write_bytes(gzip.compress(flipped) if is_gzip else flipped)


def test_all_is_verified(bkgpipe, made):
    result = bkgpipe("check", "--deep")

    out = made / "out"
    # with the tables of runs and groups, store.json, index.html and production.json
    n_checkpoints = len(list(out.glob("*/*.h5"))) + 5
    store = [path for path in out.glob("export-*/store/**/*") if path.is_file()]
    tables = list(out.glob("export-*/bg_*")) + list(out.glob("export-*/groups/*"))
    pages = [path for path in out.glob("report-*/*") if path.name != "index.html"]
    n_files = len(store) + len(tables) + len(pages) - 1  # pages.json
    assert result.exit_code == 0, result.output
    assert result.stdout == _FINE.format(n_checkpoints, n_files)


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("out/export-*/store/models/bkg_3d_1003.fits", "SHA-256"),
        ("out/export-*/store/hdu-index.fits.gz", ""),
        ("store/data/run_1003.fits.gz", "DATASUM of HDU EVENTS"),
        ("store/obs-index.fits.gz", "SUM of HDU OBS_INDEX"),
    ],
)
def test_one_bit_is_noticed(bkgpipe, made, pattern, told):
    (path,) = made.glob(pattern)
    _flip(path, 0.5)

    result = bkgpipe("check", "--deep")

    assert result.exit_code == 1
    (problem,) = (line for line in result.stdout.splitlines() if "Problem: " in line)
    assert path.name in problem
    assert told in problem
    assert result.stdout.endswith("1 problem(s).\n")


def test_a_checkpoint_with_another_value_is_named(bkgpipe, made):
    (path,) = made.glob("out/count-*/count_334.h5")
    with h5py.File(path, "r+") as file:
        file["records/solid_angle_2d"][1, 1] += 1e-9

    result = bkgpipe("check", "--deep")

    assert result.exit_code == 1
    assert "the checksum of solid_angle_2d of 1003 is wrong" in result.stdout
