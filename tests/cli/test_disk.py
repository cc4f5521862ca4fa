"""Output on a disk that is really full: a small one in memory, which needs root.

`test_damage_products` has disks that fail in other ways, where only renaming fails.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bkgpipe.product.hdf5 import read_header

_FULL = "No space left on device"


@pytest.fixture(scope="module")
def whole(prepare, fork, tmp_path_factory) -> Path:
    """Output folder of a production that nobody disturbed."""
    folder = prepare(tmp_path_factory.mktemp("whole"), data__chunk_size="1")
    _, stderr = _run(fork, folder)
    assert (folder / "out").is_dir(), stderr
    return folder / "out"


@pytest.fixture(scope="module")
def assert_whole(whole, assert_same_products) -> Callable[[Path], None]:
    """Compare an output folder with that of the undisturbed production."""
    return lambda out: assert_same_products(out, whole)


@pytest.fixture
def small(prepare, tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Factory: a folder with a store, of which ``out`` is a disk of a given size."""
    folder = prepare(tmp_path / "small", data__chunk_size="1")
    out = folder / "out"
    out.mkdir()

    def make(size: str) -> Path:
        _call("mount", "-t", "tmpfs", "-o", size, "tmpfs", str(out), may_skip=True)
        return folder

    yield make
    if out.is_mount():
        _call("umount", "--lazy", str(out))


def _call(*words: str, may_skip: bool = False) -> None:
    program = shutil.which(words[0])
    if program is None and may_skip:
        pytest.skip(f"there is no {words[0]}")
    done = subprocess.run(  # noqa: S603
        [program or words[0], *words[1:]], capture_output=True, text=True, check=False
    )
    if done.returncode and may_skip:
        pytest.skip(f"no file system can be mounted: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr


def _run(fork, folder: Path, *words: str) -> tuple[int, str]:
    process = fork(folder, "run", "export", *words, pause=0.1)
    stdout, stderr = process.communicate(timeout=180)
    return process.returncode, stdout + stderr


def _assert_only_whole_products(out: Path) -> None:
    for path in out.rglob("*.h5"):
        assert read_header(path).stage == path.parent.name.split("-")[0]
    assert not list(out.rglob(".*"))
    assert not list(out.rglob("*.damaged"))
    assert not list(out.glob("running/*"))


# what is full first: masks, counts, models, and in the end also the log
@pytest.mark.parametrize(
    "case",
    [
        ("size=32k", "mask", ()),
        ("size=136k", "count", ()),
        ("size=120k", "(mask|count)", ("--workers", "2")),
        ("size=700k", "export", ()),
        ("nr_inodes=11", "mask", ()),
        ("nr_inodes=16", "mask", ("--workers", "2")),
        ("nr_inodes=40", "export", ()),
    ],
)
def test_a_full_disk_that_is_enlarged(small, fork, assert_whole, case):
    size, product, words = case
    folder = small(size)
    out = folder / "out"

    code, told = _run(fork, folder, *words)

    assert code == 1, told
    failures = [line for line in told.splitlines() if line.startswith("Failed: ")]
    assert all(f"cannot be written ({_FULL})" in line for line in failures)
    assert any(re.search(f"{out}/{product}-", line) for line in failures)
    assert "Traceback" not in told
    assert " 0 refused" in told
    _assert_only_whole_products(out)

    _call("mount", "-o", "remount,size=20m,nr_inodes=1000", str(out))
    code, told = _run(fork, folder, *words)
    assert code == 0, told
    assert_whole(out)


@pytest.mark.parametrize("n_inodes", [2, 4, 6])
def test_a_disk_without_room_for_the_first_files(small, fork, n_inodes):
    folder = small(f"nr_inodes={n_inodes}")

    code, told = _run(fork, folder)

    assert code == 1
    assert told.startswith(f"Error: {folder / 'out'}")
    assert f"cannot be written ({_FULL})" in told
    assert "Traceback" not in told


def test_a_disk_that_others_fill(small, fork):
    """What was made stays; neither the log nor the last file finds room."""
    folder = small("size=20m")
    assert _run(fork, folder)[0] == 0
    (next((folder / "out").glob("export-*/store.json"))).unlink()
    filled = folder / "out" / "filled"
    with pytest.raises(OSError, match=_FULL):
        filled.write_bytes(bytes(30 * 2**20))

    code, told = _run(fork, folder)

    assert code == 1
    assert f"cannot be written ({_FULL})" in told
    assert "Traceback" not in told
    filled.unlink()
    assert _run(fork, folder)[0] == 0
