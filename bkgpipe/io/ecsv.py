"""Tables of a row for each run or group as ECSV, with the header of the product."""

from __future__ import annotations

import csv
import hashlib
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from astropy.table import MaskedColumn, Table
from astropy.table import meta as table_meta

from bkgpipe.datamodel import ProductHeader
from bkgpipe.errors import DamagedFileError, OutputError

__all__ = ["Column", "read_rows", "read_table_header", "write_rows"]

_Row = TypeVar("_Row")

_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    csv.Error,
    table_meta.YamlParseError,
)


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
    arrays = [table[name].value for name in columns]
    # a table that lost its last rows would still be a table
    table.meta = {"product": asdict(header), "content_sha256": _digest(arrays)}
    try:
        table.write(path, format="ascii.ecsv", overwrite=True)
    except OSError as error:
        raise OutputError(
            what=f"the file cannot be written ({error})",
            where=str(path),
            fix="Check that the folder exists and has free space",
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
        table = _read_table(path)
        arrays = [_array(table[name], column.kind) for name, column in columns.items()]
        if table.meta["content_sha256"] != _digest(arrays):
            raise _damaged(path, "the checksum is wrong")
        rows = zip(*(array.tolist() for array in arrays), strict=True)
        return [make(**dict(zip(columns, row, strict=True))) for row in rows]


def read_table_header(path: Path) -> ProductHeader:
    """Read the origin of a table, without its rows.

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
        meta = table_meta.get_header_from_yaml(_comments(path))["meta"]
        return ProductHeader(**meta["product"])


def _read_table(path: Path) -> Table:
    # the runs of a group are one word, which may be longer than csv allows
    limit = csv.field_size_limit(sys.maxsize)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return Table.read(path, format="ascii.ecsv")
    finally:
        csv.field_size_limit(limit)


def _comments(path: Path) -> list[str]:
    lines = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            if not line.startswith("# "):
                break
            lines.append(line.removeprefix("# "))
    return lines


def _array(column: Any, kind: type) -> np.ndarray:
    # astropy takes empty words for missing ones
    is_masked = isinstance(column, MaskedColumn)
    values = column.filled("") if is_masked and kind is str else column
    return np.asarray(values).astype(kind)


def _digest(arrays: Sequence[np.ndarray]) -> str:
    total = hashlib.sha256()
    for array in arrays:
        if array.dtype.kind == "U":
            total.update("\n".join(array.tolist()).encode())
        elif array.dtype.kind == "f":
            # NaN comes in many bit patterns
            total.update(np.where(np.isnan(array), np.nan, array).tobytes())
        else:
            total.update(array.tobytes())
    return total.hexdigest()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        raise _damaged(path, f"the table cannot be read ({error})") from error


def _damaged(path: Path, what: str) -> DamagedFileError:
    return DamagedFileError(
        what=what,
        where=str(path),
        fix="Run the stage again: the file will be set aside and made anew",
    )
