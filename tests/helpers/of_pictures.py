from __future__ import annotations

from collections.abc import Callable
from functools import partial

import healpy
import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.core.clock import Clock
from bkgpipe.core.run import Run, RunTable
from bkgpipe.stages.count.data import Conservation, ControlEvents, RunCounts
from bkgpipe.stages.count.kept_share import KeptShare
from bkgpipe.stages.fit.data import RegressionFit
from bkgpipe.stages.mask.data import ExclusionMask
from bkgpipe.stages.rank.data import Ranking
from bkgpipe.stages.report.data import Report, note_model
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.stages.stack.data import Conditions, Group, Stack

MakeRun = Callable[..., Run]


@pytest.fixture(scope="session")
def make_crab(make_run: MakeRun) -> MakeRun:
    """Factory `make_crab(**changes)`: a run with numbers that tables round."""
    return partial(
        make_run,
        obs_id=23523,
        target="Crab Nebula",
        ra=83.633,
        dec=21.514,
        zenith=45.7,
        azimuth=22.4,
        ontime=1687.0,
        livetime=1581.7,
        deadc=0.9376,
        muon_efficiency=0.95,
        safe_energy_min=0.87,
    )


@pytest.fixture(scope="session")
def drawn_binning() -> Binning:
    # 7 energies, 5 longitudes, 4 latitudes, 3 offsets: no two axes are equal
    return Binning(
        energy_edges=np.geomspace(0.1, 50.0, 8),
        fov_lon_edges=np.linspace(-2.5, 2.5, 6),
        fov_lat_edges=np.linspace(-2.5, 2.5, 5),
        offset_edges=np.array([0.0, 1.0, 1.8, 2.5]),
    )


@pytest.fixture(scope="session")
def conditions() -> Conditions:
    return Conditions(
        zenith=31.25,
        azimuth=187.5,
        cos_zenith=0.855,
        deadc=0.9321,
        muon_efficiency=0.88,
    )


@pytest.fixture(scope="session")
def run_counts(drawn_binning: Binning, make_crab: MakeRun) -> RunCounts:
    rng = np.random.default_rng(1)
    counts_3d = rng.poisson(3.0, drawn_binning.shape_3d).astype(float)
    counts_2d = rng.poisson(5.0, drawn_binning.shape_2d).astype(float)
    n_kept = int(counts_2d[2:].sum())
    n_below_safe = int(counts_2d[:2].sum())
    return RunCounts(
        run=make_crab(),
        binning=drawn_binning,
        counts_3d=counts_3d,
        counts_2d=counts_2d,
        solid_angle_3d=0.9 * drawn_binning.solid_angle_3d,
        solid_angle_2d=0.9 * drawn_binning.solid_angle_2d,
        is_safe=np.arange(drawn_binning.n_energy) > 1,
        safe_energy_min=0.871,
        safe_energy_origin="table",
        ontime=1687.0,
        livetime=1581.7,
        position_angle=12.0,
        conservation=Conservation(
            n_read=n_kept + n_below_safe + 720,
            n_invalid=1,
            n_outside_time=9,
            n_outside_field=10,
            n_outside_energy=100,
            n_excluded=600,
            n_below_safe=n_below_safe,
            n_kept=n_kept,
        ),
        control=ControlEvents(
            counts_outer=321,
            exposure_outer=6.5,
            counts_low=654,
            exposure_low=9.25,
            counts_rim=543,
            exposure_rim=3.125,
        ),
        checksum="ab12" * 16,
    )


@pytest.fixture(scope="session")
def stack(
    drawn_binning: Binning, conditions: Conditions, run_counts: RunCounts
) -> Stack:
    return Stack(
        stack_id=3,
        binning=drawn_binning,
        obs_ids=np.arange(23501, 23513),
        counts_3d=run_counts.safe_counts_3d,
        exposure_3d=run_counts.safe_exposure_3d,
        counts_2d=run_counts.safe_counts_2d,
        exposure_2d=run_counts.safe_exposure_2d,
        ontime=20000.0,
        livetime=18000.0,
        conditions=conditions,
    )


@pytest.fixture(scope="session")
def rate_model(stack: Stack, conditions: Conditions) -> RateModel:
    width = stack.binning.energy_width
    exposure_3d = stack.exposure_3d * width[:, np.newaxis, np.newaxis]
    exposure_2d = stack.exposure_2d * width[:, np.newaxis]
    return RateModel(
        stack_id=3,
        binning=stack.binning,
        method="none",
        rate_3d=_ratio(stack.counts_3d, exposure_3d),
        exposure_3d=stack.exposure_3d,
        rate_2d=_ratio(stack.counts_2d, exposure_2d),
        exposure_2d=stack.exposure_2d,
        n_runs=12,
        livetime=18000.0,
        conditions=conditions,
    )


