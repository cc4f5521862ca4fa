from __future__ import annotations

import healpy as hp
import numpy as np
import pytest

from bkgpipe.errors import InputError
from bkgpipe.geometry.frames import from_fov, to_fov, unit_vectors
from bkgpipe.simulate.overlay.clock import time_at
from bkgpipe.simulate.overlay.field import (
    find_cells,
    make_exposure,
    make_grid,
    position_angles,
)
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.mask.pixels import is_kept, make_exclusion_mask

_GRID = make_grid(nside=512, offset_max=2.0)


def _gti(run):
    return np.array([[run.time_start, run.time_stop]])


def _mask(run, *circles):
    regions = []
    for lon, lat, radius in circles:
        ra, dec = from_fov(np.array([lon]), np.array([lat]), pointing=(run.ra, run.dec))
        regions.append(
            ExclusionRegion(
                name="x", origin="t", ra=ra.item(), dec=dec.item(), radius=radius
            )
        )
    return make_exclusion_mask(run, regions, nside=2048, search_radius=3.0)


def test_cells_cover_the_field():
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(-1.4, 1.4, (2, 500))

    assert (find_cells(_GRID, unit_vectors(lon, lat)) >= 0).all()
    assert find_cells(_GRID, unit_vectors(np.array([9.0]), np.zeros(1)))[0] == -1
    assert _GRID.offset.min() < 0.2
    assert _GRID.offset.max() < 2.4


@pytest.mark.parametrize("alignment", ["ALTAZ", "RADEC"])
def test_no_kept_cell_holds_an_excluded_place_at_any_time(make_run, alignment):
    run = make_run(1)
    mask = _mask(run, (0.6, -0.4, 0.35), (-1.5, 1.0, 0.5))
    exposure = make_exposure(run, _gti(run), mask, grid=_GRID, alignment=alignment)
    rng = np.random.default_rng(2)
    lon, lat = rng.uniform(-1.4, 1.4, (2, 60_000))
    livetime = rng.uniform(0.0, exposure.livetime, lon.size)
    time = time_at(exposure.gti, livetime, deadc=run.deadc)
    angle = position_angles(run, time, fov_alignment=alignment)
    ra, dec = from_fov(lon, lat, pointing=(run.ra, run.dec), position_angle=angle)
    cell = find_cells(_GRID, unit_vectors(lon, lat))
    step = np.searchsorted(exposure.step_edges, livetime, side="right") - 1

    in_kept_cell = exposure.kept[step, cell]
    kept = is_kept(mask, ra, dec)

    assert np.count_nonzero(in_kept_cell & ~kept) <= 2e-4 * lon.size
    # the rim of a region costs a cell, no more
    assert in_kept_cell.sum() > 0.95 * kept.sum()
    assert in_kept_cell.sum() < kept.sum()


def test_the_field_turns_in_altaz_alone(make_run):
    run = make_run(1)
    mask = _mask(run, (0.6, -0.4, 0.35))

    turning = make_exposure(run, _gti(run), mask, grid=_GRID, alignment="ALTAZ")
    still = make_exposure(run, _gti(run), mask, grid=_GRID, alignment="RADEC")

    assert len(turning.kept) > 1
    assert (turning.kept[0] != turning.kept[-1]).any()
    assert len(still.kept) == 1
    assert still.livetime == turning.livetime == pytest.approx(run.livetime)


@pytest.mark.parametrize("alignment", ["ALTAZ", "RADEC"])
def test_without_regions_all_is_kept_in_one_step(make_run, alignment):
    run = make_run(1)

    exposure = make_exposure(
        run, _gti(run), _mask(run), grid=_GRID, alignment=alignment
    )

    assert exposure.kept.shape == (1, _GRID.n_cells)
    np.testing.assert_allclose(exposure.kept_livetime, run.livetime)


def test_a_run_that_is_wholly_masked_offers_nothing(make_run):
    run = make_run(1)

    exposure = make_exposure(
        run, _gti(run), _mask(run, (0.0, 0.0, 2.9)), grid=_GRID, alignment="RADEC"
    )

    assert not exposure.kept.any()


def test_a_run_without_live_time_is_refused(make_run):
    run = make_run(1)

    with pytest.raises(InputError, match=r"run 1: live time is 0.0 s.*leave the run"):
        make_exposure(run, np.empty((0, 2)), _mask(run), grid=_GRID, alignment="ALTAZ")


def test_altaz_needs_the_place_of_the_observatory(make_run):
    run = make_run(1, longitude=np.nan)

    with pytest.raises(InputError, match="or use RADEC alignment"):
        make_exposure(run, _gti(run), _mask(run), grid=_GRID, alignment="ALTAZ")
    assert position_angles(run, np.zeros(3), fov_alignment="RADEC") is None


def test_a_place_is_found_again(make_run):
    run = make_run(1)
    time = np.array([run.time_start])
    angle = position_angles(run, time, fov_alignment="ALTAZ")
    ra, dec = from_fov(
        np.array([0.7]), np.array([-0.2]), pointing=(1.0, 2.0), position_angle=angle
    )

    lon, lat = to_fov(ra, dec, pointing=(1.0, 2.0), position_angle=angle)

    np.testing.assert_allclose([lon[0], lat[0]], [0.7, -0.2])


@pytest.mark.parametrize("alignment", ["ALTAZ", "RADEC"])
def test_a_hole_is_as_large_as_its_region_and_a_rim(make_run, alignment):
    run = make_run(1)

    exposure = make_exposure(
        run, _gti(run), _mask(run, (0.6, -0.4, 0.5)), grid=_GRID, alignment=alignment
    )

    cell = hp.nside2pixarea(_GRID.nside, degrees=True)
    lost = (1 - exposure.kept_livetime / exposure.livetime).sum() * cell
    assert np.pi * 0.5**2 < lost < np.pi * (0.5 + 1.6 * cell**0.5) ** 2


def test_more_regions_never_offer_more(make_run):
    run = make_run(1)
    one, both = (
        make_exposure(
            run, _gti(run), _mask(run, *circles), grid=_GRID, alignment="RADEC"
        )
        for circles in (
            [(0.6, -0.4, 0.35)],
            [(0.6, -0.4, 0.35), (-0.2, 0.9, 0.3)],
        )
    )

    assert (both.kept_livetime <= one.kept_livetime).all()
    assert both.kept_livetime.sum() < one.kept_livetime.sum()


def test_gaps_offer_no_live_time(make_run):
    run = make_run(1)
    start, stop = run.time_start, run.time_stop
    middle = np.array([[0.6, 1.0], [0.0, 0.25]]) * (stop - start) + start

    exposure = make_exposure(run, middle, _mask(run), grid=_GRID, alignment="ALTAZ")

    assert exposure.gti[0, 0] == start
    assert exposure.livetime == pytest.approx(0.65 * run.livetime)
