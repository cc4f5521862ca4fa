"""The field of view of a store, and how many bins fit it."""

from __future__ import annotations

import numpy as np

from bkgpipe.tools.propose.data import Proposal, StoreSample

__all__ = ["event_peak", "propose_field"]

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


def _kept(key: str, reason: str) -> Proposal:
    return Proposal(key=key, value="", reason=reason)
