"""What the rate of a run should be: from its zenith angle, and from other runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import median_filter
from scipy.optimize import least_squares
from scipy.stats import chi2

from bkgpipe.tools.monitor.data import RunLevel, RunRates, SearchLimits, ZenithLaw

__all__ = ["compare_runs", "expected_counts", "fit_zenith_law"]

# Runs that hardly move tell no exponent: then it stays near zero
_PRIOR_WIDTH = 10.0
_QUIET_P = 1e-3
_N_PASSES, _N_NEWTON = 3, 20
_MIN_RUNS = 5
_MIN_SPREAD = 0.02  # of log cos zenith, for a law between runs
_N_BACKFITS = 20
_TO_SIGMA = 1.4826  # of the median absolute deviation, for normal scatter


@dataclass(frozen=True, kw_only=True, eq=False)
class _Stacked:
    """Time bins of all runs in one row; counts have shape ``(n_bins,)``."""

    first: np.ndarray
    run: np.ndarray
    livetime: np.ndarray
    powers: np.ndarray
    counts: np.ndarray

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Add the bins of each run."""
        sums: np.ndarray = np.add.reduceat(values, self.first, axis=0)
        return sums

    def share(self, coefficients: np.ndarray) -> np.ndarray:
        """Share of the events of a run in each bin, shape ``(n_bins,)``."""
        weight = self.livetime * np.exp(self.powers @ coefficients)
        share: np.ndarray = weight / self.sums(weight)[self.run]
        return share


def fit_zenith_law(rates: Sequence[RunRates]) -> ZenithLaw:
    """Fit how the rate follows the zenith angle inside runs.

    How the events of a run are shared out among its time bins depends on the law
    alone, not on how bright the run is. Runs with visible changes are left out, and
    the fit is done again.

    Parameters
    ----------
    rates : sequence of RunRates
        Counts of the runs, one or more.

    Returns
    -------
    ZenithLaw
        Coefficients for all events and each energy bin.
    """
    counts = _counts_of_bins(rates)
    stacked = _stack(rates)
    columns = [replace(stacked, counts=column) for column in counts.T]
    quiet = np.ones(len(rates), dtype=bool)
    for _ in range(_N_PASSES):
        fits = [_fit(column, quiet[stacked.run]) for column in columns]
        quiet = _is_quiet(columns[0], fits[0][0])
    return ZenithLaw(
        coefficients=np.array([fit[0] for fit in fits]),
        errors=np.array([fit[1] for fit in fits]),
        n_runs=int(quiet.sum()),
    )


def _counts_of_bins(rates: Sequence[RunRates]) -> np.ndarray:
    """Return all events, and those of each energy bin, ``(n_bins, 1 + n_energy)``."""
    bands = np.concatenate([rate.counts[rate.is_live].sum(axis=2) for rate in rates])
    return np.column_stack([bands.sum(axis=1), bands])


def _stack(rates: Sequence[RunRates]) -> _Stacked:
    size = [int(rate.is_live.sum()) for rate in rates]
    log_cos = np.concatenate([rate.log_cos_zenith[rate.is_live] for rate in rates])
    return _Stacked(
        first=np.cumsum([0, *size[:-1]]),
        run=np.repeat(np.arange(len(rates)), size),
        livetime=np.concatenate([rate.livetime[rate.is_live] for rate in rates]),
        powers=np.column_stack([log_cos, log_cos**2]),
        counts=np.zeros(log_cos.size),
    )


