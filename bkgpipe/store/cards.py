"""Cards of FITS headers as bytes, without control characters.

astropy reads no card that holds one, and writes none: a tab in ``ORIGIN`` of one run
would stop whatever copies its header.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

__all__ = [
    "BLOCK",
    "data_span",
    "header_span",
    "headers",
    "mend_header",
    "mend_headers",
    "outside_data",
]

BLOCK = 2880
"""Bytes of a block, of which headers and data are multiples."""

_MAX_HDUS = 100
_CARD = 80
_FIRST = (b"SIMPLE  ", b"XTENSION")
_END = re.compile(rb"END {77}")
# The standard has these in this order at the start of each header
_SIZES = re.compile(rb"(BITPIX|NAXIS\d{0,3}|PCOUNT|GCOUNT) *= *(-?\d{1,18}) ")
_MAX_SIZES = 16 * _CARD
_PRINTABLE = bytes(range(0x20, 0x7F))
_SPACES = b"\0\t\n\v\f\r"
_MENDED = bytes(
    code if code in _PRINTABLE else ord(" " if code in _SPACES else "?")
    for code in range(256)
)


def mend_headers(content: bytes) -> bytes:
    """Replace control characters in the headers of a FITS file.

    Parameters
    ----------
    content : bytes
        The file, inflated.

    Returns
    -------
    bytes
        The file, just as long; its data and what is no header are as they were.
    """
    mended = {
        start: mend_header(head)
        for start, head in headers(content)
        if head.translate(None, _PRINTABLE)
    }
    if not mended:
        return content
    whole = bytearray(content)
    for place, head in mended.items():
        whole[place : place + len(head)] = head
    return bytes(whole)


def headers(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Go through the headers of a FITS file, as far as they follow each other.

    Parameters
    ----------
    content : bytes
        The file, inflated.

    Yields
    ------
    tuple of int and bytes
        Where a header starts, and all its cards. After one with wrong sizes there are
        data, and no header is found.
    """
    start = 0
    for _ in range(_MAX_HDUS):
        is_header = content.startswith(_FIRST, start)
        span = header_span(content, start) if is_header else 0
        if not span:
            return
        head = content[start : start + span]
        yield start, head
        start += span + data_span(head)


def outside_data(content: bytes) -> bytes:
    """Return a FITS file without the data that its headers announce.

    Parameters
    ----------
    content : bytes
        The file, inflated.

    Returns
    -------
    bytes
        The headers, and all that follows where no header was found.
    """
    parts, end = [], 0
    for start, head in headers(content):
        parts.append(head)
        end = start + len(head) + data_span(head)
    return b"".join([*parts, content[end:]])


def mend_header(head: bytes) -> bytes:
    """Replace control characters in a header.

    Parameters
    ----------
    head : bytes
        All cards of a header.

    Returns
    -------
    bytes
        The same with blanks for tabs, line breaks and zeros, and question marks for
        all else that is no printable ASCII.
    """
    return head.translate(_MENDED)


def header_span(content: bytes, start: int = 0) -> int:
    """Return how many bytes a header takes.

    Parameters
    ----------
    content : bytes
        A file.
    start : int
        Where the header starts.

    Returns
    -------
    int
        Bytes, in whole blocks; 0 if it does not end.
    """
    for end in _END.finditer(content, start):
        if (end.start() - start) % _CARD == 0:
            return -((start - end.end()) // BLOCK) * BLOCK
    return 0


def data_span(head: bytes) -> int:
    """Return how many bytes the data after a header take.

    Parameters
    ----------
    head : bytes
        The header.

    Returns
    -------
    int
        Bytes, in whole blocks.

    References
    ----------
    FITS standard 4.0, section 4.4.1, equation 2.
    """
    places = range(0, _MAX_SIZES, _CARD)
    cards = [card for place in places if (card := _SIZES.match(head, place))]
    found = {card[1]: int(card[2]) for card in cards}
    n_axes = found.get(b"NAXIS", 0)
    axes = [found.get(b"NAXIS%d" % axis, 0) for axis in range(1, n_axes + 1)]
    size = math.prod(axes) if axes else 0
    size = (size + found.get(b"PCOUNT", 0)) * found.get(b"GCOUNT", 1)
    size *= abs(found.get(b"BITPIX", 8)) // 8
    return -(-max(size, 0) // BLOCK) * BLOCK
