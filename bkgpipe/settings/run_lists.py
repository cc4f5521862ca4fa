"""Lists of runs in the settings, on the command line and in files of their own."""

from __future__ import annotations

import re
from pathlib import Path

from bkgpipe.core.run_list import RunList
from bkgpipe.text import decode_text

__all__ = ["parse_run_list", "read_run_list"]

_NUMBER = re.compile(r"-?\d{1,18}")
_RANGE = re.compile(r"(\d{1,18})-(\d{1,18})")
# as text programs write them, too
_DASH = re.compile(r"(?<=\d)\s*[-\N{EN DASH}\N{EM DASH}]\s*(?=\d)")
_SEPARATOR = re.compile(r"[,;\s]+")
_EXPECTED = "expected run numbers or ranges such as 20136-20151"


def parse_run_list(text: str, *, place: str = "") -> RunList:
    """Parse run numbers and ranges, with commas or blanks between.

    Parameters
    ----------
    text : str
        The list; what follows ``#`` in a line is a comment.
    place : str
        Where it stands, for the error; empty if it is in the settings.

    Returns
    -------
    RunList
        Numbers and ranges in order, each once.

    Raises
    ------
    ValueError
        If a word is neither, with the word and its line.
    """
    entries: set[int | tuple[int, int]] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        words = _SEPARATOR.split(_DASH.sub("-", line.partition("#")[0]))
        for word in filter(None, words):
            try:
                entries.add(_parse_entry(word))
            except ValueError as error:
                where = f"{place}, line {number}: " * bool(place)
                raise ValueError(f"{where}{error}") from None
    return tuple(sorted(entries, key=_first_and_last))


def read_run_list(path: Path) -> RunList:
    """Read a file of run numbers and ranges.

    Parameters
    ----------
    path : Path
        Text file in UTF-8, or with a byte order mark.

    Returns
    -------
    RunList
        Numbers and ranges in order, each once.

    Raises
    ------
    ValueError
        If there is no such file, it is no text, or a word in it is neither.
    """
    if not path.is_file():
        raise ValueError(f"no such file: {path}")
    try:
        text = decode_text(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8 ({error.reason})") from None
    return parse_run_list(text, place=str(path))


def _parse_entry(word: str) -> int | tuple[int, int]:
    if _NUMBER.fullmatch(word):
        return int(word)
    bounds = _RANGE.fullmatch(word)
    if bounds is None:
        raise ValueError(f"{_EXPECTED}, found {word[:40]!r}")
    first, last = int(bounds[1]), int(bounds[2])
    if first > last:
        raise ValueError(f"the range {word} ends before it starts")
    return first if first == last else (first, last)


def _first_and_last(entry: int | tuple[int, int]) -> tuple[int, int]:
    return entry if isinstance(entry, tuple) else (entry, entry)
