"""Tables of a row for each run or group as ECSV, with the header of the product."""

from __future__ import annotations

import csv
import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import dropwhile, islice, takewhile
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from astropy.table import Table
from astropy.table import meta as table_meta

from bkgpipe.core.passing import require_lasting
from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import OutputError
from bkgpipe.product.damage import UNREADABLE, damaged

__all__ = ["Column", "read_rows", "read_table_header", "write_rows", "write_table"]

_Row = TypeVar("_Row")

_BLOCK = 5000  # rows whose words are in memory at once
_FLAGS = {"True": True, "False": False}

_UNREADABLE = (*UNREADABLE, csv.Error, table_meta.YamlParseError)

# Stands for the checksum of the file while that is computed
_BLANK = b"0" * 64
_SUM = re.compile(rb"content_sha256: '([0-9a-f]{64})'")


class Column(NamedTuple):
    """One column of a table.

    Attributes
    ----------
    kind : type
        bool, int, float or str.
    unit : str
        Unit, empty for none.
    description : str
        What it is.
    """

    kind: type
    unit: str
    description: str


def write_rows(
    path: Path,
    header: ProductHeader,
    *,
    columns: Mapping[str, Column],
    values: Mapping[str, Sequence[Any]],
) -> None:
    """Write a table.

    Parameters
    ----------
    path : Path
        ECSV file.
    header : ProductHeader
        Origin of the product.
    columns : mapping of str to Column
        Columns in their order.
    values : mapping of str to sequence
        Values of each column, ``n_rows`` each.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    table = Table()
    for name, column in columns.items():
        table[name] = np.array(values[name], dtype=column.kind)
        table[name].unit = column.unit or None
        table[name].description = column.description or None
    table.meta = {"product": asdict(header), "content_sha256": _BLANK.decode()}
    write_table(path, table)
    _stamp(path)


def write_table(path: Path, table: Table) -> None:
    """Write a table of any columns.

    Parameters
    ----------
    path : Path
        ECSV file.
    table : Table
        The table.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    try:
        table.write(path, format="ascii.ecsv", overwrite=True)
    except OSError as error:
        raise OutputError(
            what=f"the file cannot be written ({error.strerror})",
            where=str(path),
            fix="Give a file in an existing folder with free space",
        ) from error


def read_rows(
    path: Path, columns: Mapping[str, Column], make: Callable[..., _Row]
) -> list[_Row]:
    """Read a table.

    Parameters
    ----------
    path : Path
        ECSV file.
    columns : mapping of str to Column
        Columns.
    make : callable
        Makes an object of the values of one row, given by name.

    Returns
    -------
    list of object
        One object for each row.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    with _reading(path):
        _read_header(path)
        arrays = _read_arrays(path, columns)
        rows = zip(*(array.tolist() for array in arrays), strict=True)
        return [make(**dict(zip(columns, row, strict=True))) for row in rows]


def read_table_header(path: Path) -> ProductHeader:
    """Read the origin of a table, whose rows are compared with their checksum alone.

    Parameters
    ----------
    path : Path
        ECSV file.

    Returns
    -------
    ProductHeader
        Header.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    with _reading(path):
        return _read_header(path)


def _stamp(path: Path) -> None:
    """Put the checksum of a table into its place."""
    content = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(content.index(_BLANK))
        file.write(hashlib.sha256(content).hexdigest().encode())


def _read_header(path: Path) -> ProductHeader:
    """Compare a table with its checksum, and read its origin."""
    content = memoryview(path.read_bytes())
    place = _SUM.search(content)
    if not place:
        raise damaged(path, "the table cannot be read: its checksum is missing")
    total = hashlib.sha256(content[: place.start(1)])
    total.update(_BLANK)
    total.update(content[place.end(1) :])
    if total.hexdigest().encode() != place[1]:
        raise damaged(path, "the checksum of its content is wrong")
    found = table_meta.get_header_from_yaml(_read_comments(path))
    return ProductHeader(**found["meta"]["product"])


def _read_arrays(path: Path, columns: Mapping[str, Column]) -> list[np.ndarray]:
    """Read the columns of a table that we wrote.

    astropy reads all that ECSV can be; for 10^5 rows that takes twice as long, and the
    memory of all their words.
    """
    # the runs of a group are one word, which may be longer than csv allows
    limit = csv.field_size_limit(sys.maxsize)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(_skip_comments(file), delimiter=" ")
            names = next(rows)
            blocks = [_make_arrays([], names, columns)]
            while block := list(islice(rows, _BLOCK)):
                blocks.append(_make_arrays(block, names, columns))
    finally:
        csv.field_size_limit(limit)
    return [np.concatenate(arrays) for arrays in zip(*blocks, strict=True)]


def _make_arrays(
    rows: list[list[str]], names: list[str], columns: Mapping[str, Column]
) -> list[np.ndarray]:
    words = list(zip(*rows, strict=True)) or [()] * len(names)
    found = dict(zip(names, words, strict=True))
    return [_array(found[name], column.kind) for name, column in columns.items()]


def _skip_comments(file: Iterable[str]) -> Iterator[str]:
    return dropwhile(lambda line: line.startswith("# "), file)


def _read_comments(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as file:
        lines = takewhile(lambda line: line.startswith("# "), file)
        return [line.removeprefix("# ") for line in lines]


def _array(words: Sequence[str], kind: type) -> np.ndarray:
    parse = _FLAGS.__getitem__ if kind is bool else kind
    return np.array([parse(word) for word in words], dtype=kind)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        require_lasting(error, where=str(path))
        raise damaged(path, f"the table cannot be read ({error})") from error
