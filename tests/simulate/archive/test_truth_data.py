from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from bkgpipe.errors import BinningMismatchError, SettingsError
from bkgpipe.simulate.archive.truth_data import RunTruth, Truth


def test_truth_survives_as_plain_numbers() -> None:
    truth = Truth(norm=3.0, gradient_lat=0.1, fov_alignment="ALTAZ")
    assert Truth(**asdict(truth)) == truth


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("norm", 0.0),
        ("threshold", -1.0),
        ("width", 0.0),
        ("energy_min", 0.0),
        ("offset_max", -2.0),
    ],
)
def test_truth_refuses_what_is_not_positive(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=f"simulation, {name}: .* Make it positive"):
        Truth(**{name: value})


def test_truth_refuses_an_empty_energy_range() -> None:
    with pytest.raises(SettingsError, match=r"energy_max: .*larger than energy_min"):
        Truth(energy_min=1.0, energy_max=1.0)


def test_truth_refuses_negative_scatter() -> None:
    with pytest.raises(SettingsError, match=r"run_scatter: .*zero or more"):
        Truth(run_scatter=-0.1)


def test_truth_refuses_an_unknown_alignment() -> None:
    with pytest.raises(SettingsError, match=r"fov_alignment: .*ALTAZ or RADEC"):
        Truth(fov_alignment="GALACTIC")


def test_factors_are_those_of_the_runs_asked_for() -> None:
    run_truth = RunTruth(
        truth=Truth(), obs_ids=np.array([3, 5, 9]), factor=np.array([0.3, 0.5, 0.9])
    )
    np.testing.assert_array_equal(run_truth.factors(np.array([9, 3])), [0.9, 0.3])


def test_run_truth_refuses_another_number_of_factors() -> None:
    with pytest.raises(BinningMismatchError, match=r"factor: .*Make the product again"):
        RunTruth(truth=Truth(), obs_ids=np.array([1, 2]), factor=np.array([1.0]))


@pytest.mark.parametrize(
    "steps",
    [((2.0, 0.9), (1.0, 0.8)), ((1.0, 0.9), (1.0, 0.8)), ((1.0, 0.0),)],
)
def test_truth_refuses_steps_out_of_order(
    steps: tuple[tuple[float, float], ...],
) -> None:
    with pytest.raises(SettingsError, match=r"epoch_steps: .*increasing dates"):
        Truth(epoch_steps=steps)
