"""Bins that fit a store: energies, field of view, and how many of each."""

from __future__ import annotations

import numpy as np

from bkgpipe.datamodel import Proposal, StoreSample

__all__ = ["event_peak", "propose_energies", "propose_field"]

# A range that wastes less than a decade costs nothing: bins without events are short
_WASTE = 10.0
_HIGH = 0.999  # share of the events in the field that the bins should hold
_FEW_EVENTS = 10_000  # in the whole store; fewer leave most of eight bins empty
_COARSE = 4  # bins per decade

_RIM = 0.1  # density of events at the rim of the field, relative to the highest
_RIM_STEP = 0.25  # deg
_FIELD_BIN = 0.25  # deg, across the field
_FIELD_BINS = (10, 60)
_FIELD_STEP = 0.25  # deg
_CONTROL = 1.6  # outer edge of the control ring, in units of the field
_SAME = (0.75, 1.25)  # fields that differ by less are the same


def event_peak(energy: np.ndarray) -> float:
    """Find where events are most frequent in the logarithm of energy.

    Parameters
    ----------
    energy : np.ndarray
        Energies, shape ``(n_events,)`` [TeV].

    Returns
    -------
    float
        Lower edge of the highest bin of an eighth of a decade [TeV]; NaN without
        events.
    """
    if not energy.size:
        return float("nan")
    steps = np.floor(8 * np.log10(energy)).astype(np.int64)
    values, counts = np.unique(steps, return_counts=True)
    return float(10 ** (values[np.argmax(counts)] / 8))


def propose_energies(
    sample: StoreSample,
    *,
    energy_min: float,
    energy_max: float,
    per_decade: int,
    field_bins: tuple[int, ...],
) -> list[Proposal]:
    """Propose the energy axis.

    Parameters
    ----------
    sample : StoreSample
        What was read of the store.
    energy_min, energy_max : float
        Range by default [TeV].
    per_decade : int
        Bins per decade by default.
    field_bins : tuple of int
        Numbers of bins that the energy axis may not have, since readers tell the axes
        of a model apart by their lengths.

    Returns
    -------
    list of Proposal
        For ``energy_min``, ``energy_max`` and ``per_decade``.
    """
    if not sample.energy.size:
        why = "no events could be read to compare it with"
        keys = ("energy_min", "energy_max", "per_decade")
        return [_kept(f"binning.{key}", why) for key in keys]
    low = _propose_low(sample, energy_min)
    start = float(low.value.split()[0]) if low.value else energy_min
    high = _propose_high(sample, energy_max, start=start)
    stop = float(high.value.split()[0]) if high.value else energy_max
    fine = _propose_steps(
        sample, per_decade, n_decades=np.log10(stop / start), taken=field_bins
    )
    return [low, high, fine]


def propose_field(
    sample: StoreSample,
    *,
    offset_max: float,
    fov_bins: int,
    control_offset: float,
    search_radius: float,
) -> list[Proposal]:
    """Propose how far models reach, and what follows from it.

    Parameters
    ----------
    sample : StoreSample
        What was read of the store.
    offset_max : float
        Largest offset of the models by default [deg].
    fov_bins : int
        Bins across the field by default.
    control_offset, search_radius : float
        Outer edge of the ring of control events, and how far from the pointing
        excluded regions matter, by default [deg].

    Returns
    -------
    list of Proposal
        For ``offset_max`` and ``fov_bins``; where a wider field asks for it also for
        ``control_offset`` and ``search_radius``.
    """
    reach, why = _find_reach(sample)
    if np.isnan(reach) or _SAME[0] <= reach / offset_max <= _SAME[1]:
        return [
            _kept("binning.offset_max", why),
            _kept("binning.fov_bins", f"{2 * offset_max / fov_bins:g} deg each"),
        ]
    n_bins = int(np.clip(2 * round(reach / _FIELD_BIN), *_FIELD_BINS))
    found = [
        Proposal(key="binning.offset_max", value=f"{reach:g} deg", reason=why),
        Proposal(
            key="binning.fov_bins",
            value=str(n_bins),
            reason=f"{2 * reach / n_bins:.2g} deg each in a field of {reach:g} deg",
        ),
    ]
    ring = np.ceil(2 * _CONTROL * reach) / 2
    why = f"beyond the field of {reach:g} deg, whose events the model uses itself"
    wider = {
        "count.control_offset": control_offset,
        "mask.search_radius": search_radius,
    }
    return found + [
        Proposal(key=key, value=f"{ring:g} deg", reason=why)
        for key, default in wider.items()
        if default < ring and default < _CONTROL * reach
    ]


