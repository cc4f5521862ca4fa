"""What a mask keeps of a run, by its geometry and by the events."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KeptShare"]


@dataclass(frozen=True, kw_only=True)
class KeptShare:
    """What the mask of a run keeps of an annulus, by its geometry and by the events.

    Attributes
    ----------
    obs_id : int
        Run number.
    target : str
        Name of the target.
    offset_min, offset_max : float
        The annulus [deg].
    n_events, n_kept : int
        Events of safe energies in it, and those that the mask keeps.
    by_geometry, by_events : float
        Share of the solid angle, and share of the events, that the mask keeps.
    """

    obs_id: int
    target: str
    offset_min: float
    offset_max: float
    n_events: int
    n_kept: int
    by_geometry: float
    by_events: float
