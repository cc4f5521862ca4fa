"""HDF5 files that are built in memory and written at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import h5py

__all__ = ["FORMAT", "built"]

# HDF5 1.10 is old enough to be read anywhere and checksums its own metadata
FORMAT = ("v110", "v110")


@contextmanager
def built(path: Path) -> Iterator[h5py.File]:
    """Build an HDF5 file in memory, and write it when the block ends.

    HDF5 that finds the disk full in the middle of a file ends the process with a
    segmentation fault, or raises what is no OSError.

    Parameters
    ----------
    path : Path
        File to write.

    Yields
    ------
    h5py.File
        The file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    content = BytesIO()
    with h5py.File(content, "w", libver=FORMAT) as file:
        yield file
    path.write_bytes(content.getbuffer())