def _propose_low(sample: StoreSample, energy_min: float) -> Proposal:
    key = "binning.energy_min"
    safe = sample.column("safe_energy_min")
    safe = safe[safe > 0]
    lowest = float(safe.min()) if safe.size else event_peak(sample.energy)
    what = "the lowest safe energy of a run is" if safe.size else "events peak at"
    told = f"{what} {_short(lowest)} TeV"
    if energy_min <= lowest < _WASTE * energy_min:
        return _kept(key, told)
    return Proposal(key=key, value=f"{_round_down(lowest / 1.5):g} TeV", reason=told)


def _propose_high(sample: StoreSample, energy_max: float, *, start: float) -> Proposal:
    key = "binning.energy_max"
    most, last = np.quantile(sample.energy, [_HIGH, 1.0])
    if most > energy_max:
        told = f"{1 - _HIGH:.1%} of the events have more than {_short(most)} TeV"
        return Proposal(key=key, value=f"{_round_up(most):g} TeV", reason=told)
    # not the quantile: with a low threshold few events are at high energies
    told = (
        f"{_HIGH:.1%} of the events have less than {_short(most)} TeV, "
        f"the highest one {_short(last)} TeV"
    )
    if last > energy_max / _WASTE:
        return _kept(key, told)
    value = max(_round_up(last), _WASTE * start)
    return Proposal(key=key, value=f"{value:g} TeV", reason=told)


def _propose_steps(
    sample: StoreSample, per_decade: int, *, n_decades: float, taken: tuple[int, ...]
) -> Proposal:
    key = "binning.per_decade"
    share = sample.hours / sample.hours_read if sample.hours_read > 0 else 1.0
    n_events = int(sample.energy.size * share)
    told = f"about {float(f'{n_events:.2g}'):,.0f} events in the whole store"
    steps = min(per_decade, _COARSE) if n_events < _FEW_EVENTS else per_decade
    if round(steps * n_decades) not in taken:
        return _kept(key, told) if steps == per_decade else _few(key, steps, told)
    steps += 1
    why = f"{told}, and axes of a model must differ in length"
    return Proposal(key=key, value=str(steps), reason=why)


def _few(key: str, steps: int, told: str) -> Proposal:
    return Proposal(key=key, value=str(steps), reason=f"only {told}")


def _find_reach(sample: StoreSample) -> tuple[float, str]:
    """Return how far models can be used, or events are found, and which of the two."""
    rim = _find_rim(sample.offset)
    if np.isnan(sample.fov_limit):
        if np.isnan(rim):
            return rim, "neither effective areas nor events tell how wide the field is"
        return rim, f"a tenth of the highest density of events is at {rim:g} deg"
    told = f"the effective areas end at {sample.fov_limit:g} deg"
    if rim < _SAME[0] * sample.fov_limit:
        why = f"{told}, but a tenth of the highest density of events is at {rim:g} deg"
        return rim, why
    return _step_down(sample.fov_limit), told


def _find_rim(offset: np.ndarray) -> float:
    """Offset at which the density of events falls below a share of its maximum."""
    if not offset.size:
        return float("nan")
    edges = np.arange(0, offset.max() + 2 * _RIM_STEP, _RIM_STEP)
    counts, _ = np.histogram(offset, edges)
    density = counts / np.diff(edges**2)
    high = np.flatnonzero(density >= _RIM * density.max())
    return float(edges[high[-1] + 1])


def _step_down(value: float) -> float:
    return float(max(_FIELD_STEP, np.floor(value / _FIELD_STEP + 1e-6) * _FIELD_STEP))


def _round_down(value: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten that is not larger."""
    power = 10.0 ** np.floor(np.log10(value) + 1e-9)
    return float(
        max(step for step in (1, 2, 5) if step * power <= value * 1.001) * power
    )


def _round_up(value: float) -> float:
    power = 10.0 ** np.floor(np.log10(value))
    return float(min(step for step in (1, 2, 5, 10) if step * power >= value) * power)


def _short(value: float) -> str:
    """Two digits, without an exponent where none is needed."""
    return f"{float(f'{value:.2g}'):g}"


def _kept(key: str, reason: str) -> Proposal:
    return Proposal(key=key, value="", reason=reason)
