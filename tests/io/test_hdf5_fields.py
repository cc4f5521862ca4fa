from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from bkgpipe.datamodel import Binning, Conditions
from bkgpipe.io.hdf5_fields import (
    field_kinds,
    field_sum,
    read_values,
    write_record,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Everything:
    number: int
    value: float
    name: str
    flag: bool
    words: tuple[str, ...]
    whole: np.ndarray
    real: np.ndarray
    mask: np.ndarray
    flat: Conditions
    nested: Binning


@pytest.fixture
def everything(binning: Binning) -> Everything:
    flat = Conditions(
        zenith=30.0,
        azimuth=0.1,
        cos_zenith=0.866,
        deadc=0.9,
        muon_efficiency=float("nan"),
    )
    return Everything(
        number=12345678901,
        value=float("-inf"),
        name="Böhm \N{DEGREE SIGN}",
        flag=True,
        words=("HESS J1825-137", "", "ß"),
        whole=np.arange(6).reshape(2, 3) * 70000,
        real=np.array([[0.1, np.nan], [1e-300, np.inf], [-0.0, 3.0]]),
        mask=np.array([True, False, True]),
        flat=flat,
        nested=binning,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "record.h5"


def digest(record: Everything) -> list[bytes]:
    """Checksum of each field."""
    kinds = field_kinds(Everything)
    return [
        field_sum(name, kind, getattr(record, name)) for name, kind in kinds.items()
    ]


def _write(path: Path, record: Everything) -> Everything:
    """Write a record and return what is read."""
    with h5py.File(path, "w") as file:
        write_record(file, record)
    with h5py.File(path) as file:
        return Everything(**read_values(file, field_kinds(Everything)))


def test_fields_in_the_order_of_their_names() -> None:
    kinds = field_kinds(Everything)
    assert list(kinds) == sorted(kinds)
    assert kinds["flag"] is bool
    assert kinds["whole"] is np.ndarray
    assert kinds["nested"] is Binning


def test_every_kind_of_field_comes_back(path: Path, everything: Everything) -> None:
    found = _write(path, everything)

    for name in ("number", "value", "name", "flag", "words"):
        assert getattr(found, name) == getattr(everything, name)
        assert type(getattr(found, name)) is type(getattr(everything, name))
    for name in ("whole", "real", "mask"):
        np.testing.assert_array_equal(getattr(found, name), getattr(everything, name))
        assert getattr(found, name).dtype == getattr(everything, name).dtype
    assert repr(found.flat) == repr(everything.flat)
    found.nested.require_same(everything.nested, where="test")


def test_numpy_scalars_become_plain(path: Path, everything: Everything) -> None:
    flat = replace(everything.flat, zenith=np.float32(0.5), deadc=np.float64(0.9))
    number, flag = np.int64(5), np.bool_(False)
    record = replace(everything, number=number, flag=flag, flat=flat)

    found = _write(path, record)

    assert (found.number, type(found.number)) == (5, int)
    assert found.flag is False
    assert type(found.flat.zenith) is float
    assert digest(found) == digest(record)


def test_places_in_the_file(path: Path, everything: Everything) -> None:
    _write(path, everything)
    with h5py.File(path) as file:
        assert file.attrs["number"] == 12345678901
        assert '"zenith": 30.0' in file.attrs["flat"]
        np.testing.assert_array_equal(
            file["nested/energy_edges"], everything.nested.energy_edges
        )


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        ([0, 255], "uint8"),
        ([-1, 127], "int8"),
        ([-1, 128], "int16"),
        ([0, 65535], "uint16"),
        ([0, 2**32 - 1], "uint32"),
        ([-1, 2**32], "int64"),
        ([], "uint8"),
    ],
)
def test_whole_numbers_are_small_on_disk_and_int64_in_memory(
    path: Path,
    everything: Everything,
    values: list[int],
    stored: str,
) -> None:
    whole = np.array(values, dtype=np.int64)

    found = _write(path, replace(everything, whole=whole)).whole

    with h5py.File(path) as file:
        assert file["whole"].dtype == stored
    np.testing.assert_array_equal(found, whole)
    assert found.dtype == np.int64


@pytest.mark.parametrize("size", [3, 3000])
def test_large_arrays_are_compressed_and_checked(
    path: Path, everything: Everything, size: int
) -> None:
    real = np.zeros((size, 2))

    found = _write(path, replace(everything, real=real)).real

    with h5py.File(path) as file:
        assert (file["real"].compression == "gzip") is (size == 3000)
        assert file["real"].fletcher32 is (size == 3000)
    np.testing.assert_array_equal(found, real)


def test_only_the_fields_asked_for(path: Path, everything: Everything) -> None:
    _write(path, everything)
    with h5py.File(path) as file:
        assert read_values(file, {"number": int}) == {"number": 12345678901}


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 1},
        {"value": 0.1},
        {"name": ""},
        {"flag": False},
        {"words": ("HESS J1825-137", "ß")},
        {"whole": np.arange(6) * 70000},
        {"real": np.zeros((3, 2))},
        {"mask": np.array([1, 0, 1])},
    ],
)
def test_digest_changes_with_the_content(
    everything: Everything, changes: dict[str, object]
) -> None:
    assert digest(replace(everything, **changes)) != digest(everything)


def test_digest_changes_with_nested_content(everything: Everything) -> None:
    edges = everything.nested.offset_edges
    changed = replace(everything.nested, offset_edges=edges + 0.1)
    assert digest(replace(everything, nested=changed)) != digest(everything)


def test_digest_is_that_of_what_is_read(path: Path, everything: Everything) -> None:
    assert digest(_write(path, everything)) == digest(everything)
    small = replace(everything, whole=everything.whole.astype(np.int32))
    assert digest(small) == digest(everything)
