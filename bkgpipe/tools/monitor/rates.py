"""Count the events of a run in time, and find times without any."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.core.run import Events, Run
from bkgpipe.core.usable import require_livetime
from bkgpipe.errors import InputError
from bkgpipe.geometry.frames import (
    fov_matrix,
    offset_angle,
    pointing_of,
    unit_vectors,
    zenith_angle,
)
from bkgpipe.tools.monitor.data import MonitorBins, RunRates

__all__ = ["make_rates"]

_DAY = 86400.0
_MAX_BINS = 5000
# Chance makes one gap in this share of quiet runs, at most
_GAP_ALARM = 1e-4
# Events on each side of a gap that tell the rate there, so that inside a cloud the
# time from event to event is no gap
_N_AROUND, _MIN_AROUND = 50, 10
_MAX_ZENITH_DIFFERENCE = 5.0  # deg, between the index and place and time


def make_rates(
    run: Run, events: Events, *, bins: MonitorBins, min_gap: float
) -> RunRates:
    """Count the events of a run in bins of time, energy and offset.

    A time bin that is only partly in good time intervals has the live time of its
    part. The dead time is taken as the same all over the run.

    Parameters
    ----------
    run : Run
        The run.
    events : Events
        Its events.
    bins : MonitorBins
        Bins.
    min_gap : float
        Shortest time without any event that is looked for [s].

    Returns
    -------
    RunRates
        Counts of shape ``(n_time, n_energy, n_offset)``, live times [s] and gaps.

    Raises
    ------
    InputError
        If there is no good time, no dead-time fraction, no pointing, no event in the
        bins, or there are too many time bins.
    """
    require_livetime(run, events)
    gti = events.gti[np.argsort(events.gti[:, 0])]
    clock = _Clock(points=np.maximum.accumulate(gti.ravel()))
    edges = _time_edges(run, gti, bins.time_bin)
    valid = events.is_valid
    in_gti = valid & events.is_in_good_time
    energy_index, offset_index = _indices(run, events, bins)
    kept = in_gti & (energy_index >= 0) & (offset_index >= 0)
    if not kept.any():
        raise _no_events(run, events)
    gaps, log_p = _find_gaps(np.sort(events.time[kept]), clock, min_gap)
    zenith, is_tracked = _zenith(run, (edges[:-1] + edges[1:]) / 2)
    return RunRates(
        obs_id=run.obs_id,
        target=run.target,
        time_edges=edges,
        livetime=_good_time(edges, clock, gaps) * run.deadc,
        zenith=zenith,
        counts=_histogram(
            _indices_in(edges, events.time[kept]),
            energy_index[kept],
            offset_index[kept],
            shape=(edges.size - 1, *bins.shape),
        ),
        gaps=gaps,
        gap_log_p=log_p,
        n_read=events.n_events,
        n_invalid=int((~valid).sum()),
        n_outside_gti=int((valid & ~in_gti).sum()),
        n_outside_bins=int((in_gti & ~kept).sum()),
        is_tracked=is_tracked,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Clock:
    """A clock that stands still outside the good time intervals.

    Attributes
    ----------
    points : np.ndarray
        Starts and stops in turn, shape ``(2 * n_intervals,)`` [d].
    """

    points: np.ndarray

    def __call__(self, time: np.ndarray) -> np.ndarray:
        """Return the good time up to times [s]."""
        steps = np.diff(self.points)
        steps[1::2] = 0.0
        good = np.concatenate([[0.0], np.cumsum(steps)]) * _DAY
        seconds: np.ndarray = np.interp(time, self.points, good)
        return seconds


def _no_events(run: Run, events: Events) -> InputError:
    return InputError(
        what=f"no event in the bins, of {events.n_events} in the file",
        where=f"run {run.obs_id}",
        fix="Check its events, or ask for other energies and offsets",
    )


def _time_edges(run: Run, gti: np.ndarray, time_bin: float) -> np.ndarray:
    start, stop = float(gti[:, 0].min()), float(gti[:, 1].max())
    n_time = max(1, round((stop - start) * _DAY / time_bin))
    if n_time > _MAX_BINS:
        raise InputError(
            what=f"{n_time} time bins, expected {_MAX_BINS} or fewer",
            where=f"run {run.obs_id}",
            fix="Ask for longer time bins, or check its GTI table",
        )
    return np.linspace(start, stop, n_time + 1)


def _indices(
    run: Run, events: Events, bins: MonitorBins
) -> tuple[np.ndarray, np.ndarray]:
    """Return energy and offset bin of each event, -1 outside the axes."""
    vectors = unit_vectors(events.ra, events.dec) @ fov_matrix(*pointing_of(run)).T
    indices = []
    for edges, values in (
        (bins.energy_edges, events.energy),
        (bins.offset_edges, offset_angle(vectors)),
    ):
        index = np.searchsorted(edges, values, side="right") - 1
        indices.append(np.where(index < edges.size - 1, index, -1))
    return indices[0], indices[1]


def _indices_in(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the bin of values, the first or last one for those beyond the edges."""
    index = np.searchsorted(edges, values, side="right") - 1
    clipped: np.ndarray = index.clip(0, edges.size - 2)
    return clipped


def _histogram(*indices: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    flat = np.ravel_multi_index(indices, shape)
    counts = np.bincount(flat, minlength=int(np.prod(shape)))
    # 10^5 runs are in memory at once
    return counts.reshape(shape).astype(np.int32)


def _good_time(edges: np.ndarray, clock: _Clock, gaps: np.ndarray) -> np.ndarray:
    good = np.diff(clock(edges))
    for start, stop in gaps:
        good -= np.diff(clock(edges.clip(start, stop)))
    # differences of sums leave rounding behind
    return np.where(good > 1e-3, good, 0.0)


def _find_gaps(
    time: np.ndarray, clock: _Clock, min_gap: float
) -> tuple[np.ndarray, np.ndarray]:
    """Find times without events that are too long for chance.

    At a rate r the time to the next event is longer than t with probability exp(-r t),
    and there are as many such times as events.
    """
    ends = clock.points[[0, -1]]
    stamps = np.concatenate([ends[:1], time, ends[1:]])
    seconds = clock(stamps)
    pause = np.diff(seconds)
    rate = time.size / max(seconds[-1] - pause.max(), 1e-3)
    limit = np.log(_GAP_ALARM / (time.size + 1))
    found, log_p = [], []
    for i in np.flatnonzero((pause >= min_gap) & (-rate * pause < limit)):
        p = -pause[i] * min(rate, _rate_around(seconds[1:-1], int(i)))
        if p < limit:
            found.append([stamps[i], stamps[i + 1]])
            log_p.append(p)
    return np.reshape(found, (-1, 2)), np.array(log_p)


def _rate_around(seconds: np.ndarray, i: int) -> float:
    """Return the lower of the rates just before and after event i [s-1]."""
    sides = seconds[max(0, i - _N_AROUND) : i], seconds[i : i + _N_AROUND]
    rates = [
        (side.size - 1) / max(side[-1] - side[0], 1e-6)
        for side in sides
        if side.size >= _MIN_AROUND
    ]
    return min(rates, default=np.inf)


def _zenith(run: Run, time: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the zenith angle at times, and whether it follows the pointing.

    A simulated store may have a zenith angle that is not that of its place and time.
    """
    if np.isfinite([run.longitude, run.latitude]).all():
        track = zenith_angle(run, time)
        if not abs(np.median(track) - run.zenith) > _MAX_ZENITH_DIFFERENCE:
            return track, True
    return np.full(time.shape, run.zenith), False
