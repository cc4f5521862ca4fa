"""How far the conditions of each run are from those of each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bkgpipe.core.criteria import MimicLimits
from bkgpipe.stages.count.data import RunShape

__all__ = ["control_scale", "log_control_rates", "mimic_excess"]

_MIN_CONTROL = 100  # fewer control events would scale a run by their noise
# Control events are counted from a multiple of the safe energy on. This power of it
# brings their rates to a common energy; found on H.E.S.S. DL3 DR1 by the deviance of
# runs left out, which is flat from 0.75 to 1
_ENERGY_POWER = 0.75
_NO_DIFFERENCE = 1e-9  # what a limit of zero lets pass: rounding noise

# attribute of the limits, of the run, and the reason that it gives, in this order
_CONDITIONS = (
    ("zenith", "zenith", "zenith"),
    ("azimuth", "azimuth", "azimuth"),
    ("time", "time_start", "time"),
    ("muon_efficiency", "muon_efficiency", "muon efficiency"),
    ("nsb", "nsb", "night-sky background"),
)


def mimic_excess(
    targets: Sequence[RunShape], candidates: Sequence[RunShape], *, limits: MimicLimits
) -> dict[str, np.ndarray]:
    """Divide differences of the conditions by their limits.

    Parameters
    ----------
    targets, candidates : sequence of RunShape
        Runs, ``n_targets`` and ``n_candidates``.
    limits : MimicLimits
        Largest differences; infinite ones are left out.

    Returns
    -------
    dict of str to np.ndarray
        For each limit, by the reason that it gives, the difference over the limit,
        shape ``(n_targets, n_candidates)``: a candidate passes up to 1, and where it
        is NaN, since either value is unknown; infinite for other telescopes.
    """
    excess = {}
    for name, attribute, reason in _CONDITIONS:
        limit = getattr(limits, name)
        if np.isfinite(limit):
            values = (_column(runs, attribute) for runs in (targets, candidates))
            turn = 360.0 if name == "azimuth" else np.inf
            excess[reason] = _over(*values, limit=limit, turn=turn)
    if np.isfinite(limits.rate):
        values = (log_control_rates(runs) for runs in (targets, candidates))
        excess["control rate"] = _over(*values, limit=limits.rate)
    if limits.same_telescopes:
        theirs = _column(candidates, "telescopes")
        ours = _column(targets, "telescopes")[:, np.newaxis]
        is_same = (ours == theirs) | (ours == "") | (theirs == "")
        excess["telescopes"] = np.where(is_same, 0.0, np.inf)
    return excess


def log_control_rates(runs: Sequence[RunShape]) -> np.ndarray:
    """Return the log of the rate of control events of each run.

    Parameters
    ----------
    runs : sequence of RunShape
        Runs.

    Returns
    -------
    np.ndarray
        Log of the rate beyond the field of the model, at a lowest energy of 1 TeV,
        shape ``(n_runs,)``; NaN with fewer than 100 events.
    """
    counts = np.array([run.control.counts_outer for run in runs], dtype=np.float64)
    exposure = np.array([run.control.exposure_outer for run in runs])
    energy = np.array([run.lowest_energy for run in runs])
    is_known = (counts >= _MIN_CONTROL) & (exposure > 0) & (energy > 0)
    rates = np.full(len(runs), np.nan)
    rates[is_known] = np.log(counts[is_known] / exposure[is_known])
    rates[is_known] += _ENERGY_POWER * np.log(energy[is_known])
    return rates


def control_scale(target: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Return the rate of candidates over that of a target, by their control events.

    Parameters
    ----------
    target, candidates : np.ndarray
        Logs of the rates of control events, of shapes that fit together.

    Returns
    -------
    np.ndarray
        Ratio of the rates; one where either is unknown.
    """
    ratio = np.exp(candidates - target)
    return np.where(np.isnan(ratio), 1.0, ratio)


def _over(
    ours: np.ndarray, theirs: np.ndarray, *, limit: float, turn: float = np.inf
) -> np.ndarray:
    """Divide all differences by a limit, on a circle if the turn is finite."""
    unit = max(limit, _NO_DIFFERENCE)
    over: np.ndarray = np.subtract.outer(ours / unit, theirs / unit)
    np.abs(over, out=over)
    if np.isfinite(turn):
        over %= turn / unit
        np.minimum(over, turn / unit - over, out=over)
    return over


def _column(runs: Sequence[RunShape], name: str) -> np.ndarray:
    return np.array([getattr(shape.run, name) for shape in runs])
