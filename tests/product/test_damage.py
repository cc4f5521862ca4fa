from __future__ import annotations

from pathlib import Path

import pytest

from bkgpipe.errors import DamagedFileError, InputError
from bkgpipe.product.damage import WrongSumError, reading


@pytest.mark.parametrize("error", [KeyError("ids"), OverflowError("1e999")])
def test_whatever_cannot_be_read_is_damage(error):
    with (
        pytest.raises(DamagedFileError, match=r"count_0\.h5: the file cannot be read"),
        reading(Path("count_0.h5")),
    ):
        raise error


def test_a_wrong_sum_is_told_as_it_is():
    with (
        pytest.raises(DamagedFileError, match=r"the sum is wrong.*Run the stage again"),
        reading(Path("count_0.h5")),
    ):
        raise WrongSumError("the sum is wrong")


def test_errors_of_ours_stay_what_they_are():
    with (
        pytest.raises(InputError, match="no record"),
        reading(Path("count_0.h5")),
    ):
        raise InputError(what="no record", where="count_0.h5", fix="Make it")
