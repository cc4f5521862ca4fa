"""Measure how often the errors that a regression quotes cover the truth.

Archives are drawn in memory from a law that is known: log-linear in the conditions as
the regression assumes, with a radial shape that turns over with zenith, gradients
toward the zenith, steps of the muon efficiency, control rates, and a norm of each run
that nothing tells of. The regression is fitted with these terms, and predicts bins
and norms of runs that it has not seen, within the range of conditions that it has. A
bin's truth is the exponential of its mean log rate, since how bins are averaged is not
what is tested here.
Usage: ``python benchmarks/closure_regression.py [seeds]``
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.core.run import Run
from bkgpipe.stages.count.data import Conservation, ControlEvents, RunCounts
from bkgpipe.stages.fit.data import RegressionFit, RunConditions
from bkgpipe.stages.fit.fit import fit_regression
from bkgpipe.stages.fit.norm_error import norm_error
from bkgpipe.stages.fit.points import join_runs
from bkgpipe.stages.fit.predict import predict
from bkgpipe.stages.fit.reference import log_centers
from bkgpipe.stages.fit.systematics import measure_systematics
from bkgpipe.stages.fit.terms import make_conditions

__all__ = ["AXES", "TRUTHS", "Pulls", "Truth", "closure", "draw_archive"]

# Coarse and unequal; no bin reaches beyond the largest offset
AXES = Binning(
    energy_edges=np.geomspace(0.3, 30.0, 13),
    fov_lon_edges=np.linspace(-1.5, 1.5, 10),
    fov_lat_edges=np.linspace(-1.6, 1.6, 11),
    offset_edges=2.5 * np.sqrt(np.linspace(0.0, 1.0, 6)),
)
LIVETIME = 1512.0
N_FIT, N_HELD = 80, 5
# Those of the law: what no term stands for is in no error
_TERMS = (
    "zenith",
    "azimuth",
    "muon",
    "gradient",
    "gradient_zenith",
    "control_outer",
    "control_low",
)
_SAMPLES = (np.arange(6) + 0.5) / 6


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Strengths of the law.

    Attributes
    ----------
    zenith, zenith_energy, zenith_square : float
        Slope of the log rate with cosine of zenith, its change with log energy, and
        curvature.
    turnover : float
        Change of the radial shape with cosine of zenith.
    gradient, gradient_zenith : float
        Constant gradients, and toward the zenith with its tangent [1 / deg].
    muon, azimuth, outer, low : float
        Slopes with these conditions.
    scatter, chromatic : float
        Scatter of the norms of runs, and of their spectral indices.
    """

    zenith: float = 2.5
    zenith_energy: float = -0.5
    zenith_square: float = -2.0
    turnover: float = 0.3
    gradient: float = 0.03
    gradient_zenith: float = 0.06
    muon: float = 1.0
    azimuth: float = 0.1
    outer: float = 0.7
    low: float = 0.3
    scatter: float = 0.1
    chromatic: float = 0.0


