"""The source lies at the same place of all fields, from the events to the rates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.simulate.archive.data import PointSource, Simulation
from bkgpipe.simulate.archive.draw import run_generator, simulate_run, source_regions
from bkgpipe.simulate.archive.pointings import make_runs
from bkgpipe.simulate.archive.truth import mean_rate_2d, mean_rate_3d
from bkgpipe.simulate.archive.truth_data import Truth as TrueLaw
from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.count.histograms import count_run
from bkgpipe.stages.fit.fit import fit_regression
from bkgpipe.stages.fit.points import find_points, join_runs, make_head
from bkgpipe.stages.fit.predict import predict
from bkgpipe.stages.fit.terms import make_conditions
from bkgpipe.stages.mask.pixels import make_exclusion_mask, size_regions
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.stages.smooth.holes import fill_holes
from bkgpipe.stages.smooth.methods import smooth_stack
from bkgpipe.stages.smooth.radial import squared_offset_3d
from bkgpipe.stages.stack.groups import stack_runs

BINNING = Binning(
    energy_edges=np.geomspace(0.3, 30.0, 9),
    fov_lon_edges=np.linspace(-2.5, 2.5, 21),
    fov_lat_edges=np.linspace(-2.5, 2.5, 20),
    offset_edges=2.5 * np.sqrt(np.linspace(0.0, 1.0, 13)),
)
LAW = TrueLaw(zenith_slope=0.0, run_scatter=0.0)
SOURCE = PointSource(fov_lon=0.0, fov_lat=0.5, rate=0.5)
RADIUS = 0.4
N_RUNS = 10

VALUES = {"none": {}, "gaussian": {"sigma": 1.0}}


@pytest.fixture(scope="module")
def counted() -> list[RunCounts]:
    rng = run_generator(7, 0)
    runs = make_runs(rng, Simulation(n_runs=N_RUNS, duration=7200.0))
    regions = size_regions(
        source_regions(runs, (SOURCE,)),
        radius=RADIUS,
        extension_factor=3,
        max_radius=1.0,
    )
    return [
        count_run(
            run,
            simulate_run(rng, LAW, run, sources=(SOURCE,)).events,
            make_exclusion_mask(run, regions, nside=1024, search_radius=3.0),
            binning=BINNING,
            fov_alignment="RADEC",
            safe_energy=(0.0, "none"),
            control_offset=4.0,
            checksum="",
        )
        for run in runs
    ]


@pytest.fixture(scope="module")
def truth(counted) -> RateModel:
    stack = stack_runs(counted, stack_id=1)
    return replace(
        smooth_stack(stack, method="none"),
        rate_3d=mean_rate_3d(LAW, BINNING) + 1e-12,
        rate_2d=mean_rate_2d(LAW, BINNING),
        method="truth",
    )


def fill(model: RateModel) -> np.ndarray:
    return fill_holes(
        model.rate_3d,
        model.exposure_3d,
        BINNING.energy_edges,
        squared_offset=squared_offset_3d(BINNING),
    )[0]


def in_hole(models: list[RateModel], truth: RateModel) -> np.ndarray:
    """Predicted over true events in the excluded disc, all energies together."""
    lon, lat = (
        (edges[1:] + edges[:-1]) / 2
        for edges in (BINNING.fov_lon_edges, BINNING.fov_lat_edges)
    )
    is_inside = np.hypot(lon[:, np.newaxis], lat - SOURCE.fov_lat) < RADIUS
    assert (truth.exposure_3d[0] == 0)[is_inside].any()
    weight = BINNING.solid_angle_3d * is_inside
    sums = [
        (fill(each) * weight).sum(axis=(1, 2)) @ BINNING.energy_width
        for each in (*models, truth)
    ]
    return np.array(sums[:-1]) / sums[-1]


@pytest.mark.parametrize("method", ["none", "gaussian"])
def test_models_of_a_group_are_right_in_the_hole(counted, truth, method):
    stack = stack_runs(counted, stack_id=1)

    model = smooth_stack(stack, method=method, **VALUES[method])

    assert (model.rate_3d[:, truth.exposure_3d[0] == 0] == 0).all()
    assert in_hole([model], truth) == pytest.approx(1.0, abs=0.025)


# Bins of which little is kept have few events, so without smoothing they scatter
@pytest.mark.parametrize(("method", "scatter"), [("none", 0.2), ("gaussian", 0.03)])
def test_models_of_single_runs_are_right_in_the_hole(counted, truth, method, scatter):
    models = [
        smooth_stack(
            stack_runs([run], stack_id=number), method=method, **VALUES[method]
        )
        for number, run in enumerate(counted)
    ]

    ratios = in_hole(models, truth)

    assert ratios.std() < scatter
    assert ratios.mean() == pytest.approx(1.0, abs=scatter / 2)


def test_a_regression_is_right_in_the_hole(counted, truth):
    terms = ("gradient",)
    heads = [make_head(run, fov_alignment="RADEC") for run in counted]
    point = find_points(heads, terms, max_points=100)
    fit = fit_regression(
        join_runs(counted, point, fov_alignment="RADEC"),
        fov_alignment="RADEC",
        terms=terms,
        energy_splines=5,
        offset_splines=6,
        penalty=1.0,
        term_penalty=10.0,
        ridge=0.01,
    )
    conditions = make_conditions(counted[0], fov_alignment="RADEC")
    predicted = predict(fit, conditions, BINNING)

    model = replace(truth, rate_3d=predicted.rate_3d, rate_2d=predicted.rate_2d)

    assert in_hole([model], truth) == pytest.approx(1.0, abs=0.025)
