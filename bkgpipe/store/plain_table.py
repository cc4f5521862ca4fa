"""Columns and rows of FITS tables, without what astropy does for all others.

To describe the fourteen columns of an events table takes astropy as long as to inflate
the file. Tables of plain numbers need no such description.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import numpy as np
from astropy.io import fits

__all__ = ["keep_rows", "read_plain_columns"]

_NUMBERS = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_SIZES = {"L": 1, "A": 1, "C": 8, "M": 16} | {
    code: np.dtype(kind).itemsize for code, kind in _NUMBERS.items()
}
_FORM = re.compile(r"(\d*)([A-Z])")
# Keywords that make other numbers of what is stored
_CHANGES = ("TSCAL", "TZERO", "TNULL")
_BLOCK = 2880


def keep_rows(
    header: fits.Header, data: bytes, is_kept: np.ndarray
) -> tuple[fits.Header, bytes]:
    """Leave rows out of a table; lists that are stored after the rows stay.

    Parameters
    ----------
    header : fits.Header
        Header of the table.
    data : bytes
        Its data.
    is_kept : np.ndarray
        True for the rows that stay, shape ``(n_rows,)``.

    Returns
    -------
    fits.Header
        Header of the new table, a copy without checksums.
    bytes
        Its data, in whole blocks.

    References
    ----------
    FITS standard 4.0, section 7.3.
    """
    header = header.copy()
    n_rows, width = int(header["NAXIS2"]), int(header["NAXIS1"])
    n_cut = n_rows - int(np.count_nonzero(is_kept))
    end = n_rows * width
    rows = np.frombuffer(data, dtype=np.uint8, count=end).reshape(n_rows, width)
    kept = rows[is_kept].tobytes() + data[end : end + int(header.get("PCOUNT", 0))]
    header["NAXIS2"] = n_rows - n_cut
    if "THEAP" in header:
        header["THEAP"] -= n_cut * width
    for key in ("CHECKSUM", "DATASUM"):
        header.remove(key, ignore_missing=True)
    return header, kept + bytes(-len(kept) % _BLOCK)


def read_plain_columns(
    hdu: fits.BinTableHDU, content: bytes, names: Collection[str]
) -> dict[str, tuple[np.ndarray, str]]:
    """Read columns if each holds one number in each row, stored as it is meant.

    Parameters
    ----------
    hdu : fits.BinTableHDU
        Table.
    content : bytes
        Content of the file that it is in, inflated.
    names : collection of str
        Names of columns in upper case.

    Returns
    -------
    dict of str to tuple of np.ndarray and str
        Values, shape ``(n_rows,)``, and unit of each column; empty if one of them is
        absent or not plain, and astropy must read it.
    """
    layout = _find_layout(hdu.header, set(names))
    n_rows = int(hdu.header["NAXIS2"])
    if len(layout) != len(names) or n_rows < 0:
        return {}
    table = np.frombuffer(
        content,
        dtype={
            "names": list(layout),
            "formats": [kind for kind, _, _ in layout.values()],
            "offsets": [place for _, place, _ in layout.values()],
            "itemsize": int(hdu.header["NAXIS1"]),
        },
        count=n_rows,
        offset=int(hdu.fileinfo()["datLoc"]),
    )
    return {name: (table[name], unit) for name, (_, _, unit) in layout.items()}


def _find_layout(
    header: fits.Header, names: set[str]
) -> dict[str, tuple[str, int, str]]:
    """Find type, place in the row and unit of the columns that are plain."""
    layout: dict[str, tuple[str, int, str]] = {}
    place = 0
    for i in range(1, int(header["TFIELDS"]) + 1):
        form = _FORM.fullmatch(str(header[f"TFORM{i}"]).strip())
        if form is None or form[2] not in _SIZES:
            return {}
        n_values = int(form[1] or 1)
        name = str(header.get(f"TTYPE{i}", "")).strip().upper()
        if name in layout:
            return {}
        if name in names and n_values == 1 and _is_plain(header, form[2], i):
            unit = str(header.get(f"TUNIT{i}", "")).strip()
            layout[name] = (_NUMBERS[form[2]], place, unit)
        place += n_values * _SIZES[form[2]]
    return layout if place == int(header["NAXIS1"]) else {}


def _is_plain(header: Any, code: str, number: int) -> bool:
    return code in _NUMBERS and not any(f"{key}{number}" in header for key in _CHANGES)
