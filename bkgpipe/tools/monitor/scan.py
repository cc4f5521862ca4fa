"""Find the times in which the rate of a run drops or rises."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy.special import ndtri_exp
from scipy.stats import norm

from bkgpipe.tools.monitor.data import (
    Change,
    MonitorBins,
    RunCurve,
    RunRates,
    SearchLimits,
    ZenithLaw,
)
from bkgpipe.tools.monitor.law import expected_counts

__all__ = ["find_changes", "li_ma", "make_curve", "trial_p_value", "windows"]

_EXACT_LENGTH = 16  # longer windows grow by a fifth from one to the next
_GROWTH = 1.2
_MAX_DRAWS, _MIN_DRAWS, _MAX_VALUES = 40_000, 4_000, 2_000_000
_MAX_WORK = 40_000_000
_MIN_TAIL = 20  # draws beyond a significance from which its probability is read
_MIN_PULL = 3.0  # from which a band is told to change more than all events


@dataclass(frozen=True, kw_only=True, eq=False)
class _Found:
    """One interval of time bins, first included, last not."""

    first: int
    last: int
    significance: float
    p_value: float


def find_changes(
    rates: RunRates,
    law: ZenithLaw,
    *,
    bins: MonitorBins,
    limits: SearchLimits,
) -> tuple[Change, ...]:
    """Find gaps, drops and bursts inside a run.

    Each interval of consecutive time bins is compared with the rest of the run. The
    most significant is taken out, and the rest is searched again until what is left is
    what chance makes.

    Parameters
    ----------
    rates : RunRates
        Counts of the run.
    law : ZenithLaw
        Zenith law inside runs.
    bins : MonitorBins
        Bins of the counts.
    limits : SearchLimits
        What counts as a change.

    Returns
    -------
    tuple of Change
        In order of time.

    References
    ----------
    Olshen et al. 2004, Biostatistics 5, 557 (circular binary segmentation); Li & Ma
    1983, ApJ 272, 317, eq. 17.
    """
    live = np.flatnonzero(rates.is_live)
    expected, bands = (values[live] for values in expected_counts(rates, law))
    counts = rates.counts[live]
    total = counts.sum(axis=(1, 2))
    found, is_free = _search(total, expected, limits.alarm_rate)
    changes = []
    for item in found:
        sums = _Sums.around(item, is_free, pairs=((total, expected), (counts, bands)))
        changes.append(_make_change(rates, live, item, sums=sums, bins=bins))
    large = [change for change in changes if abs(change.change) >= limits.min_change]
    return tuple(sorted([*_gaps(rates), *large], key=lambda change: change.start))


def make_curve(
    rates: RunRates, law: ZenithLaw, changes: tuple[Change, ...]
) -> RunCurve:
    """Work out what the quiet part of a run lets expect all over it.

    Parameters
    ----------
    rates : RunRates
        Counts of the run.
    law : ZenithLaw
        Zenith law inside runs.
    changes : tuple of Change
        Changes of this run.

    Returns
    -------
    RunCurve
        Counts, expected counts and changes.
    """
    expected, bands = expected_counts(rates, law)
    middle = (rates.time_edges[:-1] + rates.time_edges[1:]) / 2
    is_free = rates.is_live
    for change in changes:
        # gaps have no live time already
        if change.kind != "gap":
            is_free &= (middle < change.start) | (middle > change.stop)
    counts = rates.counts[is_free]
    scale = counts.sum() / max(expected[is_free].sum(), 1e-12)
    quiet = bands[is_free].sum(axis=0)
    ones = np.ones(quiet.shape)
    scales = np.divide(counts.sum(axis=0), quiet, out=ones, where=quiet > 0)
    return RunCurve(
        rates=rates,
        expected=expected * scale,
        expected_bands=bands * scales,
        changes=changes,
    )


def windows(n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the intervals of consecutive bins that are compared with the rest.

    They are no longer than half of the run: what lasts longer is the state of the run,
    and the rest is the exception.

    Parameters
    ----------
    n_bins : int
        Number of time bins.

    Returns
    -------
    first, last : np.ndarray
        First bin and bin after the last of each interval, shape ``(n_windows,)``; the
        short ones come first.
    """
    longest = n_bins // 2
    lengths = np.arange(1, min(_EXACT_LENGTH, longest) + 1)
    if longest > _EXACT_LENGTH:
        n_more = 1 + int(np.log(longest / _EXACT_LENGTH) / np.log(_GROWTH))
        more = _EXACT_LENGTH * _GROWTH ** np.arange(1, n_more + 1)
        lengths = np.unique([*lengths, *more.astype(int).clip(1, longest)])
    empty = np.empty(0, dtype=int)
    firsts = [np.arange(n_bins - length + 1) for length in lengths]
    first = np.concatenate([empty, *firsts])
    return first, first + np.repeat(lengths, [part.size for part in firsts])