_WEAK = Truth(
    zenith=2.0,
    zenith_energy=-0.3,
    zenith_square=-1.0,
    turnover=0.15,
    gradient_zenith=0.04,
)
_STRONG = Truth(
    zenith=3.5,
    zenith_energy=-1.0,
    zenith_square=-4.0,
    turnover=0.5,
    gradient=0.06,
    gradient_zenith=0.08,
    muon=2.0,
    azimuth=0.3,
    outer=0.9,
    low=0.5,
)
TRUTHS = {
    "no scatter": Truth(scatter=0.0),
    "weak": _WEAK,
    "strong": _STRONG,
    "chromatic": Truth(chromatic=0.1),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnRun:
    """A run, its log rate by its conditions, and its mean with its own scatter.

    Attributes
    ----------
    run : RunCounts
        Counts, drawn.
    log_rate : np.ndarray
        Truth at its conditions, shape ``(n_energy, n_places)``.
    mean : np.ndarray
        Mean counts with its own scatter, same shape.
    exposure : np.ndarray
        Exposure x energy width, same shape.
    """

    run: RunCounts
    log_rate: np.ndarray
    mean: np.ndarray
    exposure: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Pulls:
    """(log predicted - log true) / error of runs that were not in the fit.

    Attributes
    ----------
    bins : np.ndarray
        NaN below the safe energy and for extrapolations, shape ``(n_seeds, n_runs,
        n_energy, n_places)``.
    norms : np.ndarray
        Of the total counts, whose error has the scatter in it, ``(n_seeds, n_runs)``.
    scatter : np.ndarray
        Scatter that the fits tell, shape ``(n_seeds,)``.
    """

    bins: np.ndarray
    norms: np.ndarray
    scatter: np.ndarray


def closure(truth: Truth, seeds: range, **strengths: float) -> Pulls:
    """Fit an archive for each seed, and compare predictions with the truth.

    Parameters
    ----------
    truth : Truth
        The law.
    seeds : range
        Seeds.
    **strengths : float
        Strengths of the penalties other than the defaults.

    Returns
    -------
    Pulls
        Pulls of the runs that are held out.
    """
    bins, norms, scatter = [], [], []
    for seed in seeds:
        archive = draw_archive(truth, np.random.default_rng([seed, 7]))
        held, fitted = archive[:N_HELD], archive[N_HELD:]
        runs = [one.run for one in fitted]
        points = join_runs(runs, np.arange(len(runs)), fov_alignment="RADEC")
        fit = fit_regression(points, fov_alignment="RADEC", terms=_TERMS, **strengths)
        fit = measure_systematics(fit, points)
        found = [_compare(fit, one) for one in held]
        bins.append([pull for pull, _ in found])
        norms.append([pull for _, pull in found])
        scatter.append(fit.scatter)
    return Pulls(bins=np.array(bins), norms=np.array(norms), scatter=np.array(scatter))


def draw_archive(truth: Truth, rng: np.random.Generator) -> list[DrawnRun]:
    """Draw runs of three epochs; the order of epochs is that of the run number.

    Parameters
    ----------
    truth : Truth
        The law.
    rng : np.random.Generator
        Randomness.

    Returns
    -------
    list of DrawnRun
        Those to hold out, from all epochs and inside the range of the others, first.
    """
    n_runs = N_FIT + N_HELD
    runs = [_draw_run(truth, rng, number, n_runs) for number in range(n_runs)]
    step = n_runs // N_HELD
    held = runs[step // 2 :: step]
    return held + [one for one in runs if one not in held]


def _draw_run(
    truth: Truth, rng: np.random.Generator, number: int, n_runs: int
) -> DrawnRun:
    run = _blank_run(rng, number, n_runs)
    x = log_centers(AXES)
    log_rate = _log_rate(truth, make_conditions(run, fov_alignment="RADEC"))
    # A mean of one, so that the truth is the mean of what is drawn
    index = truth.chromatic * (x - 0.8)
    own = truth.scatter * rng.normal() + index * rng.normal()
    own -= (truth.scatter**2 + index**2) / 2
    exposure = LIVETIME * np.outer(AXES.energy_width, AXES.solid_angle_3d)
    mean = np.exp(log_rate + own[:, np.newaxis]) * exposure
    counts = rng.poisson(mean).reshape(AXES.shape_3d)
    return DrawnRun(
        run=replace(run, counts_3d=counts),
        log_rate=log_rate,
        mean=mean,
        exposure=exposure,
    )


def _blank_run(rng: np.random.Generator, number: int, n_runs: int) -> RunCounts:
    """Draw the conditions of a run."""
    cos_zenith = rng.uniform(np.cos(np.radians(58.0)), 0.995)
    safe_energy = 0.3 * np.exp(1.6 * max(0.0, 1 / cos_zenith - 1.08))
    outer = rng.normal(0.0, 0.15)
    low = rng.normal(0.3 * outer, 0.1)
    # Conditions are reduced to a safe energy of 1 TeV; enough events for no noise
    control = ControlEvents(
        counts_outer=int(1e6 * np.exp(outer) / safe_energy),
        exposure_outer=1e6,
        counts_low=int(1e6 * np.exp(low) * safe_energy**2),
        exposure_low=1e6,
    )
    run = Run(
        obs_id=number + 1,
        target="",
        ra=0.0,
        dec=0.0,
        zenith=float(np.degrees(np.arccos(cos_zenith))),
        azimuth=rng.uniform(0.0, 360.0),
        ontime=LIVETIME / 0.9,
        livetime=LIVETIME,
        deadc=0.9,
        time_start=53000.0 + number,
        time_stop=53000.02 + number,
        muon_efficiency=(0.95, 0.8, 0.7)[3 * number // n_runs] + rng.normal(0.0, 0.01),
        nsb=1.0,
        telescopes="1,2,3,4",
        quality=0,
        safe_energy_min=safe_energy,
        longitude=16.5,
        latitude=-23.3,
        altitude=1835.0,
        events_file="",
        events_hdu="",
        file_size=0,
        file_time=0,
    )
    return RunCounts(
        run=run,
        binning=AXES,
        counts_3d=np.zeros(AXES.shape_3d, dtype=np.int64),
        counts_2d=np.zeros(AXES.shape_2d, dtype=np.int64),
        solid_angle_3d=AXES.solid_angle_3d,
        solid_angle_2d=AXES.solid_angle_2d,
        is_safe=AXES.energy_edges[:-1] >= safe_energy * (1 - 1e-9),
        safe_energy_min=safe_energy,
        safe_energy_origin="table",
        ontime=run.ontime,
        livetime=run.livetime,
        position_angle=rng.uniform(-180.0, 180.0),
        conservation=Conservation(),
        control=control,
        checksum="",
    )


def _log_rate(truth: Truth, at: RunConditions) -> np.ndarray:
    """Return the law at the centres in energy, averaged over each bin of the field."""
    x = log_centers(AXES)
    lon, lat, square = _places()
    z = at.cos_zenith - 0.8
    sin_zenith = np.sqrt(1 - at.cos_zenith**2)
    rate = np.log(800.0) - 2.6 * x - 0.08 * x**2 - (0.35 * np.exp(-x)) ** 2
    rate += z * (truth.zenith + truth.zenith_energy * x) + truth.zenith_square * z**2
    rate += truth.muon * (1 + 0.1 * x) * (at.muon_efficiency - 0.85)
    rate += truth.azimuth * np.cos(np.radians(at.azimuth)) * sin_zenith
    rate += truth.outer * (1 - 0.08 * x) * at.control_outer
    rate += truth.low * (1 + 0.05 * x) * at.control_low
    width = 1.5 * np.exp(0.08 * x)
    shape = -np.outer(0.5 / width**2, square)
    shape += truth.turnover * z * np.outer(1 - x, square - 1.5)
    angle = np.radians(at.position_angle)
    upward = np.cos(angle) * lat - np.sin(angle) * lon
    steepness = truth.gradient_zenith * (0.3 + sin_zenith / at.cos_zenith)
    gradient = np.outer(steepness * (1 + 0.15 * x), upward)
    law: np.ndarray = rate[:, np.newaxis] + shape + gradient
    return law + truth.gradient * (lon - 0.7 * lat)


def _places() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of lon, lat and offset squared over each bin of the field."""
    lon, lat = (
        edges[:-1, np.newaxis] + np.diff(edges)[:, np.newaxis] * _SAMPLES
        for edges in (AXES.fov_lon_edges, AXES.fov_lat_edges)
    )
    lon, lat = np.broadcast_arrays(
        lon[:, np.newaxis, :, np.newaxis], lat[:, np.newaxis]
    )
    half = np.radians(lat) / 2
    chord = np.sin(half) ** 2 + np.cos(2 * half) * np.sin(np.radians(lon) / 2) ** 2
    square = np.degrees(2 * np.arcsin(np.sqrt(chord))) ** 2
    lon, lat, square = (part.mean(axis=(2, 3)).ravel() for part in (lon, lat, square))
    return lon, lat, square


def _compare(fit: RegressionFit, one: DrawnRun) -> tuple[np.ndarray, float]:
    """Return the pulls of the bins, and of the norm; NaN for an extrapolation."""
    conditions = make_conditions(one.run, fov_alignment="RADEC")
    rate = predict(fit, conditions, AXES)
    if rate.excursions:
        return np.full(one.log_rate.shape, np.nan), np.nan
    log_rate = np.log(rate.rate_3d).reshape(one.log_rate.shape)
    pull = (log_rate - one.log_rate) / rate.error_3d.reshape(one.log_rate.shape)
    pull[~one.run.is_safe] = np.nan
    safe = one.run.is_safe[:, np.newaxis]
    expected, mean = np.exp(log_rate) * one.exposure * safe, one.mean * safe
    weight = expected.reshape(AXES.shape_3d)
    # of runs left out, the scatter has the statistical error of most of them in it
    error = max(norm_error(fit, conditions, AXES, weight=weight), fit.scatter)
    return pull, float(np.log(expected.sum() / mean.sum()) / error)


def coverage(pulls: np.ndarray) -> tuple[float, float]:
    """Share of pulls within one, and its error by the spread of the seeds.

    Parameters
    ----------
    pulls : np.ndarray
        Pulls, the first axis is that of seeds.

    Returns
    -------
    share, error : float
        Share and error.
    """
    flat = pulls.reshape(len(pulls), -1)
    is_known = np.isfinite(flat)
    inside = np.count_nonzero(is_known & (np.abs(flat) < 1), axis=1)
    of_seed = inside / np.maximum(is_known.sum(axis=1), 1)
    share = float(inside.sum() / is_known.sum())
    return share, float(of_seed.std(ddof=1) / np.sqrt(len(flat)))


def main(n_seeds: int) -> None:
    """Print the coverage of each truth, by region."""
    started = time.perf_counter()
    square = _places()[2]
    regions = {
        "all": np.s_[:],
        "centre": np.s_[:, :, :, square < 0.5],
        "edge": np.s_[:, :, :, square > 2.0],
        "0.3-1.4 TeV": np.s_[:, :, :4],
        "1.4-6.5 TeV": np.s_[:, :, 4:8],
        "6.5-30 TeV": np.s_[:, :, 8:],
    }
    print(f"{n_seeds} archives of {N_FIT} runs, {N_HELD} held out: % within one error")
    print(f"{'truth':<11}{''.join(f'{name:>13}' for name in [*regions, 'norm'])}")
    shares = []
    for name, truth in TRUTHS.items():
        pulls = closure(truth, range(n_seeds))
        found = [coverage(pulls.bins[region]) for region in regions.values()]
        shares.append(found[0][0])
        cells = [*found, coverage(pulls.norms)]
        row = "".join(f"{100 * share:6.1f} +- {100 * e:3.1f}" for share, e in cells)
        print(f"{name:<11}{row}")
        bins, norms = (part[np.isfinite(part)] for part in (pulls.bins, pulls.norms))
        told = pulls.scatter.mean()
        print(
            f"{'':<11} pulls of bins {bins.mean():+.2f} +- {bins.std():.2f}, of norms "
            f"{norms.mean():+.2f} +- {norms.std():.2f}; scatter {told:.3f}, true "
            f"{truth.scatter:.3f}"
        )
    print(f"mean {100 * np.mean(shares):.1f} %; {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
