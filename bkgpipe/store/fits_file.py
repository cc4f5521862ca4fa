"""FITS files that are the same bytes for the same content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
from astropy.io import fits
from isal import igzip

from bkgpipe.errors import OutputError
from bkgpipe.store.fits_sums import with_sums

__all__ = [
    "NO_IMAGE",
    "column_table",
    "row_table",
    "write_content",
    "write_fits",
    "write_hdus",
]

_BLOCK = 2880
_END = b"END".ljust(80)
_FIELDS = "number of table fields"
# V4 are the bits of GADF's EVENT_TYPE
_FORMATS = {"f8": "D", "f4": "E", "i8": "K", "i4": "J", "i2": "I", "V4": "32X"}


def _content(hdus: Sequence[fits.hdu.base._BaseHDU]) -> bytes:
    buffer = BytesIO()
    # cards of others that the standard does not know become text
    fits.HDUList(list(hdus)).writeto(buffer, output_verify="silentfix")
    return buffer.getvalue()


NO_IMAGE = _content([fits.PrimaryHDU()])
"""Primary HDU of a file that holds tables only."""


def write_content(path: Path, content: bytes, *, compress: bool = False) -> None:
    """Write a file.

    Parameters
    ----------
    path : Path
        The file; its name does not matter, so that it can be a temporary one.
    content : bytes
        What to write.
    compress : bool
        Write it as gzip, without a time in its header.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        path.write_bytes(igzip.compress(content, 2, mtime=0) if compress else content)
    except OSError as error:
        raise OutputError(
            what=f"the file cannot be written ({error.strerror})",
            where=str(path),
            fix="Give a file in an existing folder with free space",
        ) from error


def write_fits(path: Path, content: bytes, *, compress: bool = False) -> None:
    """Write a FITS file, with CHECKSUM and DATASUM in each HDU.

    Parameters
    ----------
    path : Path
        The file; its name does not matter, so that it can be a temporary one.
    content : bytes
        Its HDUs; those that have both sums stay as they are.
    compress : bool
        Write it as gzip, without a time in its header.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    write_content(path, with_sums(content), compress=compress)


def write_hdus(
    path: Path, hdus: Sequence[fits.hdu.base._BaseHDU], *, compress: bool = False
) -> None:
    """Write a FITS file, with CHECKSUM and DATASUM in each HDU.

    Parameters
    ----------
    path : Path
        The file; its name does not matter, so that it can be a temporary one.
    hdus : sequence of HDU
        A primary HDU and extensions.
    compress : bool
        Write it as gzip, without a time in its header.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    write_fits(path, _content(hdus), compress=compress)


def row_table(
    name: str,
    cells: Mapping[str, tuple[np.ndarray, str]],
    keywords: Mapping[str, object],
) -> bytes:
    """Return a table of one row, each cell of which is a whole array.

    The bytes are those of astropy, which takes ten times as long to make them: a
    production writes four such tables for each run.

    Parameters
    ----------
    name : str
        Name of the HDU.
    cells : mapping of str to tuple of np.ndarray and str
        Array, any shape, and unit as FITS writes it, of each column.
    keywords : mapping of str to object
        Value, or value and comment, of each keyword of its own.

    Returns
    -------
    bytes
        Header and data, a table of float64, or of bytes for arrays of ``uint8``; the
        axes of a cell in FITS order are the reversed ones.
    """
    columns = [_cell_bytes(values) for values, _ in cells.values()]
    data = b"".join(columns)
    head = _head(name, (1, len(data)), [*_column_cards(cells)], keywords)
    return head + _padded(data, b"\0")


def _cell_bytes(values: np.ndarray) -> bytes:
    if values.dtype == np.uint8:
        return values.tobytes()
    return values.astype(">f8").tobytes()


def column_table(
    name: str,
    columns: Mapping[str, tuple[np.ndarray, str]],
    keywords: Mapping[str, object],
) -> bytes:
    """Return a table of many rows, each cell of which is a number.

    As with `row_table`, astropy takes ten times as long: there are 10^5 such tables in
    a simulated archive.

    Parameters
    ----------
    name : str
        Name of the HDU.
    columns : mapping of str to tuple of np.ndarray and str
        Values, float, int or 32 bits as ``V4``, shape ``(n_rows,)``, and unit as FITS
        writes it, of each column.
    keywords : mapping of str to object
        Value, or value and comment, of each keyword of its own.

    Returns
    -------
    bytes
        Header and data.
    """
    rows = np.empty(
        len(next(iter(columns.values()))[0]),
        dtype=[
            (key, f">{values.dtype.str[1:]}") for key, (values, _) in columns.items()
        ],
    )
    cards = []
    for i, (key, (values, unit)) in enumerate(columns.items(), start=1):
        rows[key] = values
        cards.append(_card(f"TTYPE{i}", key))
        cards.append(_card(f"TFORM{i}", _FORMATS[values.dtype.str[1:]]))
        if unit:
            cards.append(_card(f"TUNIT{i}", unit))
    head = _head(name, (len(rows), rows.dtype.itemsize), cards, keywords)
    return head + _padded(rows.tobytes(), b"\0")


def _head(
    name: str,
    shape: tuple[int, int],
    columns: list[bytes],
    keywords: Mapping[str, object],
) -> bytes:
    """Return the header of a table of so many rows of so many bytes."""
    cards = [
        _card("XTENSION", "BINTABLE", "binary table extension"),
        _card("BITPIX", 8, "array data type"),
        _card("NAXIS", 2, "number of array dimensions"),
        _card("NAXIS1", shape[1], "length of dimension 1"),
        _card("NAXIS2", shape[0], "length of dimension 2"),
        _card("PCOUNT", 0, "number of group parameters"),
        _card("GCOUNT", 1, "number of groups"),
        _card("TFIELDS", sum(card.startswith(b"TTYPE") for card in columns), _FIELDS),
        *columns,
        _card("EXTNAME", name, "extension name"),
    ]
    for key, value in keywords.items():
        cards.append(_card(key, *(value if isinstance(value, tuple) else (value, ""))))
    return _padded(b"".join(cards) + _END, b" ")


def _column_cards(cells: Mapping[str, tuple[np.ndarray, str]]) -> Iterator[bytes]:
    for i, (key, (values, unit)) in enumerate(cells.items(), start=1):
        yield _card(f"TTYPE{i}", key)
        form = "B" if values.dtype == np.uint8 else "D"
        yield _card(f"TFORM{i}", f"{values.size}{form}")
        if unit:
            yield _card(f"TUNIT{i}", unit)
        yield _card(f"TDIM{i}", f"({','.join(map(str, reversed(values.shape)))})")


# Most cards are the same in all files; 1, 1.0 and True are equal, but not as cards
@lru_cache(maxsize=1024, typed=True)
def _card(key: str, value: object, comment: str = "") -> bytes:
    image: bytes = str(fits.Card(key, value, comment)).encode("ascii")
    return image


def _padded(content: bytes, filling: bytes) -> bytes:
    return content + filling * (-len(content) % _BLOCK)
