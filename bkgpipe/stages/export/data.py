"""What was written for one run."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ExportEntry"]


@dataclass(frozen=True, kw_only=True)
class ExportEntry:
    """The files of one run in the new store, and what is behind its model.

    Attributes
    ----------
    obs_id : int
        Run number.
    stack_id : int
        Stack that the model comes from.
    bkg_3d, bkg_2d : str
        Model files relative to the store; empty when not asked for.
    events : str
        Events file relative to the store; empty when only the index names it.
    n_runs : int
        Runs behind the model.
    hours : float
        Live time behind the model [h].
    deadc : float
        Dead-time fraction that turned live time into on-time.
    n_filled_3d, n_filled_2d : int
        Bins without counts or exposure that were filled from their neighbours.
    """

    obs_id: int
    stack_id: int
    bkg_3d: str
    bkg_2d: str
    events: str
    n_runs: int
    hours: float
    deadc: float
    n_filled_3d: int
    n_filled_2d: int

    @property
    def files(self) -> tuple[str, ...]:
        """Files of the run, relative to the folder of the stage."""
        names = (self.bkg_3d, self.bkg_2d, self.events)
        return tuple(f"store/{name}" for name in names if name)