def li_ma(n_on: np.ndarray, n_off: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return the significance of counts on against counts off.

    Parameters
    ----------
    n_on, n_off : np.ndarray
        Counts in the interval and outside, any shape.
    alpha : np.ndarray
        Expected counts in the interval over those outside, same shape.

    Returns
    -------
    np.ndarray
        Standard deviations, negative for too few, same shape.

    References
    ----------
    Li & Ma 1983, ApJ 272, 317, eq. 17.
    """
    total = n_on + n_off
    share = alpha / (1 + alpha)
    with np.errstate(divide="ignore", invalid="ignore"):
        on = np.where(n_on > 0, n_on * np.log(n_on / (share * total)), 0.0)
        off = np.where(n_off > 0, n_off * np.log(n_off / ((1 - share) * total)), 0.0)
    sign = np.where(n_on < share * total, -1.0, 1.0)
    significance: np.ndarray = sign * np.sqrt(2 * (on + off).clip(0.0))
    return significance


def trial_p_value(significance: float, n_bins: int) -> float:
    """Return how often a quiet run shows at least this significance anywhere.

    It is read from simulated noise as long as that reaches; beyond, it is the upper
    limit for as many independent trials as there are intervals.

    Parameters
    ----------
    significance : float
        Absolute significance of the most significant interval.
    n_bins : int
        Number of time bins.

    Returns
    -------
    float
        Probability.
    """
    if n_bins < 2:
        return 1.0
    largest, n_windows = _noise(n_bins)
    n_beyond = largest.size - int(np.searchsorted(largest, significance))
    if n_beyond >= _MIN_TAIL:
        return n_beyond / largest.size
    limit = n_windows * 2 * float(norm.sf(significance))
    return min(_MIN_TAIL / largest.size, limit)


@lru_cache(maxsize=512)
def _noise(n_bins: int) -> tuple[np.ndarray, int]:
    """Draw the largest significance in quiet runs, in order, and count the trials.

    With many counts that of all intervals is normal, so that it depends on the number
    of time bins alone.
    """
    first, last = windows(n_bins)
    share = (last - first) / n_bins
    scale = np.sqrt(n_bins * share * (1 - share))
    n_draws = int(np.clip(_MAX_WORK / first.size, _MIN_DRAWS, _MAX_DRAWS))
    rng = np.random.default_rng(n_bins)
    n_block = max(1, _MAX_VALUES // first.size)
    largest = []
    for start in range(0, n_draws, n_block):
        noise = rng.standard_normal((min(n_block, n_draws - start), n_bins))
        sums = np.pad((noise - noise.mean(axis=1, keepdims=True)).cumsum(1), _LEFT)
        largest.append(np.abs((sums[:, last] - sums[:, first]) / scale).max(axis=1))
    return np.sort(np.concatenate(largest)), first.size


_LEFT = ((0, 0), (1, 0))


def _search(
    counts: np.ndarray, expected: np.ndarray, alarm_rate: float
) -> tuple[list[_Found], np.ndarray]:
    """Take out the most significant interval, until chance would make it."""
    found: list[_Found] = []
    is_free = expected > 0
    while is_free.sum() >= 2:
        best = _most_significant(counts, expected, is_free)
        if best is None or best.p_value > alarm_rate:
            break
        found.append(best)
        is_free[best.first : best.last] = False
    return found, is_free


def _most_significant(
    counts: np.ndarray, expected: np.ndarray, is_free: np.ndarray
) -> _Found | None:
    first, last = windows(counts.size)
    n_on, on, n_free = (
        np.diff(np.pad(values.cumsum(), (1, 0))[np.stack([first, last])], axis=0)[0]
        for values in (counts * is_free, expected * is_free, is_free.astype(int))
    )
    total, expected_total = (counts * is_free).sum(), (expected * is_free).sum()
    # an interval over what was taken out before would take it in again
    usable = (n_free == last - first) & (n_free < is_free.sum())
    if total == 0 or not usable.any():
        return None
    off = np.maximum(expected_total - on, 1e-12)
    significance = np.where(usable, li_ma(n_on, total - n_on, on / off), 0.0)
    best = int(np.abs(significance).argmax())
    value = float(significance[best])
    return _Found(
        first=int(first[best]),
        last=int(last[best]),
        significance=value,
        p_value=trial_p_value(abs(value), int(is_free.sum())),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sums:
    """Counts and expected counts in an interval and in the quiet rest of a run.

    Each is a pair of counted and expected; ``bands`` have ``(n_energy, n_offset)``.
    """

    on: tuple[np.ndarray, np.ndarray]
    off: tuple[np.ndarray, np.ndarray]
    on_bands: tuple[np.ndarray, np.ndarray]
    off_bands: tuple[np.ndarray, np.ndarray]

    @classmethod
    def around(
        cls,
        found: _Found,
        is_free: np.ndarray,
        *,
        pairs: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    ) -> _Sums:
        is_inside = np.zeros(is_free.shape, dtype=bool)
        is_inside[found.first : found.last] = True
        on, off, on_bands, off_bands = (
            (pair[0][chosen].sum(axis=0), pair[1][chosen].sum(axis=0))
            for pair in pairs
            for chosen in (is_inside, is_free)
        )
        return cls(on=on, off=off, on_bands=on_bands, off_bands=off_bands)


def _make_change(
    rates: RunRates,
    live: np.ndarray,
    found: _Found,
    *,
    sums: _Sums,
    bins: MonitorBins,
) -> Change:
    change, error = _ratio(sums.on, sums.off)
    band, band_change, band_error = _strongest_band(sums, bins, float(change))
    ends = [live[found.first], live[found.last - 1] + 1]
    start, stop = rates.time_edges[ends]
    start_minute, stop_minute = rates.minutes[ends]
    return Change(
        obs_id=rates.obs_id,
        target=rates.target,
        kind="drop" if change < 0 else "burst",
        start=float(start),
        stop=float(stop),
        start_minute=float(start_minute),
        stop_minute=float(stop_minute),
        change=float(change),
        error=float(error),
        significance=abs(found.significance),
        p_value=found.p_value,
        band=band,
        band_change=band_change,
        band_error=band_error,
    )


def _ratio(
    on: tuple[np.ndarray, np.ndarray], off: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return rate over rate of the rest, less one, and its error; NaN if unknown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(off[0] > 0, off[1] / off[0] / on[1], np.nan)
        some = np.maximum(on[0], 1)
        change: np.ndarray = on[0] * scale - 1
        error: np.ndarray = some * scale * np.sqrt(1 / some + 1 / off[0])
    return change, error


def _strongest_band(
    sums: _Sums, bins: MonitorBins, change: float
) -> tuple[str, float, float]:
    """Find the energy or offset bin that changes more than all events do."""
    words: list[str] = []
    changes, errors = [], []
    axes = ((1, bins.energy_edges, "TeV"), (0, bins.offset_edges, "deg"))
    for axis, edges, unit in axes:
        on, off = (
            (pair[0].sum(axis), pair[1].sum(axis))
            for pair in (sums.on_bands, sums.off_bands)
        )
        value, error = _ratio(on, off)
        changes.append(value)
        errors.append(error)
        words += [f"{low:g} to {high:g} {unit}" for low, high in pairwise(edges)]
    value, error = np.concatenate(changes), np.concatenate(errors)
    with np.errstate(invalid="ignore", divide="ignore"):
        more = (value - change) * np.sign(change)
        pulls = np.nan_to_num(more / error, posinf=0.0, neginf=0.0)
    best = int(pulls.argmax())
    if pulls[best] < _MIN_PULL:
        return "", float("nan"), float("nan")
    return words[best], float(value[best]), float(error[best])


def _gaps(rates: RunRates) -> list[Change]:
    return [_gap(rates, i) for i in range(len(rates.gaps))]


def _gap(rates: RunRates, i: int) -> Change:
    start, stop = rates.gaps[i]
    minutes = (rates.gaps[i] - rates.time_edges[0]) * 1440.0
    # there are as many pauses as events, and one more
    log_p = rates.gap_log_p[i] + np.log(rates.n_events + 1)
    return Change(
        obs_id=rates.obs_id,
        target=rates.target,
        kind="gap",
        start=float(start),
        stop=float(stop),
        start_minute=float(minutes[0]),
        stop_minute=float(minutes[1]),
        change=-1.0,
        error=0.0,
        # a probability of 10^-400 is zero, its logarithm is not
        significance=float(-ndtri_exp(rates.gap_log_p[i])),
        p_value=float(np.exp(min(log_p, 0.0))),
    )
