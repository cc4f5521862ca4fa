"""The two index files of a DL3 store."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Column, MaskedColumn, Table

from bkgpipe.errors import InputError
from bkgpipe.store.files import inflate, open_fits, read_content
from bkgpipe.store.headers import read_headers
from bkgpipe.store.store_folder import StoreFolder
from bkgpipe.text import printable

__all__ = [
    "find_column",
    "find_index",
    "find_table",
    "first_files",
    "hdu_files",
    "hdu_rows",
    "obs_ids",
    "read_index",
    "words",
]

_ENDINGS = (".fits.gz", ".fits")
_MAX_NUMBER = 2**63 - 1
# Keyword HDUCLAS2 of each index, and the start of its EXTNAME
_CLASSES = {"obs-index": "OBS", "hdu-index": "HDU"}
_MAX_FILES, _MAX_TABLES = 100, 5  # in which both indexes are looked for


def find_index(store: Path, name: str) -> Path:
    """Find an index file.

    Parameters
    ----------
    store : Path
        Folder of the store; a `StoreFolder` may name the file.
    name : str
        ``obs-index`` or ``hdu-index``.

    Returns
    -------
    Path
        The file of that name, with either ending; else the one file that holds both.

    Raises
    ------
    InputError
        If there is none, or more than one, or the folder cannot be looked at.
    """
    if isinstance(store, StoreFolder) and store.index:
        return store.index
    try:
        found = [
            path
            for path in (store / f"{name}{ending}" for ending in _ENDINGS)
            if path.is_file()
        ]
        found = _without_copy(found) or [*_find_shared(store, _time_of(store))]
    except OSError as error:
        raise InputError(
            what=f"{name} cannot be looked for ({error.strerror or error})",
            where=str(store),
            fix="Check that the folder may be read, and that its disk is there",
        ) from error
    if len(found) > 1:
        raise InputError(
            what=f"{found[0].name} and {found[1].name} are both the {name}, and differ",
            where=str(store),
            fix="Keep one of them, or name a file with both indexes as [data] store",
        )
    if found:
        return found[0]
    raise InputError(
        what=f"{name}.fits and {name}.fits.gz are both missing",
        where=str(store),
        fix="Set [data] store to the folder that holds the index files of a DL3 store, "
        f"or make them for a folder of DL3 files with bkgpipe index {store}",
    )


def _without_copy(paths: list[Path]) -> list[Path]:
    """Leave the second of two files out if it says the same."""
    if len(paths) < 2:
        return paths
    first, second = (
        inflate(read_content(path, where=str(path)), where=str(path)) for path in paths
    )
    return paths[: 1 if first == second else 2]


def _time_of(store: Path) -> int:
    return store.stat().st_mtime_ns if store.is_dir() else 0


@lru_cache(maxsize=8)
def _find_shared(store: Path, _changed: int) -> tuple[Path, ...]:
    """Look for files that hold both indexes, in a folder that has no others."""
    paths = (path for ending in _ENDINGS for path in store.glob(f"*{ending}"))
    return tuple(sorted(path for path in islice(paths, _MAX_FILES) if _has_both(path)))


def _has_both(path: Path) -> bool:
    try:
        headers = [*islice(read_headers(path), _MAX_TABLES)]
    except (OSError, EOFError, ValueError, KeyError, fits.VerifyError):
        return False
    return all(any(_is_index(each, name) for each in headers) for name in _CLASSES)


def _is_index(header: fits.Header, name: str) -> bool:
    """Go by the class of GADF, and by the name where there is none."""
    kind = _CLASSES[name]
    if header.get("HDUCLAS1") == "INDEX" and "HDUCLAS2" in header:
        return bool(header["HDUCLAS2"] == kind)
    words = str(header.get("EXTNAME", "")).upper().replace("-", "_")
    return words.startswith(f"{kind}_INDEX")


def find_table(hdus: fits.HDUList, path: Path, name: str) -> fits.BinTableHDU:
    """Find the table of an index in its file.

    Parameters
    ----------
    hdus : HDUList
        HDUs of the file, in a block of `open_fits`.
    path : Path
        The file.
    name : str
        ``obs-index`` or ``hdu-index``.

    Returns
    -------
    BinTableHDU
        The table of that class or name; the first one of a file that is named for
        the index.

    Raises
    ------
    ValueError
        If there is no such table.
    """
    tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
    named = [hdu for hdu in tables if _is_index(hdu.header, name)]
    if not named and not path.name.startswith(name):
        kind = _CLASSES[name]
        raise ValueError(f"it has no table of HDUCLAS2 = {kind} or named {kind}_INDEX")
    if not tables or (not named and tables[0] is not hdus[1]):
        raise ValueError("its first extension is no table")
    return (named or tables)[0]


def read_index(path: Path, name: str) -> Table:
    """Read an index file.

    Parameters
    ----------
    path : Path
        The file, as `find_index` found it.
    name : str
        ``obs-index`` or ``hdu-index``.

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
        hdu = find_table(hdus, path, name)
        # astropy would make columns of other classes where these say so
        hdu.header.remove("COMMENT", ignore_missing=True, remove_all=True)
        hdu.verify("silentfix")  # such as NaN without quotes
        return Table.read(
            hdu, mask_invalid=False, unit_parse_strict="silent", format="fits"
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
    table = read_index(path, "hdu-index")
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
