from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.run import Events
from bkgpipe.errors import InputError
from bkgpipe.geometry.frames import from_fov
from bkgpipe.geometry.sampling import field_solid_angles
from bkgpipe.stages.count.data import MaskEffect, RunCounts
from bkgpipe.stages.count.exposure import (
    compare_exposure,
    most_different,
    with_event_exposure,
)
from bkgpipe.stages.count.histograms import count_run
from bkgpipe.stages.count.kept_share import KeptShare
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.mask.pixels import make_exclusion_mask


@pytest.fixture
def make_counts(make_run, make_binning):
    """Count even background, and a source at lon 0.5 deg of `n_source` events."""

    def make(*, n_source=0, n_events=40_000, radius=0.8, n_low=0) -> RunCounts:
        run, binning = make_run(7), make_binning()
        rng = np.random.default_rng(n_source + n_low)
        offset = 2.5 * np.sqrt(rng.random(n_events))
        turn = rng.uniform(0, 2 * np.pi, n_events)
        lon = np.append(offset * np.cos(turn), rng.normal(0.5, 0.05, n_source))
        lat = np.append(offset * np.sin(turn), rng.normal(0.0, 0.05, n_source))
        ra, dec = from_fov(lon, lat, pointing=(run.ra, run.dec))
        energy = np.where(np.arange(lon.size) < n_low, 0.2, 1.0)
        events = Events(
            obs_id=7,
            ra=ra,
            dec=dec,
            energy=energy,
            time=np.full(lon.size, run.time_start),
            gti=np.array([[run.time_start, run.time_stop]]),
        )
        (ra,), (dec,) = from_fov(
            np.array([0.5]), np.array([0.0]), pointing=(run.ra, run.dec)
        )
        disc = ExclusionRegion(name="s", origin="test", ra=ra, dec=dec, radius=radius)
        return count_run(
            run,
            events,
            make_exclusion_mask(run, [disc], nside=2048, search_radius=4.0),
            binning=binning,
            fov_alignment="RADEC",
            safe_energy=(0.5, "table"),
            control_offset=4.0,
            checksum="",
        )

    return make


def _share(share: float, *, n_events: int, n_kept: int, obs_id: int = 1) -> KeptShare:
    return KeptShare(
        obs_id=obs_id,
        target="Crab",
        offset_min=0.0,
        offset_max=1.0,
        n_events=n_events,
        n_kept=n_kept,
        by_geometry=share,
        by_events=n_kept / n_events,
    )


def test_the_effect_holds_kept_and_excluded_events_of_safe_energies(make_counts):
    run = make_counts(n_low=1000)
    assert run.conservation.n_below_safe > 0
    assert run.mask_effect.events_3d.shape == (6, 8)
    assert run.mask_effect.events_3d.sum() == 39_000
    assert run.mask_effect.events_2d.sum() == 39_000
    np.testing.assert_array_equal(run.mask_effect.solid_angle_2d, run.solid_angle_2d)


@pytest.mark.parametrize("n_low", [0, 3000])
def test_each_bin_has_the_kept_share_of_its_safe_events(make_counts, n_low):
    run = make_counts(n_source=5000, n_low=n_low)
    found = with_event_exposure(run)
    field_3d, field_2d = field_solid_angles(run.binning)
    share = run.safe_counts_2d.sum(axis=0) / run.mask_effect.events_2d
    np.testing.assert_allclose(found.solid_angle_2d, share * field_2d)
    # 5 bins of the image, of which the mask takes some
    middle = np.s_[2:5, 3:5]
    share = run.safe_counts_3d.sum(axis=0)[middle] / run.mask_effect.events_3d[middle]
    np.testing.assert_allclose(found.solid_angle_3d[middle], share * field_3d[middle])


def test_all_else_stays(make_counts):
    run = make_counts(n_source=5000)
    found = with_event_exposure(run)
    for name in ("run", "counts_3d", "counts_2d", "control", "mask_effect", "is_safe"):
        assert getattr(found, name) is getattr(run, name)
    assert found.livetime == run.livetime


def test_even_events_agree_with_the_geometry(make_counts):
    run = make_counts(n_events=200_000)
    found = with_event_exposure(run)
    width = np.sqrt(field_solid_angles(run.binning)[1] * run.solid_angle_2d)
    error = width / np.sqrt(run.mask_effect.events_2d)
    assert (np.abs(found.solid_angle_2d - run.solid_angle_2d) < 4 * error).all()
    assert found.kept_fraction == pytest.approx(run.kept_fraction, rel=0.005)


def test_a_source_makes_the_rate_too_high(make_counts):
    # as many events as the even background of the excluded disc has
    run = make_counts(n_source=4096)
    excess = run.exposure_2d[2] / with_event_exposure(run).exposure_2d[2]
    assert excess[0] > 1.2
    assert excess[3:] == pytest.approx(1.0, abs=0.01)


def test_bins_without_events_keep_the_geometry(make_counts):
    run = make_counts(n_events=0)
    found = with_event_exposure(run)
    np.testing.assert_array_equal(found.solid_angle_3d, run.solid_angle_3d)
    np.testing.assert_array_equal(found.solid_angle_2d, run.solid_angle_2d)
    assert 0 < found.kept_fraction < 1


def test_a_fully_masked_run_keeps_nothing(make_counts):
    found = with_event_exposure(make_counts(radius=5.0))
    assert not found.solid_angle_3d.any()
    assert not found.solid_angle_2d.any()


def test_without_the_excluded_events_there_is_no_share(make_counts):
    run = replace(make_counts(n_events=10), mask_effect=MaskEffect())
    with pytest.raises(InputError, match=r"run 7: .*set \[count\] exposure = geometry"):
        with_event_exposure(run)


def _compared(run: RunCounts, effect: MaskEffect) -> KeptShare | None:
    return compare_exposure(
        run.run,
        run.binning,
        mask_effect=effect,
        counts_2d=run.counts_2d,
        is_safe=run.is_safe,
    )


@pytest.mark.parametrize("n_low", [0, 3000])
def test_the_worst_annulus_of_a_run(make_counts, n_low):
    run = make_counts(n_source=20_000, n_low=n_low)
    found = _compared(run, run.mask_effect)
    assert found is not None
    assert (found.obs_id, found.target) == (7, "Crab")
    # the source is in the first annulus, out to 2.5 deg / sqrt(5)
    assert found.offset_min == 0.0
    assert found.offset_max == pytest.approx(1.118, abs=1e-3)
    assert found.n_events == run.mask_effect.events_2d[0]
    assert found.n_kept == run.safe_counts_2d[:, 0].sum()
    assert found.by_events == found.n_kept / found.n_events
    assert found.by_geometry > 1.5 * found.by_events
    assert found.by_geometry == pytest.approx(
        run.solid_angle_2d[0] / run.binning.solid_angle_2d[0]
    )


@pytest.mark.parametrize("changes", [{"radius": 5.0}, {"n_events": 0}])
def test_nothing_to_compare(make_counts, changes):
    run = make_counts(**changes)
    assert _compared(run, run.mask_effect) is None
    assert _compared(run, MaskEffect()) is None


def test_the_most_significant_come_first():
    few = _share(0.8, n_events=10, n_kept=4, obs_id=1)
    many = _share(0.8, n_events=1000, n_kept=600, obs_id=2)
    fine = _share(0.8, n_events=1000, n_kept=800, obs_id=3)
    found = most_different([fine, None, few, many], n_runs=2)
    assert [share.obs_id for share in found] == [2, 1]
    assert most_different([None], n_runs=2) == ()
