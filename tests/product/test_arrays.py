from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from bkgpipe.product.arrays import (
    member,
    read_attribute,
    read_rows,
    row_sums,
    write_rows,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "arrays.h5"


_RNG = np.random.default_rng(1)
_ROWS = {
    "numbers": [np.array(value) for value in (3, -1, 70000)],
    "flags": [np.array([True, False]), np.array([False, False])],
    "small": [_RNG.random((2, 3)) for _ in range(4)],
    "large": [_RNG.random((30, 20)) for _ in range(4)],
    "counts": [_RNG.poisson(2.0, (30, 20)) for _ in range(4)],
    "one row": [np.arange(6).reshape(2, 3)],
    "empty": [np.empty(0), np.empty(0)],
    "without rows": [np.zeros((0, 4)), np.zeros((0, 4))],
    "lengths": [np.arange(n) for n in (3, 0, 700)],
    "widths": [np.ones((n, 4)) * n for n in (0, 2, 1)],
    "axes": [np.ones((2, 3)), np.empty(0), np.ones((5, 1, 2)) / 3, np.array(0.5)],
    "long": [_RNG.integers(0, 9, n) for n in (9000, 0, 4000)],
}


@pytest.mark.parametrize("name", _ROWS)
@pytest.mark.parametrize("index", [None, [0], [-1], [1, 0]], ids=str)
def test_rows_come_back(path, name, index):
    rows = _ROWS[name]
    places = None if index is None else [i % len(rows) for i in index]
    with h5py.File(path, "w") as file:
        sums = write_rows(file, "deep/rows", rows)
        found = read_rows(file, "deep/rows", places)

    wanted = range(len(rows)) if places is None else places
    assert len(found) == len(wanted)
    for row, i in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(row, rows[i])
        assert row.shape == rows[i].shape
        assert row.dtype.kind == rows[i].dtype.kind or rows[i].dtype.kind in "iu"
    assert row_sums("deep/rows", found) == [sums[i] for i in wanted]


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        ([0, 255], "uint8"),
        ([-1, 127], "int8"),
        ([-1, 128], "int16"),
        ([0, 65535], "uint16"),
        ([0, 2**32 - 1], "uint32"),
        ([-1, 2**32], "int64"),
    ],
)
def test_whole_numbers_take_the_smallest_type_of_all_rows(path, values, stored):
    with h5py.File(path, "w") as file:
        write_rows(file, "rows", [np.array([value]) for value in values])

        assert file["rows"].dtype == stored
        np.testing.assert_array_equal(file["rows"][:, 0], values)


def test_empty_rows_have_no_type(path):
    with h5py.File(path, "w") as file:
        write_rows(file, "rows", [np.empty(0), np.arange(4)])

        assert file["rows"].dtype == np.uint8


def test_a_row_that_pays_is_one_chunk(path):
    rates = _RNG.random((3, 20, 30))
    arrays = {
        "rates": rates,
        "few": np.where(rates < 0.1, rates, 0.0),
        "spread": np.broadcast_to(rates[:, :1, :1], rates.shape),
        "counts": _RNG.poisson(1e5, size=rates.shape),
        "small": np.zeros((3, 20)),
    }
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            write_rows(file, name, list(array))
        chunks = {name: file[name].chunks for name in arrays}

    row = (1, 20, 30)
    assert chunks == {
        "rates": None,
        "small": None,
        **dict.fromkeys(("few", "spread", "counts"), row),
    }


def test_links_to_other_files_are_not_followed(path: Path) -> None:
    with h5py.File(path.with_name("other.h5"), "w") as other:
        other["secret"] = np.arange(3)
    with h5py.File(path, "w") as file:
        file["outside"] = h5py.ExternalLink("other.h5", "secret")
        file["soft"] = h5py.SoftLink("/inside")
        for name in ("outside", "soft", "absent"):
            with pytest.raises(ValueError, match=f"{name} is missing or a link"):
                member(file, name)
            with pytest.raises(ValueError, match=f"{name} is missing or a link"):
                read_rows(file, name)


def _claim_much(file: h5py.File) -> None:
    file.create_dataset("real", (10**12,), "f8", chunks=(1000,))


def _claim_long_rows(file: h5py.File) -> None:
    file.create_dataset("real", (2, 10**12), "f8", chunks=(1, 1000))


def _blow_up(file: h5py.File) -> None:
    """A gigabyte of zeros, which takes a megabyte."""
    options = {"chunks": (10**6,), "compression": "gzip"}
    dataset = file.create_dataset("real", (140 * 10**6,), "f8", **options)
    dataset[:1000] = 1.0


def _take_elsewhere(file: h5py.File) -> None:
    file.create_dataset("real", (3,), "f8", external=[("/etc/passwd", 0, 24)])


def _take_virtually(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "secret", shape=(3,))
    file.create_virtual_dataset("real", layout)


def _shapes(*shapes: tuple[int, ...]):
    def make(file: h5py.File) -> None:
        file["real"] = np.arange(6)
        file["real.shape"] = np.array(shapes)

    return make


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_claim_much, "real' claims 8000000000000 bytes"),
        (_claim_long_rows, "real' claims 8000000000000 bytes"),
        (_blow_up, "real' claims 1120000000 bytes"),
        (_take_elsewhere, "kept in another file"),
        (_take_virtually, "kept in another file"),
        (lambda file: file.create_group("real"), "of another kind"),
        (lambda file: file.create_dataset("real", data=3.0), "of another kind"),
        (lambda file: file.create_dataset("real", data=["a"]), "of another kind"),
        (_shapes((4,), (3,)), "the shapes are not those"),
        (_shapes((8,), (-2,)), "the shapes are not those"),
        (_shapes((2**40,), (6,)), "the shapes are not those"),
        (_shapes((2**32, 2**32), (6, 1)), "cannot reshape"),
    ],
)
def test_arrays_that_were_never_written(path: Path, make, message) -> None:
    with h5py.File(path, "w") as file:
        make(file)
    with h5py.File(path) as file, pytest.raises(ValueError, match=message):
        read_rows(file, "real")


def test_no_row_takes_more_than_its_file_can_fill(path):
    with h5py.File(path, "w") as file:
        _claim_long_rows(file)

        with pytest.raises(ValueError, match="claims 8000000000000 bytes"):
            read_rows(file, "real", [1])


def test_attributes_are_those_of_h5py(path):
    with h5py.File(path, "w") as file:
        file.attrs.update({"number": 5, "flag": True})
        for name, text in (("word", "Böhm"), ("none", "")):
            dtype = h5py.string_dtype(length=9)
            file.attrs.create(name, text.encode(), dtype=dtype)
        file.attrs["many"] = [1, 2]
        file.attrs["any length"] = "word"
    with h5py.File(path) as file:
        found = {
            name: read_attribute(file, name)
            for name in ("word", "number", "flag", "none")
        }
        assert found == {"word": "Böhm", "number": 5, "flag": True, "none": ""}
        for name in ("many", "any length"):
            with pytest.raises(ValueError, match=f"{name} is not one value"):
                read_attribute(file, name)
        with pytest.raises(KeyError, match="absent"):
            read_attribute(file, "absent")


def test_sums_change_with_name_type_shape_and_values():
    array = np.arange(6, dtype=np.int16)
    others = (array.astype(np.uint16), array.reshape(2, 3), array + 1)

    sums = {row_sums("a", [each])[0] for each in (array, *others)}

    assert len(sums | set(row_sums("b", [array]))) == 5
    assert row_sums("a", [array]) == row_sums("a", np.stack([array]))
