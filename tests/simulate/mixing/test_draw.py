from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.errors import InputError
from bkgpipe.geometry.frames import offset_angle, to_fov, unit_vectors
from bkgpipe.geometry.frames import zenith_position_angle as zenith_angle
from bkgpipe.simulate.mixing.draw import component_generator, draw_events, draw_times
from bkgpipe.simulate.mixing.grid import (
    energy_steps,
    plane_field,
    plane_steps,
    rate_grid,
)

GTI = 53343.9 + np.array([[0.0, 600.0], [900.0, 1900.0]]) / 86400.0
PLANE = plane_steps(2.0, pixel=0.25)
ENERGY = energy_steps(0.5, 50.0, per_decade=4)


def _rate(index: float = 2.7) -> np.ndarray:
    """Rate at the edges in energy, with a gradient along longitude."""
    lon, _, _ = plane_field(PLANE)
    rate: np.ndarray = ENERGY[:, np.newaxis, np.newaxis] ** -index * (1 + 0.3 * lon)
    return rate


def _grid(rate: np.ndarray, **changes: object):
    values: dict[str, object] = {
        "energy_edges": ENERGY,
        "plane_edges": PLANE,
        "offset_max": 2.0,
        "fov_alignment": "RADEC",
    }
    return rate_grid(rate, **values | changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def run(make_run):
    return make_run(7, time_start=GTI[0, 0])


@pytest.fixture(scope="module")
def draw(run):
    """Factory: a number of events of a grid, as of a run of 1600 s."""

    def make(grid, *, n_expected: float, seed: int = 1, **changes: object):
        return draw_events(
            np.random.default_rng(seed),
            grid,
            replace(run, **changes),
            gti=GTI,
            factor=n_expected / (grid.total * 1600.0),
            bkg_type=4,
        )

    return make


def test_generators_depend_on_seed_run_and_component():
    values = {
        component_generator(*given).integers(2**60)
        for given in ((1, 7, "a"), (2, 7, "a"), (1, 8, "a"), (1, 7, "b"))
    }

    assert len(values) == 4
    assert component_generator(1, 7, "a").integers(2**60) in values


def test_a_rate_that_begins_inside_the_range_has_no_events_below(draw):
    rate = _rate()
    rate[:3] = 0.0

    grid = _grid(rate)

    assert (grid.rate[:2] == 0).all()
    assert np.isfinite(grid.rate).all()
    # the step in which it begins holds next to nothing, as in gammapy
    assert grid.rate[2].sum() < 1e-2 * grid.rate[3].sum()
    events, _ = draw(grid, n_expected=500)
    assert events.energy.min() >= ENERGY[2]


def test_no_rate_gives_no_events(run):
    grid = _grid(np.zeros((ENERGY.size, PLANE.size - 1, PLANE.size - 1)))

    events, n_rejected = draw_events(
        np.random.default_rng(1), grid, run, gti=GTI, factor=1.0, bkg_type=1
    )

    assert (grid.total, events.n_events, n_rejected) == (0.0, 0, 0)


def test_drawn_events_follow_the_rates(draw, run):
    grid = _grid(_rate())

    events, n_rejected = draw(grid, n_expected=200_000)

    assert events.n_events == pytest.approx(200_000, abs=4 * 200_000**0.5)
    assert set(events.bkg_type.tolist()) == {4}
    lon, lat = to_fov(events.ra, events.dec, pointing=(run.ra, run.dec))
    offset = offset_angle(unit_vectors(lon, lat))
    assert offset.max() <= 2.0 + 1e-9
    tangent = unit_vectors(lon, lat)
    x, y = np.degrees(tangent[:, 1:] / tangent[:, :1]).T
    sample = np.column_stack([events.energy, x, y])
    found, _ = np.histogramdd(sample, bins=[ENERGY, PLANE, PLANE])
    expected = grid.rate * grid.inside
    expected *= 200_000 / expected.sum()
    is_used = expected > 10
    found, expected_there = found[is_used], expected[is_used]
    pulls = (found - expected_there) / np.sqrt(expected_there)
    dof = is_used.sum()
    assert (pulls**2).sum() == pytest.approx(dof, abs=4 * np.sqrt(2 * dof))
    # pixels are cut by the edge of the field: what was drawn there was rejected
    lost = 1 - expected.sum() / (grid.rate.sum() * 200_000 / grid.total)
    n_all = events.n_events + n_rejected
    assert n_rejected == pytest.approx(lost * n_all, abs=5 * np.sqrt(lost * n_all))


def test_energies_follow_a_power_law_inside_a_step(draw):
    edges = np.array([1.0, 100.0])
    rate = np.ones((2, PLANE.size - 1, PLANE.size - 1))
    rate[1] = 100.0**-2.5

    events, _ = draw(_grid(rate, energy_edges=edges), n_expected=50_000)

    # Kolmogorov's distance to the law at a probability of 1e-3
    share = (1 - np.sort(events.energy) ** -1.5) / (1 - 100.0**-1.5)
    steps = np.arange(share.size) / share.size
    assert np.abs(share - steps).max() < 1.95 / np.sqrt(share.size)


def test_the_field_turns_with_the_horizon(draw, run):
    rate = _rate()
    is_corner = np.zeros(rate.shape[1:], dtype=bool)
    is_corner[12:, 9:11] = True
    grid = _grid(rate * is_corner, fov_alignment="ALTAZ")

    events, _ = draw(grid, n_expected=3000)

    angle = zenith_angle(run, events.time)
    assert np.ptp(angle) > 2.0
    lon, lat = to_fov(
        events.ra, events.dec, pointing=(run.ra, run.dec), position_angle=angle
    )
    assert lon.min() == pytest.approx(0.75, abs=0.02)
    assert lat.min() == pytest.approx(0.0, abs=0.02)
    assert lat.max() == pytest.approx(0.5, abs=0.02)


def test_the_horizon_needs_a_place(draw):
    with pytest.raises(InputError, match="place of the observatory is not known"):
        draw(
            _grid(_rate(), fov_alignment="ALTAZ"),
            n_expected=10,
            longitude=float("nan"),
        )


def test_the_sky_does_not(draw):
    events, _ = draw(_grid(_rate()), n_expected=1000, longitude=float("nan"))

    assert events.n_events > 0


def test_times_are_uniform_in_the_good_intervals():
    times = draw_times(np.random.default_rng(2), GTI, 20_000)

    first = (times >= GTI[0, 0]) & (times <= GTI[0, 1])
    second = (times >= GTI[1, 0]) & (times <= GTI[1, 1])
    assert (first | second).all()
    assert first.sum() == pytest.approx(20_000 * 600 / 1600, abs=5 * 70)
    seconds = np.where(first, times - GTI[0, 0], times - GTI[1, 0] + 600 / 86400)
    share = np.sort(seconds) * 86400 / 1600
    assert np.abs(share - np.arange(20_000) / 20_000).max() < 1.95 / np.sqrt(20_000)


def test_empty_intervals_get_no_times():
    gti = np.array([[1.0, 1.0], [2.0, 3.0], [4.0, 4.0]])

    times = draw_times(np.random.default_rng(2), gti, 100)

    assert ((times >= 2.0) & (times <= 3.0)).all()
    assert draw_times(np.random.default_rng(2), gti, 0).size == 0
