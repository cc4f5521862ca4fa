"""The two index files of a DL3 store."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Column, MaskedColumn, Table

from bkgpipe.errors import InputError
from bkgpipe.io.files import inflate, open_fits, read_content
from bkgpipe.text import printable

__all__ = [
    "find_column",
    "find_index",
    "first_files",
    "hdu_files",
    "hdu_rows",
    "obs_ids",
    "read_index",
    "second_files",
    "words",
]

_ENDINGS = (".fits.gz", ".fits")
_MAX_NUMBER = 2**63 - 1


def find_index(store: Path, name: str) -> Path:
    """Find an index file.

    Parameters
    ----------
    store : Path
        Folder of the store.
    name : str
        ``obs-index`` or ``hdu-index``.

    Returns
    -------
    Path
        The file, with either ending.

    Raises
    ------
    InputError
        If there is none, or the folder cannot be looked at.
    """
    paths = [store / f"{name}{ending}" for ending in _ENDINGS]
    try:
        for path in paths:
            if path.is_file():
                return path
    except OSError as error:
        raise InputError(
            what=f"{name} cannot be looked for ({error.strerror or error})",
            where=str(store),
            fix="Check that the folder may be read, and that its disk is there",
        ) from error
    raise InputError(
        what=f"{name}.fits and {name}.fits.gz are both missing",
        where=str(store),
        fix="Set [data] store to the folder that holds the index files of a DL3 store",
    )


def read_index(path: Path) -> Table:
    """Read an index file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Table
        The table as it is, words as bytes, header in ``meta``.

    Raises
    ------
    InputError
        If it is no FITS table.
    """
    where = str(path)
    content = inflate(read_content(path, where=where), where=where)
    with open_fits(content, where=where) as hdus:
        if len(hdus) < 2 or not isinstance(hdus[1], fits.BinTableHDU | fits.TableHDU):
            raise ValueError("its first extension is no table")
        # astropy would make columns of other classes where these say so
        hdus[1].header.remove("COMMENT", ignore_missing=True, remove_all=True)
        hdus[1].verify("silentfix")  # such as NaN without quotes
        return Table.read(
            hdus[1], mask_invalid=False, unit_parse_strict="silent", format="fits"
        )


def find_column(table: Table, *names: str) -> Column | MaskedColumn | None:
    """Find a column by any of its names, in either case.

    Parameters
    ----------
    table : Table
        Table.
    *names : str
        Names in upper case, the best first.

    Returns
    -------
    Column or None
        The first that is there.
    """
    found = {name.upper(): name for name in reversed(table.colnames)}
    return next((table[found[name]] for name in names if name in found), None)


def obs_ids(table: Table, *, where: str) -> np.ndarray:
    """Return the run numbers of an index.

    Parameters
    ----------
    table : Table
        Either index.
    where : str
        Its file, for the error.

    Returns
    -------
    np.ndarray
        Run numbers, int64, shape ``(n_rows,)``.

    Raises
    ------
    InputError
        If there are none, or they are no whole numbers.
    """
    column = find_column(table, "OBS_ID")
    if column is None:
        raise InputError(
            what="has no column OBS_ID",
            where=where,
            fix="Give each row a whole number in column OBS_ID",
        )
    found = words(column, len(table))
    numbers = [_run_number(word, row, where) for row, word in enumerate(found, start=1)]
    return np.array(numbers, dtype=np.int64)


def _run_number(word: str, row: int, where: str) -> int:
    """Make a run number of a word; those of other packages may be ``7.0``."""
    try:
        number = int(word) if word.isdecimal() else float(word)
    except ValueError:
        number = math.nan
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, int) and abs(number) <= _MAX_NUMBER:
        return number
    raise InputError(
        what=f"OBS_ID is {word!r} in row {row}, expected a whole number",
        where=where,
        fix="Give each row a whole number in column OBS_ID",
    )


def words(column: Column | MaskedColumn | None, n_rows: int) -> list[str]:
    """Return the words of a column.

    Parameters
    ----------
    column : Column or None
        Column of bytes, words or numbers.
    n_rows : int
        Length, when there is no column.

    Returns
    -------
    list of str
        Words without blanks around them and without control characters, empty when
        there is no column.
    """
    if column is None:
        return [""] * n_rows
    empty: Any = {"S": b"", "U": ""}.get(column.dtype.kind)
    values = np.asarray(np.ma.filled(column, empty))
    found = values.tolist()
    if values.dtype.kind == "S":
        found = [word.decode(errors="replace") for word in found]
    return [printable(str(word)).strip() for word in found]


def hdu_rows(store: Path, hdu_type: str) -> list[tuple[int, tuple[str, str]]]:
    """Return what the HDU index says of a part of the runs, row by row.

    Parameters
    ----------
    store : Path
        Folder of the store.
    hdu_type : str
        Part as in GADF, such as ``events`` or ``aeff``.

    Returns
    -------
    list of tuple
        Run number, and file relative to the store and name of the HDU, of each row.

    Raises
    ------
    InputError
        If the HDU index cannot be used.

    References
    ----------
    GADF, section Data storage, HDU index table.
    """
    path = find_index(store, "hdu-index")
    table = read_index(path)
    kinds = words(find_column(table, "HDU_TYPE"), len(table))
    wanted = [row for row, kind in enumerate(kinds) if kind.lower() == hdu_type]
    if not wanted:
        return []
    rows = table[wanted]
    names = find_column(rows, "FILE_NAME")
    if names is None:
        raise InputError(
            what="has no column FILE_NAME",
            where=str(path),
            fix="Make the HDU index again as GADF describes it",
        )
    folders = words(find_column(rows, "FILE_DIR"), len(rows))
    files = [
        f"{folder.rstrip('/')}/{name}" if folder else name
        for folder, name in zip(folders, words(names, len(rows)), strict=True)
    ]
    hdus = words(find_column(rows, "HDU_NAME"), len(rows))
    numbers = obs_ids(rows, where=str(path)).tolist()
    return list(zip(numbers, zip(files, hdus, strict=True), strict=True))


def hdu_files(store: Path, hdu_type: str) -> dict[int, tuple[str, str]]:
    """Return the file and HDU that hold a part of each run.

    Parameters
    ----------
    store : Path
        Folder of the store.
    hdu_type : str
        Part as in GADF, such as ``events`` or ``aeff``.

    Returns
    -------
    dict of int to tuple of str
        File relative to the store and name of the HDU, for each run that has it.

    Raises
    ------
    InputError
        If the HDU index cannot be used.
    """
    return first_files(hdu_rows(store, hdu_type))


def first_files(
    rows: Sequence[tuple[int, tuple[str, str]]],
) -> dict[int, tuple[str, str]]:
    """Take the first row of each run, as gammapy does.

    Parameters
    ----------
    rows : sequence of tuple
        What `hdu_rows` returned.

    Returns
    -------
    dict of int to tuple of str
        File and HDU of each run.
    """
    return dict(reversed(rows))


def second_files(
    rows: Sequence[tuple[int, tuple[str, str]]],
) -> dict[int, tuple[str, ...]]:
    """Find the runs for which an index names more than one file or HDU.

    Parameters
    ----------
    rows : sequence of tuple
        What `hdu_rows` returned.

    Returns
    -------
    dict of int to tuple of str
        Their files, with the HDU where that is what differs, the one taken first.
    """
    if len({number for number, _ in rows}) == len(rows):
        return {}
    found: dict[int, dict[tuple[str, str], None]] = {}
    for number, (file, hdu) in rows:
        found.setdefault(number, {})[os.path.normpath(file), hdu] = None
    several = {number: [*places] for number, places in found.items()}
    return {
        number: _spelt(places) for number, places in several.items() if len(places) > 1
    }


def _spelt(places: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    if len({file for file, _ in places}) == len(places):
        return tuple(file for file, _ in places)
    return tuple(f"{file}[{hdu}]" for file, hdu in places)
