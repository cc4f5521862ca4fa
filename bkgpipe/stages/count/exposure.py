"""The kept solid angle of a run from its events, and how far it is from the truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.geometry.sampling import field_solid_angles
from bkgpipe.stages.count.data import MaskEffect, RunCounts
from bkgpipe.stages.count.kept_share import KeptShare

__all__ = ["compare_exposure", "most_different", "with_event_exposure"]


def with_event_exposure(run: RunCounts) -> RunCounts:
    """Take the kept solid angle from the kept share of the events.

    This is how tools of 2015 did it. The share is biased where it matters: the events
    of a source are among those that the mask takes, so that too little solid angle
    seems to be left, and the rate beside the source comes out too high.

    Parameters
    ----------
    run : RunCounts
        Run whose solid angles are those of the mask.

    Returns
    -------
    RunCounts
        The same counts. Each bin of both projections keeps the solid angle of the field
        in it, times kept / all events of all safe energies; a bin without any event
        stays as it is.

    Raises
    ------
    InputError
        If the excluded events of the run were not counted.
    """
    effect = run.mask_effect
    if not effect.events_2d.size:
        raise InputError(
            what="its excluded events were not counted",
            where=f"run {run.obs_id}",
            fix="Count the run again, or set [count] exposure = geometry",
        )
    field_3d, field_2d = field_solid_angles(run.binning)
    kept_3d, kept_2d = run.safe_counts_3d.sum(axis=0), run.safe_counts_2d.sum(axis=0)
    angle_3d = _share(
        kept_3d, effect.events_3d, default=run.solid_angle_3d, of=field_3d
    )
    angle_2d = _share(
        kept_2d, effect.events_2d, default=run.solid_angle_2d, of=field_2d
    )
    return replace(run, solid_angle_3d=angle_3d, solid_angle_2d=angle_2d)


def compare_exposure(
    run: Run,
    binning: Binning,
    *,
    mask_effect: MaskEffect,
    counts_2d: np.ndarray,
    is_safe: np.ndarray,
) -> KeptShare | None:
    """Find the annulus in which geometry and events differ most.

    Parameters
    ----------
    run : Run
        The run.
    binning : Binning
        Axes.
    mask_effect : MaskEffect
        Kept and excluded events, and the solid angle that the geometry keeps.
    counts_2d : np.ndarray
        Kept events, shape ``(n_energy, n_offset)``.
    is_safe : np.ndarray
        True for energy bins that are safe as a whole, shape ``(n_energy,)``.

    Returns
    -------
    KeptShare or None
        The annulus with the most significant difference; None if the mask takes a part
        of no annulus that has events.
    """
    if not mask_effect.events_2d.size:
        return None
    geometry = mask_effect.solid_angle_2d / field_solid_angles(binning)[1]
    n_events, n_kept = mask_effect.events_2d, counts_2d[is_safe].sum(axis=0)
    is_partial = (geometry > 0) & (geometry < 1 - 1e-9) & (n_events > 0)
    if not is_partial.any():
        return None
    pull = np.where(is_partial, np.abs(_pull(geometry, n_events, n_kept)), -1.0)
    worst = int(pull.argmax())
    return KeptShare(
        obs_id=run.obs_id,
        target=run.target,
        offset_min=float(binning.offset_edges[worst]),
        offset_max=float(binning.offset_edges[worst + 1]),
        n_events=int(n_events[worst]),
        n_kept=int(n_kept[worst]),
        by_geometry=float(geometry[worst]),
        by_events=float(n_kept[worst] / n_events[worst]),
    )


def most_different(
    shares: Iterable[KeptShare | None], *, n_runs: int
) -> tuple[KeptShare, ...]:
    """Choose the runs in which geometry and events differ most.

    Parameters
    ----------
    shares : iterable of KeptShare or None
        One for each run.
    n_runs : int
        How many to choose.

    Returns
    -------
    tuple of KeptShare
        The most significant differences first.
    """

    def significance(share: KeptShare) -> float:
        return float(np.abs(_pull(share.by_geometry, share.n_events, share.n_kept)))

    known = [share for share in shares if share is not None]
    return tuple(sorted(known, key=significance, reverse=True)[:n_runs])


def _share(
    kept: np.ndarray, events: np.ndarray, *, default: np.ndarray, of: np.ndarray
) -> np.ndarray:
    """Return the solid angle that the events keep, the default where there are none."""
    share = np.divide(kept, events, out=np.zeros(of.shape), where=events > 0)
    solid_angle: np.ndarray = np.where(events > 0, share * of, default)
    return solid_angle


def _pull(
    share: np.ndarray | float, n_events: np.ndarray | int, n_kept: np.ndarray | int
) -> np.ndarray:
    """Kept events less those to expect of a share, in binomial standard deviations."""
    width = np.sqrt(np.clip(n_events * share * (1 - share), 1e-12, None))
    pull: np.ndarray = np.asarray((n_kept - n_events * share) / width)
    return pull
