"""Settings about runs that fit a store: live time, thresholds, groups, method."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from bkgpipe.tools.propose.bins import event_peak
from bkgpipe.tools.propose.data import Proposal, StoreSample

__all__ = [
    "propose_groups",
    "propose_livetime",
    "propose_method",
    "propose_safe_energy",
]

_MAX_LOST = 0.1  # share of the live time that may be in runs that are too short
_MAX_SHORT = 0.2  # share of the runs that may be left out
_RICH = 20  # cells with so many times the least live time can be split


def propose_livetime(sample: StoreSample, *, min_livetime: float) -> Proposal:
    """Propose the shortest live time of a run.

    Parameters
    ----------
    sample : StoreSample
        What was read of the store.
    min_livetime : float
        Default [s].

    Returns
    -------
    Proposal
        For ``select.min_livetime``. Shorter runs never have more than a tenth of the
        live time of all.
    """
    key = "select.min_livetime"
    livetime = sample.column("livetime")
    livetime = livetime[livetime > 0]
    if not livetime.size:
        return Proposal(key=key, value="", reason="the live times are not known")
    n_short, lost = _shorter(livetime, min_livetime)
    told = (
        f"{n_short or 'none'} of {livetime.size} runs {'are' if n_short > 1 else 'is'}"
        f" shorter than {_duration(min_livetime)}"
    )
    if lost <= _MAX_LOST:
        return Proposal(key=key, value="", reason=told)
    middle = float(np.median(livetime))
    limit = middle / 2
    while _shorter(livetime, _rounded_down(limit))[1] > _MAX_LOST:
        limit /= 2
    return Proposal(
        key=key,
        value=f"{_rounded_down(limit):g} s",
        reason=f"{told}, with {lost:.0%} of the live time; half of the runs last "
        f"{_duration(middle)} or less",
    )


def _shorter(livetime: np.ndarray, limit: float) -> tuple[int, float]:
    """Return how many runs are shorter, and their share of the live time."""
    is_short = livetime < limit
    return int(is_short.sum()), float(livetime[is_short].sum() / livetime.sum())


def _rounded_down(value: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten that is not larger."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(max(step for step in (1, 2, 5) if step * power <= value) * power)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2g} s"
    return f"{float(f'{seconds / 60:.2g}'):g} min"


def propose_safe_energy(sample: StoreSample) -> list[Proposal]:
    """Propose where the lowest safe energy of a run comes from.

    Parameters
    ----------
    sample : StoreSample
        What was read of the store, with safe energies as `count` finds them.

    Returns
    -------
    list of Proposal
        For ``count.safe_energy``, and for ``count.safe_energy_min`` when neither the
        observation table nor the effective areas tell it.
    """
    key = "count.safe_energy"
    safe = sample.column("safe_energy_min")
    known = safe[np.isfinite(safe)]
    if known.size:
        told = f"SAFE_ENERGY_LO of {known.size} of {safe.size} runs, {_span(known)}"
        rest = "" if known.size == safe.size else "; of the others: " + _other(sample)
        return [Proposal(key=key, value="", reason=told + rest)]
    if _from_areas(sample) or not sample.energy.size:
        return [Proposal(key=key, value="", reason=_other(sample))]
    peak = event_peak(sample.energy)
    return [
        Proposal(
            key="count.safe_energy_min",
            value=f"{peak:.2g} TeV",
            reason="no SAFE_ENERGY_LO and no effective area: fewer events below that, "
            "where they are most frequent, tell that the trigger loses some",
        )
    ]


def propose_method(sample: StoreSample, *, method: str) -> list[Proposal]:
    """Propose how counts become a rate.

    Parameters
    ----------
    sample : StoreSample
        What was read of the store.
    method : str
        Default.

    Returns
    -------
    list of Proposal
        For ``smooth.method``; where it cannot be used for all runs, for
        ``select.max_zenith`` or ``stack.strategy`` as well.
    """
    n_runs = len(sample.runs)
    zenith = sample.column("zenith")
    n_unknown = int(np.isnan(zenith).sum())
    if 0 < n_unknown <= _MAX_SHORT * n_runs:
        why = f"{method} needs zenith angles; any limit leaves out {n_unknown} without"
        return [
            Proposal(key="select.max_zenith", value="89 deg", reason=why),
            Proposal(
                key="smooth.method", value="", reason="most zenith angles are known"
            ),
        ]
    if n_unknown:
        why = f"{method} and groups need zenith angles, {n_unknown} runs have none"
        return [
            Proposal(key="stack.strategy", value="ranked", reason=why),
            Proposal(key="smooth.method", value="gaussian", reason=why),
        ]
    span = f"{zenith.min():.0f} to {zenith.max():.0f} deg" if n_runs else "no run"
    why = (
        f"{method} is for any number of runs; here {n_runs}, zenith angles {span}, "
        "and [stack] does not matter then"
    )
    return [Proposal(key="smooth.method", value="", reason=why)]


def propose_groups(
    sample: StoreSample,
    *,
    zenith_edges: tuple[float, ...],
    azimuth_edges: tuple[float, ...],
    min_hours: float,
) -> list[Proposal]:
    """Propose the groups of runs that are added up by other methods.

    Parameters
    ----------
    sample : StoreSample
        What was read of the store.
    zenith_edges, azimuth_edges : tuple of float
        Defaults [deg].
    min_hours : float
        Groups with less live time are merged [h].

    Returns
    -------
    list of Proposal
        For ``stack.zenith_edges`` and ``stack.azimuth_edges``.
    """
    hours = _cell_hours(sample, zenith_edges=zenith_edges, azimuth_edges=azimuth_edges)
    taken = hours[hours > 0]
    rich = taken >= min_hours
    told = (
        f"{taken.size} of {hours.size} cells in zenith and azimuth hold runs, "
        f"{int(rich.sum()) or 'none'} of them {min_hours:g} h or more"
    )
    zeniths, azimuths = "", ""
    if taken.size and np.median(taken) >= _RICH * min_hours:
        zeniths = _listed(_halved(zenith_edges))
        azimuths = _listed(_halved(azimuth_edges))
        told += f", half of them {np.median(taken):.0f} h: enough to split them"
    elif rich.sum() < taken.size:
        told += "; the others are merged with their nearest"
    return [
        Proposal(key="stack.zenith_edges", value=zeniths, reason=told),
        Proposal(key="stack.azimuth_edges", value=azimuths, reason="as zenith_edges"),
    ]


def _other(sample: StoreSample) -> str:
    """Say where safe energies come from that are not in the table."""
    found = _from_areas(sample)
    if not found:
        return "nothing tells it, and all energies are taken"
    energies = np.array([energy for energy, _ in found])
    origin = next((origin for _, origin in found if origin != "aeff"), "")
    place = origin.replace("aeff", "") + ", as they do not reach further" * bool(origin)
    return (
        f"from the effective areas{place}, {_span(energies)} in {len(found)} of "
        f"{sample.n_read} runs looked at"
    )


def _from_areas(sample: StoreSample) -> list[tuple[float, str]]:
    return [each for each in sample.safe.values() if each[1].startswith("aeff")]


def _span(energies: np.ndarray) -> str:
    low, high = (f"{value:.2g}" for value in (energies.min(), energies.max()))
    return f"{low if low == high else f'{low} to {high}'} TeV"


def _cell_hours(
    sample: StoreSample,
    *,
    zenith_edges: tuple[float, ...],
    azimuth_edges: tuple[float, ...],
) -> np.ndarray:
    """Live time in each cell, shape ``(n_zenith, n_azimuth)`` [h]."""
    low = azimuth_edges[0]
    turned = low + np.mod(sample.column("azimuth") - low, 360.0)
    hours, _, _ = np.histogram2d(
        sample.column("zenith"),
        turned,
        bins=[np.array(zenith_edges), np.array(azimuth_edges)],
        weights=np.maximum(np.nan_to_num(sample.column("livetime")), 0) / 3600,
    )
    return np.asarray(hours)


def _halved(edges: tuple[float, ...]) -> list[float]:
    """Put an edge into the middle of each cell."""
    middles = [(low + high) / 2 for low, high in pairwise(edges)]
    return sorted([*edges, *middles])


def _listed(edges: list[float]) -> str:
    return ", ".join(f"{edge:g}" for edge in edges) + " deg"
