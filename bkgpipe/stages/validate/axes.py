"""Score what models predict on energy axes that are not their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from bkgpipe.core.run import Events, Run
from bkgpipe.geometry.frames import fov_matrix, pointing_of, unit_vectors
from bkgpipe.stages.mask.data import ExclusionMask
from bkgpipe.stages.mask.pixels import is_kept_vectors
from bkgpipe.stages.validate.axes_data import (
    INSIDE_OFFSET,
    MIN_COUNTS,
    RANGES,
    AxisScore,
    EnergyAxis,
    FieldZones,
    RunOnAxis,
)
from bkgpipe.stages.validate.data import ScoreBins

__all__ = [
    "add_steps",
    "axis_pixels",
    "count_zones",
    "fine_axis",
    "make_axes",
    "match_axis",
    "score_axis",
]

# Rates change little over a pixel, so it need not be as fine as for a score of images
_PIXEL = 0.1  # deg
_N_SAMPLES = 4  # along each side of a pixel, for the share that is kept

_STEPS = (4, 5, 8, 10, 16, 32)  # bins per decade
_SHIFTED = 8
_OVERSAMPLED = (4, 10)  # of the same
_FINE_STEPS = 160  # in a decade; edges of all axes are among theirs

_LOWEST = 0.5  # energy from which a run is judged, in units of its safe energy
_MIN_SCATTER_COUNTS = 300  # counted in a bin in which runs are compared
_CHANCE_SCATTER = 0.1  # no more than that must counting alone make of it
_ROUNDING = 1e-6  # relative, between edges that are the same


def make_axes(energy_min: float, energy_max: float) -> tuple[EnergyAxis, ...]:
    """Make the axes on which models are judged.

    Parameters
    ----------
    energy_min : float
        Lowest edge of all, but for the shifted one: that of the models [TeV].
    energy_max : float
        No edge is higher [TeV].

    Returns
    -------
    tuple of EnergyAxis
        4, 5, 8, 10, 16 and 32 bins a decade, and 8 shifted by half a bin, as gammapy
        integrates by default; 8 with an oversampling of 4 and 10.
    """
    decades = float(np.log10(energy_max / energy_min))

    def edges(steps: int, shift: float) -> np.ndarray:
        numbers = np.arange(shift, steps * decades + _ROUNDING)
        return np.asarray(energy_min * 10.0 ** (numbers / steps))

    def axis(name: str, steps: int, **special: float) -> EnergyAxis:
        return EnergyAxis(
            name=name,
            energy_edges=edges(steps, special.get("shift", 0.0)),
            oversampling=int(special.get("oversampling", 1)),
        )

    axes = [axis(f"{steps}", steps) for steps in _STEPS]
    axes.append(axis(f"{_SHIFTED} + half a bin", _SHIFTED, shift=0.5))
    axes += [
        axis(f"{_SHIFTED}, oversampling {n}", _SHIFTED, oversampling=n)
        for n in _OVERSAMPLED
    ]
    return tuple(axes)


def fine_axis(axes: Sequence[EnergyAxis]) -> EnergyAxis:
    """Make an axis so fine that gammapy's integral of a model is right on it.

    Parameters
    ----------
    axes : sequence of EnergyAxis
        What `make_axes` made.

    Returns
    -------
    EnergyAxis
        An axis whose bins add up to those of each of them.
    """
    lowest = min(axis.energy_edges[0] for axis in axes)
    highest = max(axis.energy_edges[-1] for axis in axes)
    n_bins = round(_FINE_STEPS * np.log10(highest / lowest))
    return EnergyAxis(
        name=f"{_FINE_STEPS}",
        energy_edges=lowest * 10.0 ** (np.arange(n_bins + 1) / _FINE_STEPS),
    )


def add_steps(fine: np.ndarray, steps: EnergyAxis, axis: EnergyAxis) -> np.ndarray:
    """Add up the events of fine bins in the bins of an axis.

    Parameters
    ----------
    fine : np.ndarray
        Events in fine bins, shape ``(n_fine, ...)``.
    steps : EnergyAxis
        Their axis, which `fine_axis` made.
    axis : EnergyAxis
        One of the axes that it was made for.

    Returns
    -------
    np.ndarray
        Events, shape ``(n_energy, ...)``.
    """
    decades = np.log10(axis.energy_edges / steps.energy_edges[0])
    edges = np.rint(_FINE_STEPS * decades).astype(np.int64)
    added: np.ndarray = np.add.reduceat(fine[: edges[-1]], edges[:-1], axis=0)
    return added


def axis_pixels(axis: EnergyAxis, *, offset_max: float) -> ScoreBins:
    """Return the bins in which models are evaluated on an axis.

    Parameters
    ----------
    axis : EnergyAxis
        The axis.
    offset_max : float
        Largest offset [deg].

    Returns
    -------
    ScoreBins
        Its energies, and pixels that cover the field.
    """
    return ScoreBins(
        energy_edges=axis.energy_edges,
        pixel=_PIXEL,
        offset_max=offset_max,
        oversampling=1,
    )


def count_zones(
    run: Run,
    events: Events,
    mask: ExclusionMask,
    *,
    offset_max: float,
    safe_energy_min: float,
) -> FieldZones:
    """Find the kept events of a run in the zones that are judged.

    Parameters
    ----------
    run : Run
        The run.
    events : Events
        Its events.
    mask : ExclusionMask
        Its exclusion mask.
    offset_max : float
        Largest offset [deg].
    safe_energy_min : float
        Its safe energy [TeV].

    Returns
    -------
    FieldZones
        Energies, and the share of the sky behind them.

    Raises
    ------
    InputError
        If the pointing is not known.
    """
    matrix = fov_matrix(*pointing_of(run))
    good = events.keep(events.is_valid & events.is_in_good_time)
    sky = unit_vectors(good.ra, good.dec)
    cosine = (sky @ matrix.T)[:, 0]
    is_kept = is_kept_vectors(mask, sky)
    near = min(INSIDE_OFFSET, offset_max)
    return FieldZones(
        obs_id=run.obs_id,
        safe_energy_min=safe_energy_min,
        inside=good.energy[is_kept & (cosine >= np.cos(np.radians(near)))],
        all_offsets=good.energy[is_kept & (cosine >= np.cos(np.radians(offset_max)))],
        kept_share=_kept_shares(matrix, mask, near=near, offset_max=offset_max),
    )


def _kept_shares(
    matrix: np.ndarray, mask: ExclusionMask, *, near: float, offset_max: float
) -> np.ndarray:
    vectors = _sample_vectors(offset_max)
    is_kept = is_kept_vectors(mask, vectors @ matrix)
    n_pixels = round(np.sqrt(len(vectors))) // _N_SAMPLES
    shares = [
        (is_kept & (vectors[:, 0] >= np.cos(np.radians(offset))))
        .reshape(n_pixels, _N_SAMPLES, n_pixels, _N_SAMPLES)
        .mean(axis=(1, 3))
        for offset in (near, offset_max)
    ]
    return np.array(shares)


@lru_cache(maxsize=2)
def _sample_vectors(offset_max: float) -> np.ndarray:
    """Points in the plane that touches the sky at the pointing, as unit vectors."""
    n_samples = 2 * int(np.ceil(offset_max / _PIXEL - 1e-9)) * _N_SAMPLES
    step = np.radians(_PIXEL) / _N_SAMPLES
    place = (np.arange(n_samples) + 0.5 - n_samples / 2) * step
    north, west = (axis.ravel() for axis in np.meshgrid(place, place, indexing="ij"))
    vectors = np.column_stack([np.ones(north.size), west, north])
    normed: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normed


def match_axis(
    zones: FieldZones,
    predicted: np.ndarray,
    axis: EnergyAxis,
    *,
    exact: np.ndarray,
    energy_range: tuple[float, float],
) -> RunOnAxis:
    """Put what a model predicts for a run beside what was counted.

    Parameters
    ----------
    zones : FieldZones
        Events of the run.
    predicted : np.ndarray
        Events predicted in pixels without any mask, shape ``(n_energy, n_pixels,
        n_pixels)``.
    axis : EnergyAxis
        The axis.
    exact : np.ndarray
        The same when gammapy integrates the model in fine steps.
    energy_range : tuple of float
        Lowest and highest energy of the model [TeV].

    Returns
    -------
    RunOnAxis
        Events of each bin.
    """
    edges, safe = axis.energy_edges, zones.safe_energy_min * (1 - _ROUNDING)
    low, high = edges[:-1], edges[1:]
    is_safe = low >= safe
    first, last = energy_range
    counts = [np.histogram(e, edges)[0] for e in (zones.inside, zones.all_offsets)]
    mean = np.einsum("eij,zij->ze", predicted, zones.kept_share)
    right = np.einsum("eij,zij->ze", exact, zones.kept_share)
    return RunOnAxis(
        obs_id=zones.obs_id,
        counts=np.where(is_safe, counts[1], counts[0]),
        predicted=np.where(is_safe, mean[1], mean[0]),
        exact=np.where(is_safe, right[1], right[0]),
        is_safe=is_safe,
        is_low=~is_safe & (low >= _LOWEST * safe),
        is_covered=(low >= first * (1 - _ROUNDING)) & (high <= last * (1 + _ROUNDING)),
    )


def score_axis(
    axis: EnergyAxis, runs: Sequence[RunOnAxis], *, energies: str
) -> AxisScore | None:
    """Add runs up on one axis, and compare their shapes.

    Each run has one free norm, from its bins above the safe energy. Energies above the
    last bin with enough events are left out.

    Parameters
    ----------
    axis : EnergyAxis
        The axis.
    runs : sequence of RunOnAxis
        Runs.
    energies : str
        One of `RANGES`.

    Returns
    -------
    AxisScore or None
        The score; None if no bin of the range has events, or the range is the same
        as the first one for all runs.
    """
    if not runs:
        return None
    used = [run for run in _end_with_events(runs) if _norm(run) > 0]
    in_range = _is_safe if energies == RANGES[0] else _is_any
    if not used or (in_range is _is_any and not any(run.is_low.any() for run in used)):
        return None
    is_used = np.array([in_range(run) & run.is_covered for run in used])
    counts = np.array([run.counts for run in used]) * is_used
    predicted = np.array([run.predicted for run in used]) * is_used
    exact = np.array([run.exact for run in used]) * is_used
    norms, ideal_norms = (
        np.array([[_norm(run, like) for run in used]]).T for like in ("counts", "exact")
    )
    scaled = predicted * norms
    uncovered = sum(
        int(run.counts[in_range(run) & ~run.is_covered].sum()) for run in used
    )
    return AxisScore(
        axis=axis,
        energies=energies,
        n_runs=len(used),
        n_uncovered=uncovered,
        counts=counts.sum(axis=0).astype(float),
        predicted=predicted.sum(axis=0),
        scaled=scaled.sum(axis=0),
        exact=exact.sum(axis=0),
        ideal=(predicted * ideal_norms).sum(axis=0),
        scatter=_scatter(counts, scaled, used),
    )


def _end_with_events(runs: Sequence[RunOnAxis]) -> list[RunOnAxis]:
    """Leave energies out above the last bin with enough events in all runs."""
    total = np.sum([run.counts * run.is_safe for run in runs], axis=0)
    is_enough = total >= MIN_COUNTS
    is_below = np.cumsum(is_enough[::-1])[::-1] > 0
    return [
        replace(run, is_safe=run.is_safe & is_below, is_low=run.is_low & is_below)
        for run in runs
    ]


def _is_safe(run: RunOnAxis) -> np.ndarray:
    return run.is_safe


def _is_any(run: RunOnAxis) -> np.ndarray:
    is_any: np.ndarray = run.is_safe | run.is_low
    return is_any


def _norm(run: RunOnAxis, like: str = "counts") -> float:
    """Return these events over predicted above the safe energy; zero if either is."""
    is_used = run.is_safe & run.is_covered
    predicted = float(run.predicted[is_used].sum())
    wanted = float(getattr(run, like)[is_used].sum())
    return wanted / predicted if predicted > 0 else 0.0


def _scatter(
    counts: np.ndarray, scaled: np.ndarray, runs: Sequence[RunOnAxis]
) -> np.ndarray:
    """Scatter of runs beyond counting, by moments, so that no run may be empty."""
    in_norm = [counts[i][run.is_safe].sum() for i, run in enumerate(runs)]
    n_norm = np.array(in_norm)[:, np.newaxis]
    total, expected = counts.sum(axis=0), scaled.sum(axis=0)
    norm = np.divide(total, expected, out=np.ones_like(expected), where=expected > 0)
    mean = scaled * norm
    # A bin that the norm was taken from scatters less about it, another one more
    sign = np.where([run.is_safe for run in runs], -1.0, 1.0)
    noise = mean * (1.0 + sign * mean / n_norm)
    square = (mean**2).sum(axis=0)
    # The mean of a bin follows its runs, the more the fewer there are
    follows = square / np.maximum(total, 1.0) ** 2
    found = np.full(total.shape, np.nan)
    for e in np.flatnonzero((total >= _MIN_SCATTER_COUNTS) & (square > 0)):
        chance = np.sqrt(2.0 * (noise[:, e] ** 2).sum()) / square[e]
        if chance <= _CHANCE_SCATTER**2 and follows[e] < 1.0:
            around = ((counts - mean)[:, e] ** 2).sum() / (1.0 - follows[e])
            beyond = (around - noise[:, e].sum()) / square[e]
            found[e] = np.sqrt(max(beyond, 0.0))
    return found
