from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.product.fields import (
    column_kinds,
    field_columns,
    field_kinds,
    from_rows,
    to_rows,
)
from bkgpipe.stages.stack.data import Conditions


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
        name="Böhm \N{DEGREE SIGN}\0",
        flag=True,
        words=("HESS J1825-137", "", "ß"),
        whole=np.arange(6).reshape(2, 3) * 70000,
        real=np.array([[0.1, np.nan], [1e-300, np.inf], [-0.0, 3.0]]),
        mask=np.array([True, False, True]),
        flat=flat,
        nested=binning,
    )


def _there_and_back(*records: Everything) -> list[Everything]:
    """Turn records into columns, and these into records."""
    columns = {
        name: to_rows(name, kind, records)
        for name, kind in column_kinds(Everything).items()
    }
    kinds = field_kinds(Everything)
    values = {name: from_rows(name, kind, columns) for name, kind in kinds.items()}
    return [
        Everything(**dict(zip(values, row, strict=True)))
        for row in zip(*values.values(), strict=True)
    ]


def test_fields_in_the_order_of_their_names() -> None:
    kinds = field_kinds(Everything)
    assert list(kinds) == sorted(kinds)
    assert kinds["flag"] is bool
    assert kinds["whole"] is np.ndarray
    assert kinds["nested"] is Binning


def test_a_structure_with_arrays_has_a_column_for_each_of_its_fields() -> None:
    kinds = column_kinds(Everything)

    assert kinds["nested/energy_edges"] is np.ndarray
    assert kinds["flat"] is Conditions
    assert field_columns(Everything, "flat") == ("flat",)
    assert field_columns(Everything, "nested") == tuple(
        name for name in kinds if name.startswith("nested/")
    )


def test_every_kind_of_field_comes_back(everything: Everything) -> None:
    other = replace(
        everything, number=-1, value=0.1, flag=False, name="", words=(), mask=np.ones(0)
    )

    for found, expected in zip(
        _there_and_back(everything, other), (everything, other), strict=True
    ):
        for name in ("number", "value", "name", "flag", "words"):
            assert getattr(found, name) == getattr(expected, name)
            assert type(getattr(found, name)) is type(getattr(expected, name))
        for name in ("whole", "real", "mask"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        assert repr(found.flat) == repr(expected.flat)
        found.nested.require_same(expected.nested, where="test")


def test_numpy_scalars_become_plain(everything: Everything) -> None:
    flat = replace(everything.flat, zenith=np.float32(0.5), deadc=np.float64(0.9))
    record = replace(everything, number=np.int64(5), flag=np.bool_(False), flat=flat)

    (found,) = _there_and_back(record)

    assert (found.number, type(found.number)) == (5, int)
    assert found.flag is False
    assert type(found.flat.zenith) is float


def test_whole_numbers_are_int64_in_memory(everything: Everything) -> None:
    small = replace(everything, whole=everything.whole.astype(np.int32))

    (found,) = _there_and_back(small)

    assert found.whole.dtype == np.int64


def test_equal_structures_are_one_object(everything: Everything, binning) -> None:
    same = _there_and_back(everything, replace(everything, nested=replace(binning)))
    edges = np.array([1.0, 2.0])
    other = _there_and_back(
        everything,
        replace(everything, nested=replace(binning, energy_edges=edges)),
        replace(everything, nested=replace(binning, offset_edges=edges - 1.0)),
    )

    assert same[0].nested is same[1].nested
    assert len({id(each.nested) for each in other}) == 3
    assert other[1].nested.energy_edges.tolist() == [1.0, 2.0]
    assert other[2].nested.offset_edges.tolist() == [0.0, 1.0]


def test_many_bins_are_shared_too(everything: Everything, binning) -> None:
    fine = replace(binning, energy_edges=np.geomspace(0.1, 100.0, 500))

    first, second = _there_and_back(*[replace(everything, nested=fine)] * 2)

    assert first.nested is second.nested
