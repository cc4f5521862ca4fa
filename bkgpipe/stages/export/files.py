"""Checkpoints of `export`, with the files that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bkgpipe.core.product import Chunk, ProductHeader
from bkgpipe.core.seal import Seal
from bkgpipe.product.chunk_file import ChunkFile, read_table
from bkgpipe.product.hdf5 import OpenFile
from bkgpipe.stages.export.data import ExportEntry
from bkgpipe.stages.smooth.data import NodeModel

__all__ = ["ENTRIES", "NODES", "read_seals", "write_entries"]

ENTRIES = ChunkFile(ExportEntry)
NODES = ChunkFile(NodeModel)

_SEALS = "seals"


def write_entries(
    path: Path,
    header: ProductHeader,
    chunk: Chunk[ExportEntry],
    *,
    seals: Sequence[Seal],
) -> None:
    """Write what was written for each run.

    Parameters
    ----------
    path : Path
        HDF5 file, for `ENTRIES` to read.
    header : ProductHeader
        Origin of the product.
    chunk : Chunk of ExportEntry
        One entry for each run.
    seals : sequence of Seal
        Every file that was made for them.
    """
    ENTRIES.write(path, header, chunk, tables={_SEALS: dict(enumerate(seals))})


def read_seals(path: Path | OpenFile) -> list[Seal]:
    """Read which files a chunk stands for.

    Parameters
    ----------
    path : Path or OpenFile
        HDF5 file.

    Returns
    -------
    list of Seal
        Name, size and checksum of each.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    return list(read_table(path, _SEALS, Seal).values())
