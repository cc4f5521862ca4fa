"""Which OFF runs were taken under the conditions of a target."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from bkgpipe.core.run import Run
from bkgpipe.simulate.overlay.data import OverlayLimits

__all__ = ["find_mismatches", "order_runs", "rate_factors"]

# what a limit of zero lets pass: rounding
_NO_DIFFERENCE = 1e-9


def find_mismatches(
    target: Run,
    off_runs: Sequence[Run],
    *,
    limits: OverlayLimits,
    safe_energy: tuple[float, Mapping[int, float]],
) -> dict[str, np.ndarray]:
    """Compare the conditions of OFF runs with those of a target.

    Parameters
    ----------
    target : Run
        The target.
    off_runs : sequence of Run
        OFF runs, ``n_runs``.
    limits : OverlayLimits
        Largest differences.
    safe_energy : tuple of float and mapping of int to float
        Safe energy of the target, and of each OFF run by its number [TeV].

    Returns
    -------
    dict of str to np.ndarray
        For each condition True where an OFF run differs by too much, or is the target
        itself, bool, shape ``(n_runs,)``.
    """
    columns = _columns(tuple(off_runs))
    cos_zenith = np.cos(np.radians(target.zenith))
    differences = {
        "zenith": (columns["zenith"] - target.zenith, limits.zenith),
        "cos zenith": (columns["cos_zenith"] - cos_zenith, limits.cos_zenith),
        "time": (columns["time_start"] - target.time_start, limits.time),
        "muon efficiency": (
            columns["muon_efficiency"] - target.muon_efficiency,
            limits.muon_efficiency,
        ),
        "night-sky background": (columns["nsb"] - target.nsb, limits.nsb),
        "azimuth": (
            (columns["azimuth"] - target.azimuth + 180.0) % 360.0 - 180.0,
            limits.azimuth,
        ),
    }
    found = {
        name: np.abs(difference) > limit + _NO_DIFFERENCE
        for name, (difference, limit) in differences.items()
    }
    if limits.same_side:
        sides = np.cos(np.radians([target.azimuth, *columns["azimuth"]]))
        found["north or south"] = sides[0] * sides[1:] < 0
    if limits.same_telescopes:
        found["telescopes"] = _other_telescopes(target, off_runs)
    if limits.threshold:
        theirs = np.array([safe_energy[1][run.obs_id] for run in off_runs])
        found["threshold"] = theirs > safe_energy[0] * (1 + _NO_DIFFERENCE)
    found["the target itself"] = np.array([_is_same(target, run) for run in off_runs])
    return {name: differs for name, differs in found.items() if differs.any()}


def order_runs(
    target: Run, off_runs: Sequence[Run], *, order: str, seed: int
) -> list[Run]:
    """Put OFF runs in the order in which a target reads them.

    Parameters
    ----------
    target : Run
        The target.
    off_runs : sequence of Run
        OFF runs that match it.
    order : str
        ``sequence`` of their numbers, ``nearest`` in the cosine of the zenith angle
        first, or ``random``, the same for all targets.
    seed : int
        Seed of the random order.

    Returns
    -------
    list of Run
        The runs in order.
    """
    by_number = sorted(off_runs, key=lambda run: run.obs_id)
    if order == "sequence":
        return by_number
    if order == "random":
        lots = {
            run.obs_id: np.random.default_rng([seed, run.obs_id]).random()
            for run in by_number
        }
        return sorted(by_number, key=lambda run: lots[run.obs_id])
    wanted = np.cos(np.radians(target.zenith))
    return sorted(
        by_number, key=lambda run: abs(np.cos(np.radians(run.zenith)) - wanted)
    )


def rate_factors(
    target: Run, off_runs: Sequence[Run], *, zenith_slope: float
) -> tuple[float, ...]:
    """Return the expected rate of a target over that of OFF runs.

    Parameters
    ----------
    target : Run
        The target.
    off_runs : sequence of Run
        OFF runs.
    zenith_slope : float
        Derivative of the logarithm of the rate by the cosine of the zenith angle.

    Returns
    -------
    tuple of float
        Factors; one where a zenith angle is unknown.
    """
    cos_zenith = np.cos(np.radians(_column(off_runs, "zenith")))
    factor = np.exp(zenith_slope * (np.cos(np.radians(target.zenith)) - cos_zenith))
    return tuple(np.where(np.isfinite(factor), factor, 1.0).tolist())


# the same OFF runs are compared with each target
@lru_cache(maxsize=2)
def _columns(runs: tuple[Run, ...]) -> dict[str, np.ndarray]:
    names = ("zenith", "azimuth", "time_start", "muon_efficiency", "nsb")
    columns = {name: _column(runs, name) for name in names}
    return columns | {"cos_zenith": np.cos(np.radians(columns["zenith"]))}


def _column(runs: Sequence[Run], name: str) -> np.ndarray:
    return np.array([getattr(run, name) for run in runs], dtype=np.float64)


def _other_telescopes(target: Run, off_runs: Sequence[Run]) -> np.ndarray:
    ours = _telescopes(target)
    theirs = [_telescopes(run) for run in off_runs]
    return np.array([bool(ours and names and ours != names) for names in theirs])


def _telescopes(run: Run) -> frozenset[str]:
    return frozenset(re.split(r"[\s,;]+", run.telescopes.strip())) - {""}


def _is_same(target: Run, run: Run) -> bool:
    """Tell whether the OFF run is the target, from whatever store it was read."""
    same = (run.obs_id, run.time_start, run.ra, run.dec)
    return same == (target.obs_id, target.time_start, target.ra, target.dec)
