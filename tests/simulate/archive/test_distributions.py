from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.simulate.archive.data import Distribution
from bkgpipe.simulate.archive.distributions import draw_values


def _draw(law: str, *values: float, **options: tuple[float, float]) -> np.ndarray:
    rng = np.random.default_rng(1)
    return draw_values(rng, Distribution(law=law, values=values), 20_000, **options)


def test_a_constant_takes_no_random_numbers() -> None:
    rng, twin = np.random.default_rng(1), np.random.default_rng(1)
    values = draw_values(rng, Distribution(law="constant", values=(3.0,)), (2, 3))
    np.testing.assert_array_equal(values, np.full((2, 3), 3.0))
    assert rng.uniform() == twin.uniform()


def test_uniform_fills_its_range() -> None:
    values = _draw("uniform", 2.0, 5.0)
    assert 2.0 <= values.min() < 2.01
    assert 4.99 < values.max() <= 5.0
    assert values.mean() == pytest.approx(3.5, abs=0.03)


def test_sky_is_uniform_in_solid_angle() -> None:
    values = _draw("sky", 10.0, 60.0)
    assert values.min() >= 10.0
    assert values.max() <= 60.0
    expected = (np.cos(np.radians(10.0)) + 0.5) / 2
    assert np.cos(np.radians(values)).mean() == pytest.approx(expected, abs=0.005)


def test_normal_has_its_mean_and_width() -> None:
    values = _draw("normal", 0.8, 0.05)
    assert values.mean() == pytest.approx(0.8, abs=0.002)
    assert values.std() == pytest.approx(0.05, rel=0.03)


def test_a_normal_law_is_cut_where_the_condition_ends() -> None:
    values = _draw("normal", 0.95, 0.1, limits=(0.01, 1.0))
    assert values.max() <= 1.0
    # a cut law, not one that is heaped up at the end
    assert (values > 0.999).mean() < 0.02


def test_a_normal_law_without_width_is_a_constant() -> None:
    np.testing.assert_array_equal(_draw("normal", 0.7, 0.0), 0.7)