def _fit(stacked: _Stacked, is_used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Newton's method for the multinomial likelihood, with a wide prior about zero."""
    counts, powers = stacked.counts * is_used, stacked.powers
    totals = stacked.sums(counts)[stacked.run]
    prior = np.diag([_PRIOR_WIDTH**-2] * 2)
    coefficients, inverse = np.zeros(2), prior
    for _ in range(_N_NEWTON):
        share = stacked.share(coefficients)
        mean = stacked.sums(share[:, np.newaxis] * powers)[stacked.run]
        expected = totals * share
        slope = (counts - expected) @ powers - prior @ coefficients
        apart = powers - mean
        inverse = np.linalg.inv((apart.T * expected) @ apart + prior)
        # far from the optimum a full step can lead away from it
        coefficients = coefficients + (inverse @ slope).clip(-3.0, 3.0)
    return coefficients, np.sqrt(np.diag(inverse))


def _is_quiet(stacked: _Stacked, coefficients: np.ndarray) -> np.ndarray:
    totals = stacked.sums(stacked.counts)[stacked.run]
    expected = (stacked.share(coefficients) * totals).clip(1e-9)
    pulls = (stacked.counts - expected) ** 2 / expected
    n_bins = np.bincount(stacked.run, minlength=stacked.first.size)
    p_value = chi2.sf(stacked.sums(pulls), (n_bins - 1).clip(1))
    is_quiet: np.ndarray = p_value > _QUIET_P
    return is_quiet


def expected_counts(rates: RunRates, law: ZenithLaw) -> tuple[np.ndarray, np.ndarray]:
    """Share the events of a run out in time, by live time and zenith angle.

    Parameters
    ----------
    rates : RunRates
        Counts of the run.
    law : ZenithLaw
        Zenith law inside runs.

    Returns
    -------
    expected : np.ndarray
        All events expected if only the zenith angle changed, with the sum over time
        of those counted, shape ``(n_time,)``.
    expected_bands : np.ndarray
        The same in each bin, by the laws of the energy bins, shape ``(n_time,
        n_energy, n_offset)``.
    """
    weight = rates.livetime[:, np.newaxis] * law.factors(rates.log_cos_zenith)
    share = weight / weight.sum(axis=0)
    totals = rates.counts.sum(axis=0)
    return share[:, 0] * totals.sum(), share[:, 1:, np.newaxis] * totals


def compare_runs(
    rates: Sequence[RunRates], limits: SearchLimits
) -> tuple[tuple[RunLevel, ...], float, float]:
    """Compare the rate of each run with that of runs near in time.

    The logarithm of the rate is the level of the season plus a multiple of log cos
    zenith. The level is a running median over runs in order of time: it follows
    mirrors, thresholds and years, jumps included, and not single runs. Multiple and
    level are fitted in turn until they agree.

    Parameters
    ----------
    rates : sequence of RunRates
        Counts of the runs.
    limits : SearchLimits
        What counts as an outlier, and how many runs make a level.

    Returns
    -------
    levels : tuple of RunLevel
        Runs with known zenith angle; none if there are fewer than five.
    exponent : float
        Power of the cosine of the zenith angle that the rate follows.
    scatter : float
        Standard deviation from run to run, robust, of the logarithm of the rate.
    """
    known = [rate for rate in rates if np.isfinite(rate.zenith).all()]
    if len(known) < _MIN_RUNS:
        return (), float("nan"), float("nan")
    known = sorted(known, key=lambda rate: float(rate.time_edges[0]))
    counts = np.array([rate.n_events for rate in known])
    livetime = np.array([rate.livetime.sum() for rate in known])
    log_cos = np.array([_mean_log_cos(rate) for rate in known])
    log_rate = np.log(counts / livetime)
    exponent, level = _backfit(log_rate, log_cos, limits.neighbours)
    expected = level + exponent * log_cos
    scatter = _robust_scatter(log_rate - expected)
    error = np.maximum(scatter, counts**-0.5)
    is_outlier = np.abs(log_rate - expected) >= limits.outlier * error
    is_outlier &= np.abs(np.expm1(log_rate - expected)) >= limits.min_change
    levels = [
        RunLevel(
            obs_id=rate.obs_id,
            target=rate.target,
            time=float(rate.time_edges[0]),
            zenith=float(np.average(rate.zenith, weights=rate.livetime)),
            rate=float(np.exp(log_rate[i])),
            expected=float(np.exp(expected[i])),
            error=float(error[i]),
            is_outlier=bool(is_outlier[i]),
        )
        for i, rate in enumerate(known)
    ]
    return tuple(levels), exponent, scatter


def _mean_log_cos(rate: RunRates) -> float:
    return float(np.average(rate.log_cos_zenith, weights=rate.livetime))


def _robust_scatter(residuals: np.ndarray) -> float:
    return float(_TO_SIGMA * np.median(np.abs(residuals)))


def _backfit(
    log_rate: np.ndarray, log_cos: np.ndarray, neighbours: int
) -> tuple[float, np.ndarray]:
    """Fit exponent and level in turn; both are robust."""
    size = min(neighbours, log_rate.size)
    centred = log_cos - log_cos.mean()
    exponent, level = 0.0, np.full(log_rate.shape, np.median(log_rate))
    for _ in range(_N_BACKFITS):
        if log_cos.std() > _MIN_SPREAD:
            exponent = _robust_slope(centred, log_rate - level)
        rest = log_rate - exponent * log_cos
        level = median_filter(rest, size, mode="nearest")
        level = level + exponent * log_cos.mean()
    return exponent, level - exponent * log_cos.mean()


def _robust_slope(x: np.ndarray, y: np.ndarray) -> float:
    scale = max(_robust_scatter(y - np.median(y)), 1e-3)
    found = least_squares(
        lambda p: (y - p[0] * x - p[1]) / scale, [0.0, 0.0], loss="soft_l1"
    )
    return float(found.x[0])
