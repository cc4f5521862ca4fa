from __future__ import annotations

import pickle

import pytest

from bkgpipe import errors
from bkgpipe.errors import BkgpipeError

_KINDS = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", _KINDS)
def test_an_error_says_what_where_and_what_to_do(kind):
    error = kind(what="it is broken", where="run 5", fix="Mend it")

    assert str(error) == "run 5: it is broken. Mend it."
    assert isinstance(error, BkgpipeError)


@pytest.mark.parametrize("kind", _KINDS)
def test_an_error_survives_the_way_from_a_worker(kind):
    error = pickle.loads(pickle.dumps(kind(what="a", where="b", fix="c")))  # noqa: S301

    assert type(error) is kind
    assert (error.what, error.where, error.fix) == ("a", "b", "c")


def test_control_characters_of_files_reach_no_terminal() -> None:
    error = BkgpipeError(what="found 'a\x1b[2J'", where="run\t7", fix="one\ntwo")
    assert str(error) == "run 7: found 'a\ufffd[2J'. one\ntwo."
