"""What the products of a production say, without dates and times of computing."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
from astropy.io import fits

__all__ = ["find_damaged", "find_temporary", "read_products"]

# These depend on the moment of writing, as do sums of what holds them.
_FITS_MOMENT = (b"DATE", b"CHECKSUM", b"DATASUM")
_HDF5_MOMENT = ("seconds", "content_sha256")
# Notes of the processes that work; those of dead ones mean nothing.
_RUNNING = "running"
# Checksums that are found again where they could not be kept.
_KEPT = "contents.json"
_ECSV_MOMENT = ("product: ", "content_sha256: ")


def read_products(out: Path) -> dict[str, str]:
    """Read all products, with h5py and astropy alone; return a sum of each.

    A file that cannot be read gets the error in place of a sum. Of pages and pictures
    it is only seen that they have an end.
    """
    found = {}
    for path in _files(out):
        read = _READERS.get("".join(path.suffixes[-2:])) or _READERS.get(path.suffix)
        is_note = path.parent.name == _RUNNING or path.name == _KEPT
        is_product = not is_note and not path.name.startswith(".")
        if read and is_product:
            found[str(path.relative_to(out))] = _read(path, read)
    return found


def find_damaged(out: Path) -> list[str]:
    """List what was set aside."""
    return [n for n in _names(out) if n.endswith(".damaged")]


def find_temporary(out: Path) -> list[str]:
    """List temporary files."""
    return [n for n in _names(out) if "/." in f"/{n}"]


def _names(out: Path) -> list[str]:
    return [str(path.relative_to(out)) for path in _files(out)]


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in sorted(names))


def _read(path: Path, read: Callable[[bytes], object]) -> str:
    try:
        return str(read(path.read_bytes()))
    except Exception as error:  # noqa: BLE001
        return f"unreadable: {error!r}"


def _read_hdf5(content: bytes) -> str:
    total = hashlib.sha256()

    def add(name: str, item: h5py.HLObject) -> None:
        total.update(name.encode())
        for key, value in sorted(item.attrs.items()):
            if key not in _HDF5_MOMENT:
                total.update(f"{key}={np.asarray(value).tolist()!r}".encode())
        if isinstance(item, h5py.Dataset):
            value = item[()]
            total.update(f"{item.dtype} {item.shape}".encode())
            total.update(repr(np.asarray(value).tolist()).encode())

    with h5py.File(BytesIO(content)) as file:
        add("", file)
        file.visititems(add)
    return total.hexdigest()


def _read_fits(content: bytes) -> str:
    total = hashlib.sha256()
    with fits.open(BytesIO(content), memmap=False) as hdus:
        for hdu in hdus:
            place = hdu.fileinfo()
            start, end = place["datLoc"], place["datLoc"] + place["datSpan"]
            header = content[place["hdrLoc"] : start]
            cards = [header[i : i + 80] for i in range(0, len(header), 80)]
            kept = [c for c in cards if c[:8].rstrip() not in _FITS_MOMENT]
            total.update(b"".join(kept))
            total.update(content[start:end])
    if len(content) != end:
        raise ValueError(f"{len(content)} bytes in place of {end}")
    return total.hexdigest()


def _read_ecsv(content: bytes) -> str:
    lines = content.decode().splitlines()
    kept = [line for line in lines if not any(w in line for w in _ECSV_MOMENT)]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


def _read_json(content: bytes) -> str:
    return f"{type(json.loads(content)).__name__} in JSON"


def _read_end(content: bytes, *, end: bytes) -> str:
    if not content.rstrip().endswith(end):
        raise ValueError(f"does not end with {end!r}")
    return "has an end"


_READERS: dict[str, Callable[[bytes], object]] = {
    ".h5": _read_hdf5,
    ".fits": _read_fits,
    ".fits.gz": lambda content: _read_fits(gzip.decompress(content)),
    ".ecsv": _read_ecsv,
    ".json": _read_json,
    ".html": lambda content: _read_end(content, end=b">"),
    ".png": lambda content: _read_end(content, end=b"IEND\xaeB`\x82"),
}
