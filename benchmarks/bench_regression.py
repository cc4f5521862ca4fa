"""Cost of the regression of many runs joined in points, beside that of 84 runs.

Counts are drawn from a log-linear truth with zenith, azimuth, muon efficiency,
gradients and control rates, and a scatter of 5 per cent from run to run; what is
printed as accuracy is about the truth, for runs that are not in the fit: the mean and
the standard deviation of the logarithm of predicted / true counts of a run, and the
root mean square of that of its bins. Times are of the processor, one core.
Usage: ``OMP_NUM_THREADS=1 python benchmarks/bench_regression.py [runs]``
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median
from typing import TypeVar

# One thread, also where the shell does not say so: before numpy is loaded
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402

from bkgpipe.core.run import Run  # noqa: E402
from bkgpipe.geometry.sampling import solid_angle_in_disc  # noqa: E402
from bkgpipe.settings.sections import BinningSettings  # noqa: E402
from bkgpipe.stages.count.data import (  # noqa: E402
    Conservation,
    ControlEvents,
    RunCounts,
)
from bkgpipe.stages.fit.data import (  # noqa: E402
    FitPoints,
    RegressionFit,
    RunConditions,
    RunHead,
)
from bkgpipe.stages.fit.fit import fit_regression  # noqa: E402
from bkgpipe.stages.fit.points import find_points, join_runs, make_head  # noqa: E402
from bkgpipe.stages.fit.predict import predict  # noqa: E402
from bkgpipe.stages.fit.systematics import measure_systematics  # noqa: E402
from bkgpipe.stages.fit.terms import make_conditions, sky_directions  # noqa: E402

_AXES = BinningSettings(
    energy_edges=(),
    energy_min=0.1,
    energy_max=100.0,
    per_decade=8,
    offset_max=2.5,
    fov_bins=20,
    offset_bins=20,
).axes
_SOLID_ANGLE = solid_angle_in_disc(
    _AXES.fov_lon_edges, _AXES.fov_lat_edges, _AXES.offset_max
)
_LON, _LAT = np.meshgrid(
    (_AXES.fov_lon_edges[:-1] + _AXES.fov_lon_edges[1:]) / 2,
    (_AXES.fov_lat_edges[:-1] + _AXES.fov_lat_edges[1:]) / 2,
    indexing="ij",
)
_LATITUDE = np.radians(-23.27)
_TERMS = (
    "zenith",
    "azimuth",
    "muon",
    "gradient",
    "gradient_zenith",
    "control_outer",
    "control_low",
)
_SCATTER = 0.05
_MAX_POINTS = 500
_N_SMALL, _N_SUBSET, _N_TEST = 84, 1000, 100
_Result = TypeVar("_Result")


def main(n_runs: int) -> None:
    """Print times, memory and accuracy."""
    small = _points(_N_SMALL, max_points=_N_SMALL)
    base = median(_seconds(lambda: _fit(small))[0] for _ in range(5))
    print(f"{_N_SMALL} runs, each a point: fit {base:.2f} s")

    taken, heads = _seconds(lambda: _heads(n_runs))
    print(f"{n_runs} runs, simulated without counts: {taken:.1f} s")
    taken, point = _seconds(lambda: find_points(heads, _TERMS, max_points=_MAX_POINTS))
    print(f"  sorted into {point.max() + 1} points: {taken:.2f} s")
    taken, _ = _seconds(lambda: sum(1 for _ in _runs(n_runs)))
    more, points = _seconds(
        lambda: join_runs(_runs(n_runs), point, fov_alignment="RADEC")
    )
    print(f"  counts simulated: {taken:.1f} s; the same and joined: {more:.1f} s")
    large = median(_seconds(lambda: _fit(points))[0] for _ in range(3))
    print(f"  fit {large:.2f} s = {large / base:.1f} x that of {_N_SMALL} runs")
    fit = _fit(points)
    taken, scatter = _seconds(lambda: _scatter(fit, points, point))
    print(
        f"  scatter {scatter:.4f}, put in {_SCATTER}; simulated and found {taken:.1f} s"
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak memory {peak:.0f} MiB")
    print(f"  {_accuracy(fit)}")
    for n_points in (_N_SUBSET, _N_SUBSET // 2, _N_SUBSET // 10):
        fit = _fit(_points(_N_SUBSET, max_points=n_points))
        print(f"{_N_SUBSET} runs in {n_points} points: {_accuracy(fit)}")


def _seconds(work: Callable[[], _Result]) -> tuple[float, _Result]:
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def _fit(points: FitPoints) -> RegressionFit:
    return fit_regression(points, fov_alignment="RADEC", terms=_TERMS)


def _points(n_runs: int, *, max_points: int) -> FitPoints:
    point = find_points(_heads(n_runs), _TERMS, max_points=max_points)
    return join_runs(_runs(n_runs), point, fov_alignment="RADEC")


def _heads(n_runs: int) -> list[RunHead]:
    return [make_head(_empty(i), fov_alignment="RADEC") for i in range(1, n_runs + 1)]


def _runs(n_runs: int, *, every: int = 1) -> Iterator[RunCounts]:
    for obs_id in range(1, n_runs + 1, every):
        run = _empty(obs_id)
        rng = np.random.default_rng([1, obs_id])
        factor = np.exp(rng.normal(0.0, _SCATTER))
        counts = rng.poisson(factor * _rate(_conditions(run)) * _exposure(run))
        yield replace(run, counts_3d=counts)


def _scatter(fit: RegressionFit, points: FitPoints, point: np.ndarray) -> float:
    every = max(1, len(point) // 2000)
    runs = _runs(len(point), every=every)
    return measure_systematics(fit, points, runs=runs, point=point[::every]).scatter


def _accuracy(fit: RegressionFit) -> str:
    norms, squares = [], []
    for obs_id in range(10**7, 10**7 + _N_TEST):
        run = _empty(obs_id)
        truth = _rate(_conditions(run)) * _exposure(run)
        rate = predict(fit, _conditions(run), _AXES).rate_3d
        ratio = rate / _rate(_conditions(run))
        norms.append(np.log(np.sum(ratio * truth) / truth.sum()))
        squares.append(np.sum(np.log(ratio) ** 2 * truth) / truth.sum())
    return (
        f"of a run {100 * np.mean(norms):+.2f} +- {100 * np.std(norms):.2f} %, "
        f"of a bin {100 * np.sqrt(np.mean(squares)):.2f} %"
    )


def _conditions(run: RunCounts) -> RunConditions:
    return make_conditions(run, fov_alignment="RADEC")


def _exposure(run: RunCounts) -> np.ndarray:
    """Exposure times energy width [s sr TeV]."""
    exposure: np.ndarray = run.exposure_3d * _AXES.energy_width[:, None, None]
    return exposure


def _rate(conditions: RunConditions) -> np.ndarray:
    """Truth: linear in the functions that the terms are made of."""
    cos_zenith, up = conditions.cos_zenith, sky_directions([conditions])[0]
    north = np.cos(np.radians(conditions.azimuth)) * np.sqrt(1 - cos_zenith**2)
    muon, z, square = conditions.muon_efficiency, cos_zenith - 0.85, _LON**2 + _LAT**2
    outer, low = conditions.control_outer, conditions.control_low
    tan = np.sqrt(1 - cos_zenith**2) / cos_zenith
    x = np.log(_AXES.energy_edges[:-1] * _AXES.energy_edges[1:])[:, None, None] / 2
    log_rate = np.log(300.0) - 2.7 * x - 0.05 * x**2 - square * (0.22 + 0.03 * x)
    log_rate = log_rate + z * (-3 + 0.3 * x) + z * square * (0.25 + 0.1 * x) + 2 * z**2
    log_rate += 0.12 * north + 0.5 * (muon - 0.95) + 0.1 * (low - 7.9)
    log_rate += 0.6 * (outer - 3.3) + 0.01 * _LON - 0.005 * _LAT
    log_rate += (0.01 + 0.03 * tan + 0.02 * tan**2) * (up[0] * _LON + up[1] * _LAT)
    rate: np.ndarray = np.exp(log_rate)
    return rate


def _empty(obs_id: int) -> RunCounts:
    """Draw all of a run but its counts."""
    rng = np.random.default_rng([2, obs_id])
    zenith, azimuth = (
        rng.triangular(2, 15, 62),
        rng.choice([0, 180]) + rng.normal(0, 50),
    )
    cos_zenith, time_start = np.cos(np.radians(zenith)), rng.uniform(0, 3000)
    # Mirrors lose 12 per cent in 1000 days, and are then renewed
    muon = (1.0, 0.8, 1.05)[int(time_start // 1000)] - 0.12 * (time_start % 1000) / 1000
    muon += rng.normal(0, 0.01)
    livetime, air = rng.uniform(900, 1600), rng.normal(0, 0.12)
    safe = 0.22 * cos_zenith**-2.2 / muon * np.exp(rng.normal(0, 0.12))
    run = Run(
        obs_id=obs_id,
        target="",
        ra=0.0,
        dec=0.0,
        zenith=zenith,
        azimuth=azimuth % 360,
        ontime=livetime / 0.92,
        livetime=livetime,
        deadc=0.92,
        time_start=53000 + time_start,
        time_stop=53000.02 + time_start,
        muon_efficiency=muon,
        nsb=np.nan,
        telescopes="",
        quality=0,
        safe_energy_min=safe,
        longitude=16.5,
        latitude=np.degrees(_LATITUDE),
        altitude=1800.0,
        events_file="",
        events_hdu="",
        file_size=0,
        file_time=0,
    )
    return RunCounts(
        run=run,
        binning=_AXES,
        counts_3d=np.broadcast_to(np.int64(0), _AXES.shape_3d),
        # Not the counts: as many events as the run should have, to choose points by
        counts_2d=np.full(_AXES.shape_2d, int(livetime / 100)),
        solid_angle_3d=_kept(rng),
        solid_angle_2d=_AXES.solid_angle_2d,
        is_safe=_AXES.energy_edges[:-1] >= safe,
        safe_energy_min=safe,
        safe_energy_origin="table",
        ontime=livetime / 0.92,
        livetime=livetime,
        position_angle=_position_angle(zenith, azimuth),
        conservation=Conservation(),
        control=_control(rng, cos_zenith, air, safe=safe, livetime=livetime),
        checksum="",
    )


def _kept(rng: np.random.Generator) -> np.ndarray:
    """Solid angle less up to three discs."""
    kept = _SOLID_ANGLE.copy()
    for _ in range(rng.integers(0, 4)):
        lon, lat = rng.uniform(-1.5, 1.5, 2)
        kept[np.hypot(_LON - lon, _LAT - lat) < rng.uniform(0.2, 0.5)] = 0.0
    return kept


def _position_angle(zenith: float, azimuth: float) -> float:
    z, a = np.radians(zenith), np.radians(azimuth)
    east = -np.sin(a) * np.cos(_LATITUDE)
    north = np.sin(_LATITUDE) * np.sin(z)
    north -= np.cos(_LATITUDE) * np.cos(z) * np.cos(a)
    return float(np.degrees(np.arctan2(east, north)))


def _control(
    rng: np.random.Generator,
    cos_zenith: float,
    air: float,
    *,
    safe: float,
    livetime: float,
) -> ControlEvents:
    """Draw control events, whose rates follow zenith and the state of the air."""
    outer = np.exp(3.2 - 4.0 * (cos_zenith - 0.85) + air) / safe
    low = np.exp(7.9 + 3.0 * (cos_zenith - 0.85) + 1.5 * air) * safe**2
    exposures = 0.012 * livetime, 0.006 * livetime
    return ControlEvents(
        counts_outer=int(rng.poisson(outer * exposures[0])),
        exposure_outer=exposures[0],
        counts_low=int(rng.poisson(low * exposures[1])),
        exposure_low=exposures[1],
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 10_000)
