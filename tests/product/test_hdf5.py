from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import DamagedFileError, OutputError
from bkgpipe.product.hdf5 import opened, read_header, write_tables


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    word: str
    number: float
    large: np.ndarray
    ragged: np.ndarray


def _row(key: int) -> Row:
    rng = np.random.default_rng(key)
    return Row(
        word=f"run {key}" * key,
        number=0.1 * key,
        large=rng.poisson(300.0, (40, 50)),
        ragged=rng.random(key),
    )


_NAMES = ("word", "number", "large", "ragged")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "count_1.h5"


@pytest.fixture
def written(path: Path, header: ProductHeader) -> Path:
    rows = {key: _row(key) for key in (10, 7, 9)}
    write_tables(path, header, {"rows": rows, "others": {3: _row(3)}, "none": {}})
    return path


def _read(path: Path, *, index: list[int] | None = None) -> dict[str, Any]:
    with opened(path) as file:
        return file.read("rows", Row, _NAMES, index=index)


def _edit(path: Path, change: Callable[[h5py.File], Any]) -> None:
    with h5py.File(path, "r+") as file:
        change(file)


@pytest.mark.parametrize("index", [None, [1], [2, 0]], ids=str)
def test_tables_come_back_in_the_order_of_their_numbers(written, index):
    with opened(written) as file:
        ids, values = file.ids("rows"), file.read("rows", Row, _NAMES, index=index)

    assert ids == [7, 9, 10]
    expected = [_row(ids[i]) for i in (range(3) if index is None else index)]
    assert values["word"] == [row.word for row in expected]
    assert values["number"] == [row.number for row in expected]
    for name in ("large", "ragged"):
        for found, row in zip(values[name], expected, strict=True):
            np.testing.assert_array_equal(found, getattr(row, name))


def test_a_table_without_rows_is_not_written(written):
    with opened(written) as file:
        assert file.ids("none") == []
        assert file.read("none", Row, _NAMES) == {}
        assert file.row_sums("none") == {}
    with h5py.File(written) as file:
        assert sorted(file) == ["others", "rows"]


def test_the_header_alone(written: Path, header: ProductHeader) -> None:
    _edit(written, lambda file: file.pop("rows"))

    assert read_header(written) == header


def test_each_field_is_one_dataset_whose_first_axis_is_the_run(written):
    with h5py.File(written) as file:
        shapes = {name: each.shape for name, each in file["rows"].items()}
        chunks = file["rows/large"].chunks
        words = file["rows/word"][:5].tobytes()

    assert shapes["number"] == shapes["ids"] == (3,)
    assert shapes["large"] == (3, 40, 50)
    assert shapes["sums"] == (3, 4, 32)
    assert shapes["ragged"] == (7 + 9 + 10,)
    assert shapes["ragged.shape"] == (3, 1)
    assert chunks == (1, 40, 50)
    assert words == b"run 7"


def test_nothing_has_a_variable_length(written):
    """The library reads for ever where a heap of such values is damaged."""
    found = []

    def look(_name: str, item: h5py.HLObject) -> None:
        found.extend(item.attrs.get_id(name).dtype for name in item.attrs)
        found.extend([item.dtype] if isinstance(item, h5py.Dataset) else [])

    with h5py.File(written) as file:
        look("", file)
        file.visititems(look)

    assert len(found) > 15
    assert all(dtype.kind in "biufS" for dtype in found)
    assert b"GCOL" not in written.read_bytes()


def test_sums_of_rows_tell_rows_apart(path, header):
    write_tables(path, header, {"rows": {1: _row(1), 2: _row(2), 3: _row(1)}})

    with opened(path) as file:
        sums = file.row_sums("rows")

    assert list(sums) == [1, 2, 3]
    assert len(set(sums.values())) == 3


def test_fields_leave_the_rest_alone(written: Path) -> None:
    _edit(written, lambda file: file["rows"].pop("large"))

    with opened(written) as file:
        found = file.read("rows", Row, ["number", "word"])

    assert list(found) == ["number", "word"]
    with pytest.raises(DamagedFileError, match="large is missing"):
        _read(written)


