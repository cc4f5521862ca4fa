from __future__ import annotations

from pathlib import Path

import pytest

from bkgpipe.chain.models import Models, no_model
from bkgpipe.errors import InputError


def test_a_mapping_of_files_reads_nothing_by_itself():
    models = Models({number: Path("none.h5") for number in range(1, 10)})

    assert list(models) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert len(models) == 9
    assert repr(models) == "<9 models: 1, 2, 3, …, 8, 9>"
    assert 3 in models.keys()  # noqa: SIM118


def test_a_number_that_is_not_there_is_both_errors():
    models = Models({})

    with pytest.raises(InputError, match="no model 3"):
        models[3]
    with pytest.raises(KeyError):
        models[3]
    assert models.get(3, "none") == "none"


def test_only_some_numbers_are_listed():
    error = no_model(99, range(12), where="here")

    assert str(error) == (
        "here: there is no model 99. Choose one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …."
    )
    assert no_model(99, [], where="here").fix == "Run the production first"
