from __future__ import annotations

import pytest

from bkgpipe.core.run_list import RunList, find_listed, listed_words

_KNOWN = (5, 7, 20, 21, 29)


@pytest.mark.parametrize(
    ("listed", "found", "missing"),
    [
        ((), (), ()),
        ((7, 5), (5, 7), ()),
        (((6, 20),), (7, 20), ()),
        ((5, (20, 25)), (5, 20, 21), ()),
        ((8, 5, 6), (5,), ("6", "8")),
        (((8, 19), (29, 99)), (29,), ("8-19",)),
    ],
)
def test_what_a_store_has_of_a_list(
    listed: RunList, found: tuple[int, ...], missing: tuple[str, ...]
) -> None:
    assert find_listed(listed, _KNOWN) == (frozenset(found), missing)


def test_a_range_may_be_longer_than_any_store() -> None:
    assert find_listed(((0, 10**18),), _KNOWN)[0] == frozenset(_KNOWN)


def test_lists_are_written_as_they_are_read() -> None:
    assert listed_words((5, (20136, 20151))) == ("5", "20136-20151")
