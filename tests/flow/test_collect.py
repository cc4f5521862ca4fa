from __future__ import annotations

import pytest

from bkgpipe.errors import InputError, PassingError
from bkgpipe.flow.collect import collect


def _half(number: int) -> float:
    if number % 2:
        raise InputError(what="is odd", where=f"run {number}", fix="Take another")
    return number / 2


def test_what_fails_is_refused_with_its_reason(caplog):
    chunk = collect([2, 3, 4], _half, refused={})

    assert chunk.records == {2: 1.0, 4: 2.0}
    assert chunk.refused == {3: "run 3: is odd. Take another."}
    assert "Refused: run 3: is odd" in caplog.text


def test_what_was_refused_before_is_not_tried_again(caplog):
    chunk = collect([2, 3], _half, refused={3: "truncated", 5: "of no interest"})

    assert chunk.records == {2: 1.0}
    assert chunk.refused == {3: "truncated"}
    assert caplog.text == ""


def test_none_is_refused_when_what_all_are_made_from_is_gone(caplog):
    def require() -> None:
        raise InputError(what="is gone", where="store", fix="Bring it back")

    with pytest.raises(InputError, match=r"store: is gone\. Bring it back"):
        collect([2, 3], _half, refused={}, require=require)

    assert caplog.text == ""
    assert collect([2, 5], _half, refused={5: "cut"}, require=require).records == {2: 1}


def test_nothing_to_make():
    chunk = collect([], _half, refused={})

    assert (chunk.records, chunk.refused) == ({}, {})


def test_an_error_that_is_not_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        collect([1], lambda number: number / 0, refused={})


def test_progress_is_told_before_each_and_at_the_end():
    told = []

    collect(
        (7, 8, 9),
        str,
        refused={8: "no events"},
        tell=lambda n_done, n_total: told.append((n_done, n_total)),
    )

    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def _fail(number: int) -> int:
    if number % 2:
        raise PassingError(what="is away", where=f"run {number}", fix="Run again")
    return number


def test_what_cannot_be_made_at_the_moment_stops_no_other():
    later = []

    chunk = collect([2, 3, 4], _fail, refused={}, later=later)

    assert (chunk.records, chunk.refused) == ({2: 2, 4: 4}, {})
    assert [error.where for error in later] == ["run 3"]
    with pytest.raises(PassingError, match="run 3: is away"):
        collect([2, 3, 4], _fail, refused={})


def test_after_some_failures_no_other_is_tried():
    later = []

    chunk = collect([2, 3, 5, 7, 8], _fail, refused={}, later=later)

    assert chunk.records == {2: 2}
    assert len(later) == 3


def test_a_store_that_is_gone_is_told_instead():
    def require() -> None:
        raise InputError(what="is gone", where="store", fix="Bring it back")

    with pytest.raises(InputError, match="store: is gone"):
        collect([2, 3], _fail, refused={}, require=require, later=[])
