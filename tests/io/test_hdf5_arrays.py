from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from bkgpipe.io.hdf5_arrays import (
    member,
    narrowed,
    read_array,
    read_attribute,
    read_stored,
    read_words,
    stored_sum,
    write_array,
    write_words,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "arrays.h5"


@pytest.mark.parametrize("words", [(), ("",), ("a", "ß" * 100_000)])
def test_words(path: Path, words: tuple[str, ...]) -> None:
    with h5py.File(path, "w") as file:
        write_words(file, "words", words)
        assert read_words(file, "words") == words


def test_floats_are_compressed_where_they_repeat(path: Path) -> None:
    rng = np.random.default_rng(1)
    rates = rng.random((30, 20, 10))
    few = np.where(rates < 0.1, rates, 0.0)
    spread = np.broadcast_to(rates[:, :1, :1], rates.shape)
    counts = rng.poisson(1e5, size=rates.shape)
    arrays = {"rates": rates, "few": few, "spread": spread, "counts": counts}
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            write_array(file, name, array)
            np.testing.assert_array_equal(read_array(file, name), array)
        is_compressed = {name: bool(file[name].compression) for name in arrays}

    assert is_compressed == {
        "rates": False,
        "few": True,
        "spread": True,
        "counts": True,
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


def _claim_much(file: h5py.File) -> None:
    file.create_dataset("real", (10**12,), "f8", chunks=(1000,))


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


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_claim_much, "claims 8000000000000 bytes"),
        (_blow_up, "claims 1120000000 bytes"),
        (_take_elsewhere, "kept in another file"),
        (_take_virtually, "kept in another file"),
        (lambda file: file.create_group("real"), "of another kind"),
        (lambda file: write_words(file, "real", ["a"]), "of another kind"),
    ],
)
def test_arrays_that_were_never_written(path: Path, make, message) -> None:
    with h5py.File(path, "w") as file:
        make(file)
    with h5py.File(path) as file, pytest.raises(ValueError, match=message):
        read_array(file, "real")


def test_attributes_are_those_of_h5py(path):
    with h5py.File(path, "w") as file:
        file.attrs.update({"word": "Böhm", "number": 5, "flag": True, "none": ""})
        file.attrs["many"] = [1, 2]
    with h5py.File(path) as file:
        for name in ("word", "number", "flag", "none"):
            assert read_attribute(file, name) == file.attrs[name]
        with pytest.raises(ValueError, match="many is not one value"):
            read_attribute(file, "many")
        with pytest.raises(KeyError, match="absent"):
            read_attribute(file, "absent")


def test_stored_arrays_have_the_type_of_the_file(path):
    whole = np.arange(-2, 4).reshape(2, 3)
    with h5py.File(path, "w") as file:
        write_array(file, "deep/whole", whole)
        found = read_stored(file, "deep/whole")

    np.testing.assert_array_equal(found, whole)
    assert found.dtype == narrowed(whole).dtype == np.int8


def test_sums_change_with_name_type_shape_and_values():
    array = np.arange(6, dtype=np.int16)
    others = (array.astype(np.uint16), array.reshape(2, 3), array + 1)

    sums = {stored_sum("a", each) for each in (array, *others)}

    assert len(sums | {stored_sum("b", array)}) == 5
    assert stored_sum("a", array) == stored_sum("a", array.copy())
