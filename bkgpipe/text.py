"""Text from other people's files: decoded, and safe to show."""

from __future__ import annotations

import codecs

__all__ = ["decode_text", "printable"]

_NO_CHARACTER = "\N{REPLACEMENT CHARACTER}"
# The longer marks first: that of UTF-32 starts with that of UTF-16
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def printable(text: str, *, keep: str = "") -> str:
    r"""Replace characters that would command a terminal, not show on it.

    Parameters
    ----------
    text : str
        Text from a file.
    keep : str
        Characters to leave as they are, such as line breaks.

    Returns
    -------
    str
        The same text with a blank for each tab, line break or other space, and the
        replacement character for each other one that cannot be printed.

    Examples
    --------
    >>> printable("H.E.S.S.\tCollaboration")
    'H.E.S.S. Collaboration'
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in keep else _instead(each) for each in text
    )


def _instead(character: str) -> str:
    return " " if character.isspace() else _NO_CHARACTER


def decode_text(content: bytes) -> str:
    """Decode a text file, also one that starts with a byte order mark.

    Parameters
    ----------
    content : bytes
        Content of the file.

    Returns
    -------
    str
        Its text without the mark: UTF-8, or UTF-16 and UTF-32 where a mark says so.

    Raises
    ------
    UnicodeDecodeError
        If it is no such text.
    """
    encoding = next(
        (name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8"
    )
    return content.decode(encoding)
