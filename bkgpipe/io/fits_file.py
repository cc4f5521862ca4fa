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

__all__ = ["NO_IMAGE", "row_table", "write_content", "write_hdus"]

_BLOCK = 2880
_END = b"END".ljust(80)


def _content(hdus: Sequence[fits.hdu.base._BaseHDU]) -> bytes:
    buffer = BytesIO()
    fits.HDUList(list(hdus)).writeto(buffer)
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


def write_hdus(
    path: Path, hdus: Sequence[fits.hdu.base._BaseHDU], *, compress: bool = False
) -> None:
    """Write a FITS file.

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
    write_content(path, _content(hdus), compress=compress)


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
        Header and data, a table of float64; the axes of a cell in FITS order are the
        reversed ones.
    """
    columns = [values.astype(">f8").tobytes() for values, _ in cells.values()]
    data = b"".join(columns)
    cards = [
        _card("XTENSION", "BINTABLE", "binary table extension"),
        _card("BITPIX", 8, "array data type"),
        _card("NAXIS", 2, "number of array dimensions"),
        _card("NAXIS1", len(data), "length of dimension 1"),
        _card("NAXIS2", 1, "length of dimension 2"),
        _card("PCOUNT", 0, "number of group parameters"),
        _card("GCOUNT", 1, "number of groups"),
        _card("TFIELDS", len(cells), "number of table fields"),
        *_column_cards(cells),
        _card("EXTNAME", name, "extension name"),
    ]
    for key, value in keywords.items():
        cards.append(_card(key, *(value if isinstance(value, tuple) else (value, ""))))
    head = b"".join(cards) + _END
    return _padded(head, b" ") + _padded(data, b"\0")


def _column_cards(cells: Mapping[str, tuple[np.ndarray, str]]) -> Iterator[bytes]:
    for i, (key, (values, unit)) in enumerate(cells.items(), start=1):
        yield _card(f"TTYPE{i}", key)
        yield _card(f"TFORM{i}", f"{values.size}D")
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