@pytest.fixture(scope="session")
def exclusion_mask() -> ExclusionMask:
    centre = healpy.ang2vec(83.629, 22.012, lonlat=True)
    return ExclusionMask(
        obs_id=23523,
        nside=256,
        excluded_pixels=healpy.query_disc(256, centre, np.radians(0.8)),
        region_names=("Crab Nebula", "custom"),
        region_origins=("gammacat", "luigi.cfg"),
        region_circles=np.array([[83.629, 22.012, 0.35, 0.0], [84.0, 22.2, 1.5, 0.9]]),
        region_capped=np.array([False, True]),
    )


@pytest.fixture(scope="session")
def ranking() -> Ranking:
    return Ranking(
        obs_id=23523,
        obs_ids=np.array([20136, 20137, 25511]),
        divergence=np.array([0.0125, 0.025, 0.5]),
        livetime=np.array([1500.0, 1600.0, 1700.0]),
        scale=np.array([1.0, 0.875, 1.25]),
        reason=np.array([0, 0, 1]),
        n_by_reason=np.array([2, 1, 1, 0, 0, 9, 0, 0, 8, 0, 0, 0]),
        widened=1.0,
        is_short=False,
    )


@pytest.fixture(scope="session")
def group() -> Group:
    return Group(
        group_id=2,
        obs_ids=np.array([20136, 20137, 25511]),
        cells=np.array([[20.0, 30.0, -90.0, 90.0], [0.0, 20.0, -90.0, 90.0]]),
        zenith=24.5,
        azimuth=12.5,
        livetime=4800.0,
        n_events=23456,
        merged=("zenith 0-20 azimuth -90-90",),
    )


@pytest.fixture(scope="session")
def report(
    group: Group, rate_model: RateModel, run_counts: RunCounts, make_crab: MakeRun
) -> Report:
    runs = (
        make_crab(obs_id=20136, target="OFF"),
        make_crab(obs_id=20137, selected=False, reason="zenith 61.0 deg > 60 deg"),
        make_crab(obs_id=23523),
    )
    return Report(
        title="Background models",
        table=RunTable(runs=runs),
        conservation=run_counts.conservation,
        refused={20136: "truncated events file"},
        timing={"mask": 1.5, "count": 30.0},
        groups=(group,),
        models=(note_model(rate_model),),
        n_models=4,
        n_rates=2,
        settings={"smooth": {"method": "gaussian", "sigma": "1"}},
        kept_shares=(
            KeptShare(
                obs_id=23523,
                target="Crab Nebula",
                offset_min=0.25,
                offset_max=0.5,
                n_events=1000,
                n_kept=480,
                by_geometry=0.75,
                by_events=0.48,
            ),
            KeptShare(
                obs_id=20136,
                target="OFF",
                offset_min=1.0,
                offset_max=1.5,
                n_events=3,
                n_kept=0,
                by_geometry=0.9,
                by_events=0.0,
            ),
        ),
        clocks={
            20136: Clock(
                ontime=600.0,
                livetime_over_deadc=float("nan"),
                good_time=300.0,
                start_to_stop=1234.5,
                first_to_last=1234.5,
            ),
            23523: Clock(ontime=1700.0, good_time=1500.0),
        },
        versions={"bkgpipe": "0.1.0", "numpy": "2.4"},
        store="out/export-3fa9c1/store",
    )


def _ratio(counts: np.ndarray, exposure: np.ndarray) -> np.ndarray:
    return np.divide(counts, exposure, out=np.zeros(counts.shape), where=exposure > 0)


@pytest.fixture(scope="session")
def fit() -> RegressionFit:
    """A regression with a term, low energies and three energies that are safe."""
    n_energy, columns = 3, ("radial", "radial", "zenith", "zenith")
    n = n_energy * len(columns)
    return RegressionFit(
        fov_alignment="ALTAZ",
        terms=("zenith",),
        columns=columns,
        dropped=("muon: it is missing in 2 runs",),
        energy_knots=np.arange(n_energy + 4.0),
        offset_knots=np.arange(6.0),
        low_knots=np.arange(9.0),
        lowest_distance=np.log10(0.4),
        reference=np.zeros(4),
        reference_range=np.log([0.6, 20.0]),
        energy_range=np.log([0.5, 20.0]),
        energy_edges=np.array([0.3, 1.0, 4.0, 100.0, 150.0]),
        condition_names=("cos_zenith",),
        condition_mean=np.array([0.8]),
        condition_scale=np.array([0.1]),
        condition_low=np.array([0.6]),
        condition_high=np.array([0.95]),
        time_gap=30.0,
        epoch_edges=np.zeros(0),
        coefficients=np.zeros((n_energy, len(columns))),
        low_coefficients=np.zeros((2, 5)),
        covariance=np.zeros((n + 10, n + 10)),
        deviance=1234.5,
        edf=9.25,
        scatter=0.031,
        low_scatter=0.62,
        residual=np.array([[940.0, 100.0, 16.0, 0.0], [930.0, 121.0, 16.4, 0.0]]),
        n_steps=7,
        n_runs=42,
        livetime=72000.0,
        penalty=2.0,
        term_penalty=30.0,
        ridge=400.0,
    )
