from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest

from bkgpipe.core.product import Chunk, ProductHeader
from bkgpipe.errors import DamagedFileError, InputError
from bkgpipe.product.chunk_file import (
    read_checksums,
    read_identities,
    read_refused,
    read_table,
)
from bkgpipe.product.hdf5 import visit_all
from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.count.files import COUNTS

_REFUSED = {11: "the file is missing", 8: "x" * 100_000}


@dataclass(frozen=True, kw_only=True)
class Note:
    word: str
    size: int


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "count_1.h5"


@pytest.fixture
def written(
    path: Path, header: ProductHeader, make_counts: Callable[[int], RunCounts]
) -> Path:
    records = {key: make_counts(key) for key in (7, 10, 9)}
    COUNTS.write(path, header, Chunk(records=records, refused=_REFUSED))
    return path


def test_a_chunk_comes_back_in_order(written, make_counts) -> None:
    chunk = COUNTS.read(written)

    assert list(chunk.records) == [7, 9, 10]
    assert list(chunk.refused) == [8, 11]
    assert chunk.refused == _REFUSED
    for obs_id, found in chunk.records.items():
        expected = make_counts(obs_id)
        np.testing.assert_array_equal(found.counts_3d, expected.counts_3d)
        assert found.counts_3d.sum() == expected.counts_3d.sum()
        assert repr(found.run) == repr(expected.run)
        assert found.conservation == expected.conservation
        assert found.checksum == expected.checksum


def test_an_empty_chunk(path: Path, header: ProductHeader) -> None:
    COUNTS.write(path, header, Chunk())

    chunk = COUNTS.read(path)

    assert chunk.records == {}
    assert chunk.refused == {}
    assert read_checksums(path) == read_identities(path) == {}
    assert COUNTS.read_columns(path, ["livetime"]).values == {}


def test_the_numbers_alone(written: Path) -> None:
    with h5py.File(written, "r+") as file:
        for name in set(file["records"]) - {"ids", "sums"}:
            del file["records"][name]

    assert list(read_checksums(written)) == [7, 9, 10]
    assert read_refused(written) == _REFUSED


def test_one_product_is_that_of_the_chunk(written: Path) -> None:
    found = COUNTS.read_one(written, 9)

    expected = COUNTS.read(written).records[9]
    assert found.obs_id == 9
    np.testing.assert_array_equal(found.counts_2d, expected.counts_2d)


def test_some_products_in_the_order_asked_for(written: Path) -> None:
    chunk = COUNTS.read(written, keys=[10, 7])

    assert list(chunk.records) == [10, 7]
    assert [run.obs_id for run in chunk.records.values()] == [10, 7]
    assert chunk.refused == _REFUSED


def test_one_product_reads_no_other(written: Path) -> None:
    with h5py.File(written, "r+") as file:
        for name in ("counts_3d", "livetime", "run"):
            file["records"][name][0] += 1

    assert COUNTS.read_one(written, 9).livetime == 1440.0
    with pytest.raises(DamagedFileError, match=r"checksum of .* of 7 is wrong"):
        COUNTS.read_one(written, 7)


def test_a_missing_product_says_why(written: Path) -> None:
    with pytest.raises(InputError, match=r"count_1\.h5: .*file is missing.*Leave it"):
        COUNTS.read_one(written, 11)
    with pytest.raises(InputError, match="has no record 12: never made"):
        COUNTS.read(written, keys=[7, 12])


def test_fields_leave_the_rest_alone(written: Path) -> None:
    with h5py.File(written, "r+") as file:
        del file["records/counts_3d"]

    chunk = COUNTS.read_fields(written, ["counts_2d", "livetime"])

    assert list(chunk.records) == [7, 9, 10]
    assert set(chunk.records[7]) == {"counts_2d", "livetime"}
    assert chunk.records[7]["livetime"] == 1440.0
    assert list(chunk.refused) == [8, 11]


def test_arrays_that_do_not_fit_together_are_damage(path, header, make_counts):
    counts = make_counts(7)
    object.__setattr__(counts, "counts_2d", np.zeros((2, 2)))
    COUNTS.write(path, header, Chunk(records={7: counts}))

    with pytest.raises(DamagedFileError, match="counts_2d"):
        COUNTS.read(path)


@pytest.mark.parametrize(
    "identities",
    [{}, {7: "ab"}, {7: "ab", 8: "cd", 9: "ab"}, {n: f"{n:016x}" for n in range(9000)}],
    ids=len,
)
def test_what_runs_were_made_from_comes_back(path, header, identities):
    COUNTS.write(path, header, Chunk(refused={8: "no events"}), identities=identities)

    assert read_identities(path) == identities


def test_a_flipped_digit_is_damage(path, header):
    COUNTS.write(path, header, Chunk(), identities={7: "ab" * 8, 8: "cd" * 8})
    content = path.read_bytes()
    assert content.count(b"cd" * 8) == 1
    path.write_bytes(content.replace(b"cd" * 8, b"cd" * 7 + b"ce"))

    with pytest.raises(DamagedFileError, match=r"count_1\.h5"):
        read_identities(path)


def test_further_tables(path, header):
    notes = {0: Note(word="a", size=3), 1: Note(word="", size=2**40)}
    COUNTS.write(path, header, Chunk(), tables={"notes": notes})

    assert read_table(path, "notes", Note) == notes
    assert read_table(path, "others", Note) == {}


# The process ends by itself where a case takes too long
_ZEROS = """
import signal, sys
from pathlib import Path
from bkgpipe.errors import DamagedFileError
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.product.hdf5 import visit_all
path, size = Path(sys.argv[1]), int(sys.argv[2])
content = path.read_bytes()
n_refused = 0
for start in range(0, len(content), size):
    path.write_bytes(content[:start] + bytes(size) + content[start + size:])
    signal.alarm(30)
    try:
        COUNTS.read(path)
    except DamagedFileError:
        n_refused += 1
    signal.alarm(0)
print(n_refused)
"""


@pytest.mark.parametrize("size", [64, 512])
def test_zeros_anywhere_never_hang(written: Path, size: int) -> None:
    n_cases = written.stat().st_size // size

    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _ZEROS, str(written), str(size)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > n_cases / 2


def test_damage_where_no_product_is_read_is_found_by_visiting_all(written: Path):
    content = bytearray(written.read_bytes())
    content[content.index(b"FSHD") + 6] ^= 4  # the free space of a table of names
    visit_all(written)
    written.write_bytes(content)

    assert len(COUNTS.read(written).records) == 3
    with pytest.raises(DamagedFileError, match=r"count_1\.h5: .*checksum"):
        visit_all(written)
