from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from bkgpipe.datamodel import Chunk, ProductHeader, RunCounts
from bkgpipe.errors import DamagedFileError, InputError, OutputError
from bkgpipe.io.hdf5 import (
    read_chunk,
    read_fields,
    read_header,
    read_record,
    read_refused,
    write_chunk,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "count_1.h5"


@pytest.fixture
def written(
    path: Path, header: ProductHeader, make_counts: Callable[[int], RunCounts]
) -> Path:
    chunk = Chunk(
        records={7: make_counts(7), 10: make_counts(10), 9: make_counts(9)},
        refused={11: "the file is missing", 8: "x" * 100_000},
    )
    write_chunk(path, header, chunk)
    return path


def _edit(path: Path, change: Callable[[h5py.File], Any]) -> None:
    with h5py.File(path, "r+") as file:
        change(file)


def test_whole_chunk_comes_back_in_order(
    written: Path, make_counts: Callable[[int], RunCounts]
) -> None:
    chunk = read_chunk(written, RunCounts)

    assert list(chunk.records) == [7, 9, 10]
    assert chunk.refused == {8: "x" * 100_000, 11: "the file is missing"}
    for obs_id, found in chunk.records.items():
        expected = make_counts(obs_id)
        np.testing.assert_array_equal(found.counts_3d, expected.counts_3d)
        assert found.counts_3d.sum() == expected.counts_3d.sum()
        assert repr(found.run) == repr(expected.run)
        assert found.conservation == expected.conservation
        assert found.checksum == expected.checksum


def test_empty_chunk(path: Path, header: ProductHeader) -> None:
    write_chunk(path, header, Chunk())

    chunk = read_chunk(path, RunCounts)

    assert chunk.records == {}
    assert chunk.refused == {}


def test_header_and_refused_alone(written: Path, header: ProductHeader) -> None:
    assert read_header(written) == header
    assert list(read_refused(written)) == [8, 11]


def test_one_record_is_that_of_the_chunk(written: Path) -> None:
    found = read_record(written, 9, RunCounts)

    expected = read_chunk(written, RunCounts).records[9]
    assert found.obs_id == 9
    np.testing.assert_array_equal(found.counts_2d, expected.counts_2d)


def test_fields_leave_the_rest_alone(written: Path) -> None:
    def spoil(file: h5py.File) -> None:
        del file["records/7/counts_3d"]

    _edit(written, spoil)

    chunk = read_fields(written, RunCounts, ["counts_2d", "livetime"])

    assert list(chunk.records) == [7, 9, 10]
    assert set(chunk.records[7]) == {"counts_2d", "livetime"}
    assert chunk.records[7]["livetime"] == 1440.0
    assert list(chunk.refused) == [8, 11]


def test_equal_content_gives_equal_files(
    tmp_path: Path, header: ProductHeader, make_counts: Callable[[int], RunCounts]
) -> None:
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    orders = [(7, 8), (8, 7)]
    for path, order in zip(paths, orders, strict=True):
        chunk = Chunk(records={key: make_counts(key) for key in order})
        write_chunk(path, header, chunk)
        time.sleep(1.01)  # HDF5 would note whole seconds

    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_chunk_of_100_runs_is_fast(
    path: Path, header: ProductHeader, make_counts: Callable[[int], RunCounts]
) -> None:
    chunk = Chunk(records={key: make_counts(key) for key in range(100)})

    start = time.perf_counter()
    write_chunk(path, header, chunk)
    read_chunk(path, RunCounts)

    # 0.3 s on a quiet machine
    assert time.perf_counter() - start < 5.0


def test_missing_record_says_why(written: Path) -> None:
    with pytest.raises(InputError, match=r"count_1\.h5: .*file is missing.*Leave it"):
        read_record(written, 11, RunCounts)
    with pytest.raises(InputError, match="never made"):
        read_record(written, 12, RunCounts)


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file["records/9/counts_2d"].write_direct(np.zeros((3, 6), "u1")),
        lambda file: file["records/9"].attrs.modify("livetime", 1.0),
        lambda file: file["records/9"].attrs.modify("run", "{}"),
        lambda file: file["records/9"].attrs.modify("control", "no json"),
        lambda file: file["records/9"].attrs.pop("position_angle"),
        lambda file: file["records/9"].attrs.pop("content_sha256"),
        lambda file: file["records/9/binning"].pop("offset_edges"),
        lambda file: file.pop("records"),
        lambda file: file.move("records/9", "records/ninth"),
    ],
)
def test_changed_record_is_refused(
    written: Path, change: Callable[[h5py.File], Any]
) -> None:
    _edit(written, change)

    with pytest.raises(DamagedFileError, match=r"count_1\.h5: .*Run the stage again"):
        read_chunk(written, RunCounts)


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.attrs.modify("seconds", 0.0),
        lambda file: file.attrs.pop("fingerprint"),
        lambda file: file["refused/ids"].write_direct(np.array([1, 2])),
        lambda file: file.pop("records/9"),
        lambda file: file.pop("refused"),
    ],
)
def test_changed_file_is_refused(
    written: Path, change: Callable[[h5py.File], Any]
) -> None:
    _edit(written, change)

    with pytest.raises(DamagedFileError, match=r"count_1\.h5: .*Run the stage again"):
        read_chunk(written, RunCounts)


def test_one_changed_record_spoils_no_other(written: Path) -> None:
    _edit(written, lambda file: file["records/9"].attrs.modify("livetime", 1.0))

    assert read_record(written, 7, RunCounts).livetime == 1440.0
    with pytest.raises(DamagedFileError, match="checksum of /records/9"):
        read_record(written, 9, RunCounts)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_truncated_file_is_refused(written: Path, share: float) -> None:
    content = written.read_bytes()
    written.write_bytes(content[: int(len(content) * share)])

    for read in (read_header, read_refused):
        with pytest.raises(DamagedFileError, match=r"count_1\.h5: .*made anew"):
            read(written)


def test_flipped_bytes_never_pass_unnoticed(written: Path) -> None:
    content = written.read_bytes()
    expected = read_chunk(written, RunCounts).records[7].counts_3d
    for position in range(100, len(content), 997):
        spoilt = bytearray(content)
        spoilt[position] ^= 0xFF
        written.write_bytes(spoilt)
        try:
            found = read_chunk(written, RunCounts).records[7].counts_3d
        except DamagedFileError:
            continue
        np.testing.assert_array_equal(found, expected)  # a byte between the blocks


def test_missing_file_and_other_file(path: Path) -> None:
    with pytest.raises(DamagedFileError, match=r"count_1\.h5: .*Run the stage again"):
        read_header(path)
    path.write_text("not HDF5")
    with pytest.raises(DamagedFileError, match="cannot be read"):
        read_chunk(path, RunCounts)


def test_unwritable_folder(tmp_path: Path, header: ProductHeader) -> None:
    path = tmp_path / "absent" / "count_1.h5"
    with pytest.raises(OutputError, match=r"absent.*Check that the folder exists"):
        write_chunk(path, header, Chunk())
