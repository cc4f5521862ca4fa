from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.errors import BinningMismatchError
from bkgpipe.stages.count.data import Conservation, ControlEvents, RunCounts


@pytest.fixture
def counts(make_run) -> RunCounts:
    binning = Binning(
        energy_edges=np.geomspace(0.1, 10, 4),
        fov_lon_edges=np.linspace(-3, 3, 7),
        fov_lat_edges=np.linspace(-2, 2, 6),
        offset_edges=np.linspace(0, 2, 5),
    )
    return RunCounts(
        run=make_run(7),
        binning=binning,
        counts_3d=np.ones(binning.shape_3d, dtype=np.int64),
        counts_2d=np.ones(binning.shape_2d, dtype=np.int64),
        solid_angle_3d=binning.solid_angle_3d / 2,
        solid_angle_2d=binning.solid_angle_2d / 2,
        is_safe=np.array([False, True, True]),
        safe_energy_min=0.4,
        safe_energy_origin="table",
        ontime=100.0,
        livetime=90.0,
        position_angle=12.0,
        conservation=Conservation(n_read=3, n_kept=3),
        control=ControlEvents(
            counts_outer=1, exposure_outer=1.0, counts_low=2, exposure_low=3.0
        ),
        checksum="abc",
    )


def test_exposure_is_livetime_times_kept_solid_angle_at_all_energies(counts):
    for exposure in counts.exposure_3d:
        assert exposure == pytest.approx(90 * counts.solid_angle_3d)
    for exposure in counts.exposure_2d:
        assert exposure == pytest.approx(90 * counts.solid_angle_2d)


@pytest.mark.parametrize("axes", ["2d", "3d"])
@pytest.mark.parametrize("kind", ["counts", "exposure"])
def test_the_safe_part_is_zero_in_bins_that_are_not_safe(counts, kind, axes):
    every = getattr(counts, f"{kind}_{axes}")
    safe = getattr(counts, f"safe_{kind}_{axes}")

    assert safe.shape == every.shape
    assert safe.dtype == every.dtype
    assert not safe[0].any()
    assert every[0].any()
    np.testing.assert_array_equal(safe[1:], every[1:])


def test_a_run_without_a_safe_bin_has_counts_and_no_safe_exposure(counts):
    unsafe = replace(counts, is_safe=np.zeros(3, dtype=bool))

    assert unsafe.counts_3d.sum() == counts.counts_3d.sum()
    assert not unsafe.tally.has_exposure
    assert unsafe.tally.n_events == 0
    assert not unsafe.shape.has_exposure
    assert np.isnan(unsafe.shape.lowest_energy)


def test_shape_is_the_part_that_ranking_needs(counts):
    shape = counts.shape

    assert shape.obs_id == counts.obs_id == 7
    assert shape.kept_fraction == pytest.approx(0.5)
    assert shape.n_events == 8
    assert shape.exposure_2d is counts.safe_exposure_2d


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("counts_3d", (3, 5, 6)),
        ("counts_2d", (4, 3)),
        ("solid_angle_3d", (5, 6)),
        ("solid_angle_2d", (3,)),
        ("is_safe", (4,)),
    ],
)
def test_transposed_arrays_are_refused(counts, name, shape):
    with pytest.raises(BinningMismatchError, match=f"{name}: shape is"):
        replace(counts, **{name: np.zeros(shape)})


def test_conservation_adds_up():
    one = Conservation(
        n_read=28,
        n_invalid=1,
        n_outside_field=2,
        n_outside_energy=3,
        n_below_safe=4,
        n_excluded=5,
        n_kept=6,
        n_outside_time=7,
    )

    total = one + one

    assert one.n_lost == 0
    assert one.n_counted == 10
    assert total.n_read == 56
    assert total.n_lost == 0
    assert replace(one, n_read=29).n_lost == 1
