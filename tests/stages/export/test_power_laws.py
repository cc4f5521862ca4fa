from __future__ import annotations

from itertools import pairwise

import numpy as np

from bkgpipe.stages.export.power_laws import PowerLaws

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


def test_an_exact_zero_is_no_division_by_zero() -> None:
    laws = _laws(np.zeros(2))
    np.testing.assert_allclose(
        laws.integral()[:, 0], 3.0 * np.diff(np.log(EDGES)), rtol=1e-12
    )
