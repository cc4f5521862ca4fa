"""The energy axis that fits a store."""

from __future__ import annotations

import numpy as np

from bkgpipe.errors import InputError
from bkgpipe.tools.propose.data import Proposal, StoreSample

__all__ = ["propose_energies", "require_energies"]

_LOW, _HIGH = 0.001, 0.999  # shares of the events in the field below the ends
# In the whole store. A share alone would end the axis of a low threshold where there
# are still thousands of events
_FEW_ABOVE = 30
_N_BINS = 4  # at least
# Bins per decade by the number of events in the field, if they are fewer than that
_COARSE = ((1_000, 4), (10_000, 6))
# With at least that many, finer bins follow the spectrum near the safe energy: on
# H.E.S.S. DL3 DR1 chi2 per bin on 32 bins a decade is 0.9 with 12 and 6 with 8
_FINE = (100_000, 12)
# A bin with more than that share of all events is halved, up to so many per decade
_FULL = 0.3
_FINEST = 16
_ONE = 1e-3  # energies that differ by less are one, relative
_SAME = 0.005


def require_energies(sample: StoreSample, *, where: str) -> None:
    """Refuse a store of which all events have the same energy.

    Parameters
    ----------
    sample : StoreSample
        What was read of the store.
    where : str
        The store, for the message.

    Raises
    ------
    InputError
        If there is no spectrum to make a model of.
    """
    energy = sample.energy
    if energy.size > 1 and np.ptp(energy) < _ONE * energy.max():
        raise InputError(
            what=f"all {energy.size} events that were looked at have the same energy, "
            f"{energy[0]:.4g} TeV: there is no spectrum to make a model of",
            where=where,
            fix="Check the column ENERGY of the events and its unit",
        )


def propose_energies(
    sample: StoreSample,
    *,
    offset_max: float,
    per_decade: int,
    safe_energy: float,
    field_bins: tuple[int, ...],
) -> list[Proposal]:
    """Propose the energy axis: it holds nearly all events, and no decade without any.

    Its ends are the 0.1 % and 99.9 % quantiles of the events in the field, moved
    outwards to edges of bins, the upper one also to where only a few events of the
    whole store are above it. An edge is on the safe energy that most runs share.

    Parameters
    ----------
    sample : StoreSample
        What was read of the store.
    offset_max : float
        Edge of the field [deg].
    per_decade : int
        Bins per decade by default.
    safe_energy : float
        Safe energy of all runs that settings give, zero if they do not [TeV].
    field_bins : tuple of int
        Numbers of bins that the energy axis may not have, since readers tell the axes
        of a model apart by their lengths.

    Returns
    -------
    list of Proposal
        For ``energy_min``, ``energy_max`` and ``per_decade``.
    """
    energy = sample.in_field(offset_max)
    if not energy.size:
        why = "no events could be read to compare it with"
        keys = ("energy_min", "energy_max", "per_decade")
        return [Proposal(key=f"binning.{key}", value="", reason=why) for key in keys]
    share = sample.hours / sample.hours_read if sample.hours_read > 0 else 1.0
    n_events = round(energy.size * share)
    safe = np.array([safe_energy]) if safe_energy > 0 else sample.safe_energies
    low, high, told = _find_range(energy, share)
    fine = _propose_steps(energy, per_decade, n_events=n_events, safe=safe)
    steps = int(fine.value or per_decade)
    anchor, why = _find_anchor(safe, steps)
    first, last = _find_edges(low, high, anchor=anchor, steps=steps)
    while last - first in field_bins:
        last += 1
    values = [_round_up(anchor * 10 ** (edge / steps)) for edge in (first, last)]
    return [
        Proposal(
            key="binning.energy_min",
            value=f"{values[0]:.4g} TeV",
            reason=f"{_LOW:.1%} of the events in the field have less than "
            f"{low:.3g} TeV; {why}",
        ),
        Proposal(key="binning.energy_max", value=f"{values[1]:.4g} TeV", reason=told),
        fine,
    ]


def _find_range(energy: np.ndarray, share: float) -> tuple[float, float, str]:
    """Return the energies that the axis must hold, and why it ends where it does."""
    low, high = np.quantile(energy, [_LOW, _HIGH])
    n_above = min(max(1, round(_FEW_ABOVE / share)), energy.size)
    last = float(np.partition(energy, -n_above)[-n_above])
    if last > high:
        told = f"about {_FEW_ABOVE} events of the whole store have more than"
        return float(low), last, f"{told} {last:.3g} TeV"
    told = f"{1 - _HIGH:.1%} of the events in the field have more than {high:.3g} TeV"
    return float(low), float(high), told


def _propose_steps(
    energy: np.ndarray, per_decade: int, *, n_events: int, safe: np.ndarray
) -> Proposal:
    key = "binning.per_decade"
    told = (
        f"about {float(f'{n_events:.2g}'):,.0f} events in the field in the whole store"
    )
    coarse = [steps for limit, steps in _COARSE if n_events < limit]
    steps = min([per_decade, *coarse])
    if steps < per_decade:
        return Proposal(key=key, value=str(steps), reason=f"only {told}")
    if n_events >= _FINE[0]:
        steps = max(steps, _FINE[1])
        why = f"{told} allow for bins that follow the spectrum near its threshold"
    else:
        why = f"wider bins would have one with more than {_FULL:.0%} of all events"
    while _fullest(energy, steps, _find_anchor(safe, steps)[0]) > _FULL:
        if steps >= _FINEST:
            break
        steps = min(2 * steps, _FINEST)
    if steps == per_decade:
        return Proposal(key=key, value="", reason=told)
    return Proposal(key=key, value=str(steps), reason=why)


def _fullest(energy: np.ndarray, steps: int, anchor: float) -> float:
    """Share of the events in the fullest bin."""
    bins = np.floor(steps * np.log10(energy / anchor)).astype(np.int64)
    return float(np.unique(bins, return_counts=True)[1].max() / energy.size)


def _find_anchor(safe: np.ndarray, steps: int) -> tuple[float, str]:
    """Choose the safe energy to put an edge on: that which costs all runs the least.

    What it costs is the part of a bin between the safe energy of a run and the next
    edge.
    """
    if not safe.size:
        return 1.0, "no safe energy is known to put an edge on"
    logs = np.log10(safe)
    values = np.unique(logs)
    gaps = np.mod(steps * (values[:, np.newaxis] - logs) + 1e-6, 1.0)
    anchor = float(10 ** values[np.argmin(gaps.sum(axis=1))])
    n_same = int((np.abs(safe / anchor - 1) < _SAME).sum())
    whose = "" if safe.size == 1 else f" of {n_same} of {safe.size} runs"
    return anchor, f"an edge is on the safe energy{whose}, {anchor:.4g} TeV"


def _find_edges(
    low: float, high: float, *, anchor: float, steps: int
) -> tuple[int, int]:
    """Return the numbers of the first and the last edge, that of the anchor is 0."""
    first = int(np.floor(steps * np.log10(low / anchor) + 1e-6))
    last = int(np.floor(steps * np.log10(high / anchor) + 1e-6)) + 1
    return first, max(last, first + _N_BINS)


def _round_up(value: float) -> float:
    """Round to four digits, upwards: no edge is below the safe energy that it is on."""
    unit = 10.0 ** (np.floor(np.log10(value)) - 3)
    return float(np.ceil(value / unit - 1e-6) * unit)
