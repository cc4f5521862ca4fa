from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.core.run import Run
from bkgpipe.simulate.archive.truth import mean_rate_2d, mean_rate_3d
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.stages.fit.data import RegressionFit
from bkgpipe.stages.fit.splines import spline_knots
from bkgpipe.stages.fit.terms import CONDITION_NAMES
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.stages.stack.data import Conditions, Stack
from bkgpipe.tools.propose.data import StoreSample

CONDITIONS = Conditions(
    zenith=20.0, azimuth=180.0, cos_zenith=0.94, deadc=0.9, muon_efficiency=1.0
)


def _binning(**changes: np.ndarray) -> Binning:
    axes = {
        "energy_edges": np.geomspace(0.1, 100.0, 5),
        "fov_lon_edges": np.linspace(-2.5, 2.5, 7),
        "fov_lat_edges": np.linspace(-2.5, 2.5, 9),
        "offset_edges": 2.5 * np.sqrt(np.linspace(0.0, 1.0, 6)),
    }
    return Binning(**(axes | changes))


@pytest.fixture(scope="session")
def make_binning() -> Callable[..., Binning]:
    """Factory `make_binning(**changes)`: 4 energies, 6 x 8 in the field, 5 offsets."""
    return _binning


@pytest.fixture(scope="session")
def make_offsets() -> Callable[[float], np.ndarray]:
    """Factory: offsets of events that fill a field of this radius evenly [deg]."""
    return lambda radius: radius * np.sqrt(np.linspace(0, 1, 30_000))


@pytest.fixture(scope="session")
def make_sample(make_run: Callable[..., Run]) -> Callable[..., StoreSample]:
    """Factory: 30,000 events, a quarter of a store of 4 h that the defaults fit."""

    def make(**changes: Any) -> StoreSample:
        offset = 2.5 * np.sqrt(np.linspace(0, 1, 30_000))
        given = {
            "runs": tuple(
                make_run(
                    obs_id, livetime=1800.0, safe_energy_min=0.3, azimuth=45.0 * obs_id
                )
                for obs_id in range(8)
            ),
            "n_read": 2,
            "hours_read": 1.0,
            "energy": np.geomspace(0.2, 60, offset.size),
            "offset": offset,
            "fov_limit": 2.5,
        }
        return StoreSample(**(given | changes))

    return make


@pytest.fixture(scope="session")
def draw_stack(make_binning: Callable[..., Binning]) -> Callable[..., Stack]:
    """Factory `draw_stack(truth, *, livetime=3e4)`: counts drawn from a truth."""

    def draw(truth: Truth, *, livetime: float = 3e4) -> Stack:
        binning = make_binning()
        return Stack(
            stack_id=1,
            binning=binning,
            obs_ids=np.array([1, 2]),
            ontime=livetime / 0.9,
            livetime=livetime,
            conditions=CONDITIONS,
            **_draw_arrays(binning, truth, livetime=livetime),
        )

    return draw


def _draw_arrays(binning: Binning, truth: Truth, *, livetime: float) -> dict[str, Any]:
    """Exposure, and counts drawn from the truth, of both projections."""
    rng = np.random.default_rng(5)
    width = binning.energy_width
    shapes = (binning.shape_3d, binning.shape_2d)
    solid_angles = (binning.solid_angle_3d, binning.solid_angle_2d)
    rates = (mean_rate_3d(truth, binning), mean_rate_2d(truth, binning))
    arrays = {}
    for name, shape, solid_angle, rate in zip(
        ("3d", "2d"), shapes, solid_angles, rates, strict=True
    ):
        exposure = np.broadcast_to(livetime * solid_angle, shape)
        mean = rate * exposure * width.reshape(-1, *[1] * (len(shape) - 1))
        arrays |= {
            f"exposure_{name}": exposure,
            f"counts_{name}": rng.poisson(mean).astype(float),
        }
    return arrays


@pytest.fixture(scope="session")
def make_model() -> Callable[..., RateModel]:
    """Factory `make_model(stack, rate_3d, rate_2d)`: rates in its exposure."""

    def make(stack: Stack, rate_3d: np.ndarray, rate_2d: np.ndarray) -> RateModel:
        return RateModel(
            stack_id=1,
            binning=stack.binning,
            method="none",
            rate_3d=rate_3d,
            exposure_3d=stack.exposure_3d,
            rate_2d=rate_2d,
            exposure_2d=stack.exposure_2d,
            n_runs=2,
            livetime=stack.livetime,
            conditions=stack.conditions,
        )

    return make


@pytest.fixture(scope="session")
def make_fit() -> Callable[..., RegressionFit]:
    """Factory `make_fit(coefficients, covariance)`: 5 splines in energy, 7 columns."""
    return _make_fit


def _make_fit(coefficients: np.ndarray, covariance: np.ndarray) -> RegressionFit:
    n_conditions = len(CONDITION_NAMES)
    return RegressionFit(
        fov_alignment="RADEC",
        terms=("azimuth", "gradient"),
        columns=(*["radial"] * 4, "azimuth", "gradient", "gradient"),
        dropped=(),
        energy_knots=spline_knots(-1.0, 2.0, n_splines=5),
        offset_knots=spline_knots(0.0, 6.25, n_splines=4),
        low_knots=np.zeros(0),
        lowest_distance=-5.0,
        reference=np.array([0.0, 0.0, -2.0, np.log(3.0)]),
        reference_range=np.array([-1.0, 2.0]),
        energy_range=np.array([-1.0, 2.0]),
        energy_edges=np.exp([-1.5, -0.5, 1.5, 2.5]),
        condition_names=CONDITION_NAMES,
        condition_mean=np.zeros(n_conditions),
        condition_scale=np.ones(n_conditions),
        condition_low=np.full(n_conditions, -1.0),
        condition_high=np.full(n_conditions, 1.0),
        time_gap=10.0,
        epoch_edges=np.zeros(0),
        coefficients=coefficients,
        low_coefficients=np.zeros((0, 0)),
        covariance=covariance,
        deviance=0.0,
        edf=1.0,
        scatter=0.1,
        low_scatter=0.0,
        residual=np.ones((2, 3)),
        n_steps=5,
        n_runs=10,
        livetime=1000.0,
        penalty=1.0,
        term_penalty=10.0,
        ridge=0.01,
    )
