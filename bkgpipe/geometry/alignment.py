"""How the field of view of a run lies on the sky, and turns during the run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.core.run import Events, Run
from bkgpipe.core.usable import is_placed
from bkgpipe.geometry.frames import (
    fov_matrix,
    pointing_of,
    swap_alignment,
    zenith_position_angle,
)

__all__ = ["Alignment", "align_run"]

_SECONDS_PER_DAY = 86400.0

# The zenith is followed this closely to find how long it stays at which angle [s]
_TRACK_STEP = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Alignment:
    """Rotations between the sky and the field of view of one run.

    Attributes
    ----------
    radec_matrix : np.ndarray
        From ICRS to RADEC field-of-view vectors, shape ``(3, 3)``.
    event_angle : np.ndarray or None
        Position angle of the zenith at each event, shape ``(n_events,)`` [deg]; None
        when the field of view is aligned to RADEC.
    step_matrices : np.ndarray
        From ICRS to field-of-view vectors at each step, shape ``(n_steps, 3, 3)``.
    step_weights : np.ndarray
        Share of the on-time that each step stands for, shape ``(n_steps,)``.
    position_angle : float
        Position angle of the zenith at mid-run; NaN if it is not known [deg].
    """

    radec_matrix: np.ndarray
    event_angle: np.ndarray | None
    step_matrices: np.ndarray
    step_weights: np.ndarray
    position_angle: float


def align_run(
    run: Run, events: Events, binning: Binning, *, fov_alignment: str
) -> Alignment:
    """Find how the field of view lies on the sky, for each event and over the run.

    Parameters
    ----------
    run : Run
        The run, for its pointing and the place of its observatory.
    events : Events
        Its events in good time, and its good time intervals, at least one.
    binning : Binning
        Axes: the rim of the field moves by less than half a bin between two steps.
    fov_alignment : str
        ``ALTAZ`` or ``RADEC``.

    Returns
    -------
    Alignment
        The rotations; one step for RADEC.

    Raises
    ------
    InputError
        If the pointing is not known; for ALTAZ also if the place of the observatory is
        not.
    """
    matrix = fov_matrix(*pointing_of(run))
    middle = np.array([(events.gti.min() + events.gti.max()) / 2])
    if fov_alignment == "ALTAZ":
        return _align_to_zenith(run, events, matrix, middle=middle, binning=binning)
    angle = zenith_position_angle(run, middle)[0] if is_placed(run) else np.nan
    return Alignment(
        radec_matrix=matrix,
        event_angle=None,
        step_matrices=matrix[np.newaxis],
        step_weights=np.ones(1),
        position_angle=_wrapped(angle),
    )


def _align_to_zenith(
    run: Run,
    events: Events,
    matrix: np.ndarray,
    *,
    middle: np.ndarray,
    binning: Binning,
) -> Alignment:
    time, seconds = _track(events.gti)
    # All times in one call, as most of its cost does not depend on their number
    angle = zenith_position_angle(run, np.concatenate([events.time, time, middle]))
    n_events = events.n_events
    step_angle, weights = _angle_steps(
        angle[n_events:-1], seconds, max_step=_half_bin_turn(binning)
    )
    return Alignment(
        radec_matrix=matrix,
        event_angle=angle[:n_events],
        step_matrices=np.array([swap_alignment(matrix.T, q).T for q in step_angle]),
        step_weights=weights,
        position_angle=_wrapped(angle[-1]),
    )


def _track(gti: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return times inside the intervals [d], and the seconds that each stands for."""
    length = np.diff(gti, axis=1)[:, 0] * _SECONDS_PER_DAY
    n_times = np.ceil(length / _TRACK_STEP).clip(min=0).astype(int)
    first = np.repeat(np.cumsum(n_times) - n_times, n_times)
    seconds = np.repeat(length / n_times.clip(min=1), n_times)
    elapsed = (np.arange(first.size) - first + 0.5) * seconds
    return np.repeat(gti[:, 0], n_times) + elapsed / _SECONDS_PER_DAY, seconds


def _half_bin_turn(binning: Binning) -> float:
    """Return the turn that moves the rim of the field by half a bin [deg]."""
    edges = binning.fov_lon_edges, binning.fov_lat_edges
    narrowest = min(float(np.diff(axis).min()) for axis in edges)
    return float(np.degrees(0.5 * narrowest / binning.offset_max))


def _angle_steps(
    angle: np.ndarray, seconds: np.ndarray, *, max_step: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean angles of equal parts of a turn, and the share of time in each.

    Steps of equal angle follow the sky where it turns fast, near the zenith, and pass
    over gaps between the intervals; steps of equal time would do neither.
    """
    n_steps = int(np.ptp(angle) / max_step) + 1
    inner_edges = np.linspace(angle.min(), angle.max(), n_steps + 1)[1:-1]
    index = np.searchsorted(inner_edges, angle)
    time = np.bincount(index, seconds, minlength=n_steps)
    seen = time > 0
    mean = np.bincount(index, seconds * angle, minlength=n_steps)[seen] / time[seen]
    return mean, time[seen] / time.sum()


def _wrapped(angle: float) -> float:
    return float((angle + 180.0) % 360.0 - 180.0)
