"""Checksums of FITS files: added to those we write, compared in those we read.

astropy writes the time of day beside them, so that equal content would give other
files, and to verify them takes it as long as to read the events.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bkgpipe.errors import InputError
from bkgpipe.store.cards import outside_data

__all__ = ["has_sums", "require_sums", "with_sums"]

_BLOCK, _CARD = 2880, 80
_END = b"END".ljust(_CARD)
_BEGIN = (b"SIMPLE", b"XTENSION")
_SUM, _DATASUM = b"CHECKSUM", b"DATASUM"
_ALL_ONES = 2**32 - 1
_WORD = re.compile(rb" *'([^']*)'")
_NUMBER = re.compile(rb" *([+-]?\d+)")
# ASCII punctuation, which has no place in an encoded sum
_EXCLUDED = frozenset([*range(0x3A, 0x41), *range(0x5B, 0x61)])


class _Hdu(NamedTuple):
    """Header as cards, and all of an HDU as bytes."""

    cards: dict[bytes, bytes]
    head: bytes
    data: bytes

    @property
    def name(self) -> str:
        word = _WORD.match(self.cards.get(b"EXTNAME", b""))
        return word[1].decode(errors="replace").strip() if word else "PRIMARY"

    def word(self, key: bytes) -> bytes:
        """Return the value of a card; empty when there is none."""
        found = _WORD.match(self.cards.get(key, b""))
        return found[1].strip() if found else b""


def require_sums(content: bytes, *, where: str) -> None:
    """Refuse a file whose header or data are not those that it has checksums of.

    Parameters
    ----------
    content : bytes
        The file, inflated; without any checksum it is taken as it is.
    where : str
        Run and file, for the error.

    Raises
    ------
    InputError
        If a checksum is wrong.
    OSError
        If a file with checksums does not consist of HDUs.

    References
    ----------
    FITS standard 4.0, section 4.4.2.7.
    """
    if not has_sums(content):
        return
    for hdu in _hdus(content):
        data = _sum(hdu.data)
        stated = hdu.word(_DATASUM)
        if stated and stated != b"%d" % data:
            raise _wrong("DATASUM", hdu, where)
        if hdu.word(_SUM) and _add(_sum(hdu.head), data) not in {0, _ALL_ONES}:
            raise _wrong("CHECKSUM", hdu, where)


def has_sums(content: bytes) -> bool:
    """Tell whether a FITS file has checksums.

    Parameters
    ----------
    content : bytes
        The file, inflated.

    Returns
    -------
    bool
        True if any HDU has one.
    """
    heads = outside_data(content)
    return _SUM + b"=" in heads or _DATASUM + b" =" in heads


def with_sums(content: bytes) -> bytes:
    """Give each HDU CHECKSUM and DATASUM of what it holds.

    Parameters
    ----------
    content : bytes
        A FITS file.

    Returns
    -------
    bytes
        The file with them; HDUs of which both are right stay as they are.

    References
    ----------
    FITS standard 4.0, section 4.4.2.7 and appendix J.
    """
    parts: list[bytes] = []
    for hdu in _hdus(content):
        parts += [hdu.head if _is_right(hdu) else _summed_head(hdu), hdu.data]
    return b"".join(parts)


def _is_right(hdu: _Hdu) -> bool:
    """Tell whether an HDU has both checksums, as it is now."""
    if not hdu.word(_SUM):
        return False
    data = _sum(hdu.data)
    is_whole = _add(_sum(hdu.head), data) in {0, _ALL_ONES}
    return hdu.word(_DATASUM) == b"%d" % data and is_whole


def _summed_head(hdu: _Hdu) -> bytes:
    data = _sum(hdu.data)
    cards = [hdu.head[i : i + _CARD] for i in range(0, len(hdu.head), _CARD)]
    kept = cards[: cards.index(_END)]
    kept = [card for card in kept if card[:8].rstrip() not in {_SUM, _DATASUM}]
    start = b"".join(kept)
    end = _card(_DATASUM, b"%d" % data, b"checksum of the data") + _END
    length = -(-(len(start) + _CARD + len(end)) // _BLOCK) * _BLOCK
    blank = (start + _card(_SUM, b"0" * 16, b"of all of this HDU") + end).ljust(length)
    total = _encode(_ALL_ONES - _add(_sum(blank), data))
    return (start + _card(_SUM, total, b"of all of this HDU") + end).ljust(length)


def _card(key: bytes, word: bytes, comment: bytes) -> bytes:
    # laid out as by astropy, which puts its own card in place before it adds up
    return (b"%-8s= %-20s / %s" % (key, b"'%-8s'" % word, comment)).ljust(_CARD)


def _hdus(content: bytes) -> Iterator[_Hdu]:
    start = 0
    while content[start : start + _BLOCK].strip(b"\0 "):
        if not content.startswith(_BEGIN, start):
            raise OSError(f"what follows byte {start} of {len(content)} is no HDU")
        cards, middle = _read_head(content, start)
        end = middle + _data_length(cards)
        if end > len(content):
            raise OSError(f"an HDU ends at byte {end} of {len(content)}")
        yield _Hdu(cards, content[start:middle], content[middle:end])
        start = end


def _read_head(content: bytes, start: int) -> tuple[dict[bytes, bytes], int]:
    """Return value and comment of each keyword of a header, and where it ends."""
    cards: dict[bytes, bytes] = {}
    for place in range(start, len(content) - _CARD + 1, _CARD):
        card = content[place : place + _CARD]
        if card == _END:
            blocks = -(-(place + _CARD - start) // _BLOCK)
            return cards, start + blocks * _BLOCK
        cards.setdefault(card[:8].rstrip(), card[10:])
    raise OSError(f"the header at byte {start} has no end")


def _data_length(cards: dict[bytes, bytes]) -> int:
    """Return the length of the data with what fills the last block [bytes]."""

    def number(key: bytes, otherwise: int) -> int:
        found = _NUMBER.match(cards.get(key, b""))
        return int(found[1]) if found else otherwise

    n_axes = number(b"NAXIS", 0)
    if not 0 <= n_axes < 1000:
        raise OSError(f"an HDU has {n_axes} axes")
    axes = [number(b"NAXIS%d" % i, 0) for i in range(1, n_axes + 1)]
    n_values = number(b"PCOUNT", 0) + (math.prod(axes) if axes else 0)
    size = abs(number(b"BITPIX", 8)) // 8 * number(b"GCOUNT", 1) * n_values
    if size < 0:
        raise OSError(f"an HDU has {size} bytes")
    return -(-size // _BLOCK) * _BLOCK


def _sum(content: bytes) -> int:
    """Add up words of 32 bits in ones' complement arithmetic."""
    return _add(int(np.frombuffer(content, dtype=">u4").sum(dtype=np.uint64)), 0)


def _add(one: int, other: int) -> int:
    total = one + other
    while total > _ALL_ONES:
        total = (total & _ALL_ONES) + (total >> 32)
    return total


def _encode(value: int) -> bytes:
    """Write a sum as sixteen letters and digits that add up to it."""
    letters = bytearray(16)
    for i, byte in enumerate(value.to_bytes(4, "big")):
        quarter = byte // 4 + 0x30
        four = [quarter + byte % 4, quarter, quarter, quarter]
        while _EXCLUDED.intersection(four):
            for j in (0, 2):
                if _EXCLUDED.intersection(four[j : j + 2]):
                    four[j], four[j + 1] = four[j] + 1, four[j + 1] - 1
        letters[i::4] = bytes(four)
    # the value begins at the last byte of a word of its card
    return bytes(letters[-1:] + letters[:-1])


def _wrong(key: str, hdu: _Hdu, where: str) -> InputError:
    return InputError(
        what=f"the {key} of HDU {hdu.name} is wrong: its content was changed",
        where=where,
        fix="Restore the file or exclude the run; if it was changed on purpose, remove"
        " CHECKSUM and DATASUM from its header",
    )
