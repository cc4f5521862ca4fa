from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.errors import NoEventsError
from bkgpipe.stages.count.data import Conservation, ControlEvents, RunCounts
from bkgpipe.stages.fit.points import join_runs
from bkgpipe.stages.fit.reference import fit_reference, log_centers, log_reference

LIVETIME = 1000.0


@pytest.fixture
def run_counts(make_run, make_binning):
    """E^-2.5 without noise; the lowest energy is not safe."""
    binning = make_binning(energy_edges=np.geomspace(0.1, 100.0, 13))
    safe = np.arange(12) >= 2
    rate = 50.0 * np.exp(-2.5 * log_centers(binning))
    exposure = LIVETIME * safe[:, None, None] * binning.solid_angle_3d
    return RunCounts(
        run=make_run(),
        binning=binning,
        counts_3d=exposure * (rate * binning.energy_width)[:, None, None],
        counts_2d=np.zeros(binning.shape_2d),
        solid_angle_3d=binning.solid_angle_3d,
        solid_angle_2d=binning.solid_angle_2d,
        is_safe=safe,
        safe_energy_min=0.3,
        safe_energy_origin="setting",
        ontime=LIVETIME,
        livetime=LIVETIME,
        position_angle=0.0,
        conservation=Conservation(),
        control=ControlEvents(
            counts_outer=0, exposure_outer=0.0, counts_low=0, exposure_low=0.0
        ),
        checksum="",
    )


def test_a_power_law_is_recovered(run_counts):
    points = join_runs([run_counts, run_counts], np.arange(2), fov_alignment="ALTAZ")
    reference = fit_reference(points, np.tile(run_counts.is_safe, (2, 1)))
    x = log_centers(run_counts.binning)
    np.testing.assert_allclose(reference.energy_range, [x[2], x[-1]])
    value = log_reference(x, reference.coefficients, reference.energy_range)
    np.testing.assert_allclose(value[2:9], (np.log(50.0) - 2.5 * x)[2:9], atol=0.01)


def test_events_in_a_single_bin_are_no_spectrum(run_counts):
    counts = np.zeros(run_counts.counts_3d.shape)
    counts[4] = 5.0
    single = replace(run_counts, counts_3d=counts)
    points = join_runs([single, single], np.arange(2), fov_alignment="ALTAZ")

    with pytest.raises(
        NoEventsError, match=r"one bin, 1 to 1\.778 TeV.*column ENERGY of the events"
    ):
        fit_reference(points, np.ones(points.counts.shape[:2], dtype=bool))


def test_beyond_the_range_it_goes_on_as_a_power_law():
    coefficients = np.array([0.1, -0.2, -2.0, 3.0])
    energy_range = np.array([-1.0, 2.0])
    x = np.array([-3.0, -2.0, -1.0, 2.0, 4.0, 6.0])
    value = log_reference(x, coefficients, energy_range)
    np.testing.assert_allclose(value[2:4], np.polyval(coefficients, [-1.0, 2.0]))
    assert value[1] - value[0] == pytest.approx(value[2] - value[1])
    assert value[5] - value[4] == pytest.approx(value[4] - value[3])


def test_no_events_are_refused(run_counts):
    run_counts.counts_3d[:] = 0.0
    points = join_runs([run_counts], np.arange(1), fov_alignment="ALTAZ")
    with pytest.raises(NoEventsError, match=r"regression of 1 runs.*Select more runs"):
        fit_reference(points, np.tile(run_counts.is_safe, (1, 1)))