def test_one_changed_row_spoils_no_other(written: Path) -> None:
    def change(file: h5py.File) -> None:
        file["rows/large"][1, 3, 4] += 1

    _edit(written, change)

    assert len(_read(written, index=[0, 2])["large"]) == 2
    for index in (None, [1], [2, 1]):
        with pytest.raises(DamagedFileError, match="checksum of large of 9 is wrong"):
            _read(written, index=index)


def _exchange(file: h5py.File) -> None:
    for name in ("large", "number"):
        values = file["rows"][name][()]
        file["rows"][name][...] = values[[1, 0, 2]]


def _of_another_type(file: h5py.File) -> None:
    values = file["rows/number"][()]
    del file["rows/number"]
    file["rows/number"] = values.astype("f4")


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file["rows/number"].write_direct(np.zeros(3)),
        lambda file: file["rows/ragged"].write_direct(np.zeros(26)),
        lambda file: file["rows/ragged.shape"].write_direct(np.array([[9], [7], [10]])),
        lambda file: file["rows/word"].write_direct(np.zeros(140, "u1")),
        lambda file: file["rows/ids"].write_direct(np.array([7, 9, 11])),
        lambda file: file["rows/sums"].write_direct(np.zeros((3, 4, 32), "u1")),
        lambda file: file["rows"].pop("sums"),
        lambda file: file["rows"].pop("ids"),
        lambda file: file["rows"].pop("word"),
        lambda file: file["rows"].pop("word.shape"),
        lambda file: file.pop("rows"),
        lambda file: file.move("others", "rows/more") or file.move("rows", "others"),
        lambda file: file.attrs.modify("seconds", 0.0),
        lambda file: file.attrs.pop("fingerprint"),
        lambda file: file.attrs.pop("tables"),
        lambda file: file.attrs.create("tables", b"{}"),
        _exchange,
        _of_another_type,
    ],
)
def test_a_changed_file_is_refused(
    written: Path, change: Callable[[h5py.File], Any]
) -> None:
    _edit(written, change)

    with pytest.raises(DamagedFileError, match=r"count_1\.h5: .*Run the stage again"):
        _read(written)


def test_the_layout_of_an_earlier_version_is_told(path: Path) -> None:
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        file.attrs.update({"stage": "count", "records_sha256": "ab12"})
        file.create_group("records/7")

    with pytest.raises(DamagedFileError, match="not that of this version"):
        read_header(path)


def test_equal_content_gives_equal_files(tmp_path: Path, header: ProductHeader) -> None:
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    for path, order in zip(paths, [(7, 8), (8, 7)], strict=True):
        write_tables(path, header, {"rows": {key: _row(key) for key in order}})
        time.sleep(1.01)  # HDF5 would note whole seconds

    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_truncated_file_is_refused(written: Path, share: float) -> None:
    content = written.read_bytes()
    written.write_bytes(content[: int(len(content) * share)])

    with pytest.raises(DamagedFileError, match=r"count_1\.h5: .*made anew"):
        read_header(written)


def test_flipped_bytes_never_pass_unnoticed(written: Path) -> None:
    content = written.read_bytes()
    expected = _read(written)["large"]
    for position in range(100, len(content), 997):
        spoilt = bytearray(content)
        spoilt[position] ^= 0xFF
        written.write_bytes(spoilt)
        try:
            found = _read(written)["large"]
        except DamagedFileError:
            continue
        np.testing.assert_array_equal(found, expected)  # a byte between the blocks


def test_missing_file_and_other_file(path: Path) -> None:
    with pytest.raises(DamagedFileError, match=r"count_1\.h5: .*Run the stage again"):
        read_header(path)
    path.write_text("not HDF5")
    with pytest.raises(DamagedFileError, match="cannot be read"):
        read_header(path)


def test_unwritable_folder(tmp_path: Path, header: ProductHeader) -> None:
    path = tmp_path / "absent" / "count_1.h5"
    with pytest.raises(OutputError, match=r"absent.*Check that the folder exists"):
        write_tables(path, header, {})
