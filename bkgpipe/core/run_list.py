"""Lists of runs as users write them: numbers, and ranges of which a store has some."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

__all__ = ["RunList", "find_listed", "listed_words"]

RunList: TypeAlias = tuple[int | tuple[int, int], ...]
"""Run numbers, and first and last number of ranges."""


def find_listed(
    listed: RunList, known: Iterable[int]
) -> tuple[frozenset[int], tuple[str, ...]]:
    """Find the runs of a store that a list names.

    Parameters
    ----------
    listed : RunList
        Numbers and ranges.
    known : iterable of int
        Runs of the store.

    Returns
    -------
    found : frozenset of int
        Runs of the store that are in the list.
    missing : tuple of str
        Numbers that are not in the store, and ranges of which no run is.

    Examples
    --------
    >>> sorted(find_listed((7, (20, 30)), known=[5, 7, 21, 29])[0])
    [7, 21, 29]
    """
    known = frozenset(known)
    ranges = [entry for entry in listed if isinstance(entry, tuple)]
    numbers = frozenset(entry for entry in listed if isinstance(entry, int))
    found = [{n for n in known if first <= n <= last} for first, last in ranges]
    missing: list[int | tuple[int, int]] = sorted(numbers - known)
    missing += [each for each, runs in zip(ranges, found, strict=True) if not runs]
    return (numbers & known).union(*found), listed_words(tuple(missing))


def listed_words(listed: RunList) -> tuple[str, ...]:
    """Write each entry of a list as a user does.

    Parameters
    ----------
    listed : RunList
        Numbers and ranges.

    Returns
    -------
    tuple of str
        Words such as ``20136`` and ``20136-20151``.

    Examples
    --------
    >>> listed_words((20136, (20140, 20151)))
    ('20136', '20140-20151')
    """
    return tuple(
        f"{entry[0]}-{entry[1]}" if isinstance(entry, tuple) else str(entry)
        for entry in listed
    )
