"""Rows of the HDU index, and a new index of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from astropy.io import fits

from bkgpipe.store.gadf_names import GADF_URL
from bkgpipe.store.index import find_column, obs_ids, read_index, words

__all__ = ["IndexRow", "index_hdu", "index_rows"]

# Of these each run has one; of responses it may have one of each class
_SINGLE = ("events", "gti", "pointing")
_COLUMNS = ("HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")


class IndexRow(NamedTuple):
    """A row of the HDU index, its file relative to the store.

    Attributes
    ----------
    obs_id : int
        Run number.
    hdu_type, hdu_class : str
        What the HDU is, as in GADF.
    file : str
        Its file.
    hdu_name : str
        Its name.
    """

    obs_id: int
    hdu_type: str
    hdu_class: str
    file: str
    hdu_name: str


def index_rows(path: Path, runs: Iterable[int]) -> list[IndexRow]:
    """Read the rows of some runs.

    Parameters
    ----------
    path : Path
        HDU index.
    runs : iterable of int
        The runs.

    Returns
    -------
    list of IndexRow
        Their rows, as they stand in the index; kinds of HDU in lower case. Of several
        for one thing the first, which gammapy takes as well.

    Raises
    ------
    InputError
        If the index cannot be read.
    """
    table = read_index(path, "hdu-index")
    numbers = obs_ids(table, where=str(path))
    kinds, classes, folders, files, names = (
        words(find_column(table, name), len(table)) for name in _COLUMNS
    )
    rows: dict[tuple[int, str, str], IndexRow] = {}
    for i in np.flatnonzero(np.isin(numbers, list(runs))):
        number, kind = int(numbers[i]), kinds[i].lower()
        file = str(PurePosixPath(folders[i], files[i]))
        key = number, kind, "" if kind in _SINGLE else classes[i]
        rows.setdefault(key, IndexRow(number, kind, classes[i], file, names[i]))
    return list(rows.values())


def index_hdu(rows: Sequence[IndexRow]) -> fits.BinTableHDU:
    """Make an HDU index.

    Parameters
    ----------
    rows : sequence of IndexRow
        Its rows.

    Returns
    -------
    BinTableHDU
        The table.

    References
    ----------
    GADF 0.3, section "Data storage / HDU index".
    """
    files = [PurePosixPath(row.file) for row in rows]
    words = {
        "HDU_TYPE": [row.hdu_type for row in rows],
        "HDU_CLASS": [row.hdu_class for row in rows],
        "FILE_DIR": [str(file.parent) for file in files],
        "FILE_NAME": [file.name for file in files],
        "HDU_NAME": [row.hdu_name for row in rows],
    }
    columns = [
        fits.Column(name="OBS_ID", format="K", array=[row.obs_id for row in rows])
    ]
    for name, values in words.items():
        # astropy writes ASCII alone, while names of files are UTF-8
        encoded = [value.encode() for value in values]
        width = max([1, *map(len, encoded)])
        columns.append(fits.Column(name=name, format=f"{width}A", array=encoded))
    table = fits.BinTableHDU.from_columns(columns, name="HDU_INDEX")
    table.header.update(
        {
            "HDUCLASS": "GADF",
            "HDUDOC": GADF_URL,
            "HDUVERS": "0.3",
            "HDUCLAS1": "INDEX",
            "HDUCLAS2": "HDU",
        }
    )
    return table
