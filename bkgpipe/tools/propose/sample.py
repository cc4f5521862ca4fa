"""A look at some runs of a store, before any of them is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bkgpipe.chain.clocks import ClockSurvey
from bkgpipe.chain.refusals import read_whole
from bkgpipe.core.run import Events, Run
from bkgpipe.errors import BkgpipeError, DriftScanError, InputError
from bkgpipe.geometry.frames import (
    fov_matrix,
    galactic_latitude,
    offset_angle,
    pointing_of,
    unit_vectors,
)
from bkgpipe.settings import Settings
from bkgpipe.store.fov_limit import read_fov_limits
from bkgpipe.tools.propose.data import StoreSample

__all__ = ["Look", "look_at_runs", "plane_words", "tell_of_plane"]

_MAX_SAMPLE = 20  # runs, which take less than a second
_MAX_EVENTS = 1_000_000  # of a run; of more each so many, evenly over the run
_MAX_LIMITS = 3  # runs of one instrument have the same field
_NEAR_PLANE = 5.0  # deg


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """What a look at some runs found.

    Attributes
    ----------
    sample : StoreSample
        Events and responses, at most of 20 runs.
    clocks : ClockSurvey
        Times of all runs that could be read.
    errors : tuple of BkgpipeError
        Why some of the runs cannot be used.
    limit_errors : tuple of InputError
        Why it is not known how far their responses reach.
    n_tried : int
        Runs that were looked at for the sample.
    """

    sample: StoreSample
    clocks: ClockSurvey
    errors: tuple[BkgpipeError, ...]
    limit_errors: tuple[InputError, ...]
    n_tried: int

    def require_usable(self, where: str) -> None:
        """Refuse a store of which none of the runs that were looked at can be used.

        Parameters
        ----------
        where : str
            The store, for the message.

        Raises
        ------
        DriftScanError
            If they are drift scans.
        InputError
            If there is another reason.
        """
        if self.sample.n_read or not self.errors:
            return
        if all(isinstance(error, DriftScanError) for error in self.errors):
            raise DriftScanError(
                what=f"all {self.n_tried} runs looked at are drift scans (OBS_MODE = "
                "DRIFT): they do not point at a place in the sky",
                where=where,
                fix="Use a store of pointed observations",
            )
        raise InputError(
            what=f"none of {self.n_tried} runs looked at can be used; the first one: "
            f"{self.errors[0].what}",
            where=where,
            fix=self.errors[0].fix,
        )


def look_at_runs(
    settings: Settings, runs: Sequence[Run], *, max_runs: int = _MAX_SAMPLE
) -> Look:
    """Read the events of some runs, from the lowest to the highest zenith angle.

    Their energies are kept of 20 at most, and all are read once.

    Parameters
    ----------
    settings : Settings
        Settings, for the store and for the safe energies.
    runs : sequence of Run
        Runs to choose from.
    max_runs : int
        Runs to read at most.

    Returns
    -------
    Look
        What was found.
    """
    present = sorted(
        (run for run in runs if run.file_size >= 0),
        key=lambda run: (np.nan_to_num(run.zenith, nan=np.inf), run.obs_id),
    )
    chosen = _spread(present, max_runs)
    sampled = {run.obs_id for run in _spread(chosen, _MAX_SAMPLE)}
    clocks = ClockSurvey()
    errors: dict[int, BkgpipeError] = {}
    found: list[tuple[Run, np.ndarray, np.ndarray, float]] = []
    safe: dict[int, tuple[float, str]] = {}
    for run in chosen:
        try:
            usable = read_whole(settings, run)
            clocks = clocks.add(run, usable.events)
            if run.obs_id in sampled:
                safe[run.obs_id] = usable.safe_energy
                found.append((run, *_energy_and_offset(run, usable.events)))
        except BkgpipeError as error:
            errors[run.obs_id] = error
    limit, limit_errors = _read_limit(settings.store, [each[0] for each in found])
    sample = StoreSample(
        runs=tuple(runs),
        n_read=len(found),
        hours_read=sum(each[3] for each in found),
        energy=np.concatenate([*(each[1] for each in found), np.empty(0)]),
        offset=np.concatenate([*(each[2] for each in found), np.empty(0)]),
        fov_limit=limit,
        safe=safe,
    )
    return Look(
        sample=sample,
        clocks=clocks,
        errors=tuple(errors[obs_id] for obs_id in sorted(errors)),
        limit_errors=limit_errors,
        n_tried=len(sampled),
    )


def _spread(runs: Sequence[Run], n_runs: int) -> list[Run]:
    """Take so many runs at most, from the first to the last."""
    picked = np.linspace(0, len(runs) - 1, min(len(runs), n_runs)).round()
    return [runs[int(index)] for index in picked]


def _energy_and_offset(
    run: Run, events: Events
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return energy and offset of each so many events, and the hours they stand for."""
    step = -(-events.energy.size // _MAX_EVENTS) or 1
    ra, dec, energy = (of[::step] for of in (events.ra, events.dec, events.energy))
    offset = offset_angle(unit_vectors(ra, dec) @ fov_matrix(*pointing_of(run)).T)
    is_valid = np.isfinite(offset) & np.isfinite(energy) & (energy > 0)
    hours = max(0.0, run.livetime) / step / 3600
    return energy[is_valid], offset[is_valid], hours


def _read_limit(
    store: Path, runs: Sequence[Run]
) -> tuple[float, tuple[InputError, ...]]:
    """Read how far the responses reach, or why that is not known."""
    try:
        limits = read_fov_limits(store, runs[:_MAX_LIMITS])
    except InputError as error:
        return float("nan"), (error,)
    return min(limits.values(), default=float("nan")), ()


def plane_words(runs: Sequence[Run]) -> str:
    """Say how many runs point into the Galactic plane.

    Parameters
    ----------
    runs : sequence of Run
        Runs of a production.

    Returns
    -------
    str
        A clause; empty if none does.
    """
    near = [
        run.obs_id
        for run in runs
        if abs(galactic_latitude(run.ra, run.dec)) < _NEAR_PLANE
    ]
    if not near:
        return ""
    return (
        f"{len(near)} of {len(runs)} runs, such as {near[0]}, point within "
        f"{_NEAR_PLANE:g} deg of the Galactic plane"
    )


def tell_of_plane(runs: Sequence[Run], catalogs: Sequence[str | Path]) -> list[str]:
    """Say which runs need the catalogue of the Galactic plane, if it is not used.

    Parameters
    ----------
    runs : sequence of Run
        Runs of a production.
    catalogs : sequence of str or Path
        ``[mask] catalogs``.

    Returns
    -------
    list of str
        One line, or none.
    """
    is_used = any(str(name).lower() == "hgps" for name in catalogs)
    words = "" if is_used else plane_words(runs)
    missing = "but hgps, the catalogue of its sources, is not in [mask] catalogs"
    return [f"{words}, {missing}"] if words else []
