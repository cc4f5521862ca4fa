from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from bkgpipe.numerics.power_laws import PowerLaws

EDGES = np.array([0.1, 0.3, 1.2, 2.0])
# exponents of y = energy x rate; -1e-9 and 1e-5 are on both sides of what is flat
EXPONENTS = np.array([-2.5, 0.0, -1e-9, 1e-5, 1.5])


def _laws(exponents: np.ndarray = EXPONENTS) -> PowerLaws:
    log_values = np.log(3.0) + np.log(EDGES)[:, np.newaxis] * exponents
    return PowerLaws.through(log_values, np.diff(np.log(EDGES)))


def test_integrals_are_those_of_power_laws() -> None:
    n_steps = 20_000
    for i, (low, high) in enumerate(pairwise(EDGES)):
        log_energy = np.linspace(np.log(low), np.log(high), n_steps + 1)
        middle = (log_energy[1:] + log_energy[:-1]) / 2
        values = 3.0 * np.exp(middle[:, np.newaxis] * EXPONENTS)
        expected = values.sum(axis=0) * np.log(high / low) / n_steps
        np.testing.assert_allclose(_laws().integral()[i], expected, rtol=1e-6)


def test_slopes_are_those_of_the_integrals() -> None:
    laws, step = _laws(), 1e-3
    for i in range(EDGES.size - 1):
        shift = np.zeros(EDGES.size)
        shift[i + 1] = step
        more, less = (
            laws.shifted(shift).integral()[i],
            laws.shifted(-shift).integral()[i],
        )
        slope = laws.upper_slope(laws.integral())[i]
        np.testing.assert_allclose(slope, (more - less) / (2 * step), rtol=1e-5)


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_a_common_shift_is_a_factor(shift: float) -> None:
    moved = _laws().shifted(np.full(EDGES.size, shift))
    np.testing.assert_allclose(moved.integral(), _laws().integral() * np.exp(shift))


def test_an_exact_zero_is_no_division_by_zero() -> None:
    laws = _laws(np.zeros(2))
    integral = laws.integral()
    np.testing.assert_allclose(integral[:, 0], 3.0 * np.diff(np.log(EDGES)), rtol=1e-12)
    np.testing.assert_allclose(laws.upper_slope(integral), integral / 2)
