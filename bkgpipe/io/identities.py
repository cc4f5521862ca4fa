"""What each run of a file was made from, for files that serve several selections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py

from bkgpipe.io.hdf5_columns import add_columns, read_columns

__all__ = ["add_identities", "read_identities"]

_GROUP = "identities"


@dataclass(frozen=True, kw_only=True)
class _Identity:
    """Digest of a run."""

    digest: str


def add_identities(file: h5py.File, identities: Mapping[int, str]) -> None:
    """Add to a file that `write_chunk` writes what its runs were made from.

    Parameters
    ----------
    file : h5py.File
        The file, open to be written.
    identities : mapping of int to str
        Digest of each run, refused ones included.
    """
    records = {key: _Identity(digest=digest) for key, digest in identities.items()}
    add_columns(file, records, ["digest"], group=_GROUP)


def read_identities(path: Path) -> dict[int, str]:
    """Read what the runs of a file were made from.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    dict of int to str
        Digest of each run, refused ones included.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    found = read_columns(path, _Identity, ["digest"], group=_GROUP)
    return {key: values["digest"] for key, values in found.records.items()}
