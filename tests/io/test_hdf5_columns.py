from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from bkgpipe.datamodel import Binning, Chunk, Conditions, ProductHeader
from bkgpipe.errors import DamagedFileError
from bkgpipe.io.hdf5 import read_fields, write_chunk
from bkgpipe.io.hdf5_columns import add_columns, read_columns

NAMES = ("number", "value", "name", "flag", "words", "whole", "mask", "flat", "nested")


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixed:
    number: int
    value: float
    name: str
    flag: bool
    words: tuple[str, ...]
    whole: np.ndarray
    mask: np.ndarray
    flat: Conditions
    nested: Binning


def _record(number: int, binning: Binning) -> Mixed:
    return Mixed(
        number=number,
        value=0.1 * number,
        name=f"Böhm {number}",
        flag=number == 5,
        words=("a", "", "ß")[: number - 3],
        whole=70000 * number + np.arange(6).reshape(2, 3),
        mask=np.array([True, False, number == 4]),
        flat=Conditions(
            zenith=30.0 + number,
            azimuth=0.1,
            cos_zenith=0.866,
            deadc=0.9,
            muon_efficiency=float("inf"),
        ),
        nested=binning,
    )


@pytest.fixture
def records(binning: Binning) -> dict[int, Mixed]:
    return {number: _record(number, binning) for number in (5, 4, 6)}


@pytest.fixture
def path(tmp_path: Path, header: ProductHeader, records: dict[int, Mixed]) -> Path:
    return _write(tmp_path / "mixed_0.h5", header, records)


def _write(path: Path, header: ProductHeader, records: dict[int, Mixed]) -> Path:
    write_chunk(
        path,
        header,
        Chunk(records=records, refused={9: "it rained"}),
        extend=lambda file: add_columns(file, records, NAMES),
    )
    return path


def _assert_same(one: object, other: object) -> None:
    if isinstance(one, Binning):
        for name in one.__dataclass_fields__:
            _assert_same(getattr(one, name), getattr(other, name))
    else:
        np.testing.assert_equal(one, other)


def test_columns_hold_what_the_records_hold(path):
    slow, fast = read_fields(path, Mixed, NAMES), read_columns(path, Mixed, NAMES)

    assert list(fast.records) == [4, 5, 6]
    assert fast.refused == slow.refused == {9: "it rained"}
    for key, values in slow.records.items():
        for name in NAMES:
            _assert_same(values[name], fast.records[key][name])
    assert fast.records[5]["whole"].dtype == np.int64
    assert fast.records[4]["mask"].dtype == bool


def test_equal_structures_are_kept_once(path):
    records = read_columns(path, Mixed, ["nested"]).records

    assert records[4]["nested"] is records[6]["nested"]
    with h5py.File(path) as file:
        assert len(file["columns/nested/energy_edges"]) == 1


def test_structures_and_arrays_that_differ(tmp_path, header, records, binning):
    edges = binning.energy_edges * 2
    records[6] = replace(
        records[6],
        nested=replace(binning, energy_edges=edges),
        whole=np.arange(5),
    )
    path = _write(tmp_path / "mixed_1.h5", header, records)

    found = read_columns(path, Mixed, ["whole", "nested"]).records

    np.testing.assert_array_equal(found[6]["nested"].energy_edges, edges)
    np.testing.assert_array_equal(found[5]["nested"].energy_edges, edges / 2)
    np.testing.assert_array_equal(found[6]["whole"], np.arange(5))
    np.testing.assert_array_equal(found[4]["whole"], records[4].whole)


def test_a_file_without_records(tmp_path, header):
    path = _write(tmp_path / "mixed_2.h5", header, {})

    found = read_columns(path, Mixed, NAMES)

    assert found.records == {}
    assert found.refused == {9: "it rained"}


@pytest.mark.parametrize("name", ["ids", "whole", "flat.json", "nested/offset_edges"])
def test_a_changed_column_is_damage(path, name):
    with h5py.File(path, "r+") as file:
        dataset = file["columns"][name]
        values = dataset[()]
        values.flat[-1] += 1
        dataset[...] = values

    with pytest.raises(DamagedFileError, match=r"checksum.*Run the stage again"):
        read_columns(path, Mixed, NAMES)


def test_a_column_that_is_missing_is_damage(path):
    with h5py.File(path, "r+") as file:
        del file["columns/name.json"]

    with pytest.raises(DamagedFileError, match=r"mixed_0\.h5: .*name"):
        read_columns(path, Mixed, NAMES)
    assert len(read_columns(path, Mixed, ["number"]).records) == 3
