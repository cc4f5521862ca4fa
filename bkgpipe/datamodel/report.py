"""What the report of a production shows."""

from __future__ import annotations

from dataclasses import dataclass, field

from bkgpipe.datamodel.counts import Conservation
from bkgpipe.datamodel.model import RateModel
from bkgpipe.datamodel.ranking import Ranking
from bkgpipe.datamodel.run import Run, RunTable
from bkgpipe.datamodel.stack import Group

__all__ = ["KeptShare", "Report"]


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """A production, gathered for its report.

    Attributes
    ----------
    title : str
        Heading of the page.
    table : RunTable
        All runs of the store, with the decision on each.
    conservation : Conservation
        Where the events went, sum over the runs that were counted.
    refused : dict of int to str
        Reason for each run that was selected but could not be used.
    timing : dict of str to float
        Time of each stage, sum over its tasks, in order of the chain [s].
    groups : tuple of Group
        Groups of runs that share a model; empty for other strategies.
    models : tuple of RateModel
        Rates to draw, already limited to a number that a page can hold.
    n_models : int
        Model files that were written.
    settings : dict of str to dict of str to str
        Value of each key in each section.
    versions : dict of str to str
        Version of each package that computed something.
    store : str
        Folder of the DL3 store that was written; empty if none was.
    unfit : dict of int to str
        Reason for each run that was counted, but may not be stacked.
    rankings : tuple of Ranking
        What was taken for each target; empty for other strategies.
    kept_shares : tuple of KeptShare
        Runs in which the mask keeps another share of the events than of the solid
        angle, the most significant first.
    exposure : str
        Which of the two made the exposure: ``geometry`` or ``events``.
    """

    title: str
    table: RunTable
    conservation: Conservation
    refused: dict[int, str]
    timing: dict[str, float]
    groups: tuple[Group, ...]
    models: tuple[RateModel, ...]
    n_models: int
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    store: str = ""
    unfit: dict[int, str] = field(default_factory=dict)
    rankings: tuple[Ranking, ...] = ()
    kept_shares: tuple[KeptShare, ...] = ()
    exposure: str = "geometry"

    @property
    def runs_used(self) -> tuple[Run, ...]:
        """Runs that contribute to the models."""
        return tuple(
            run for run in self.table.selected if run.obs_id not in self.refused
        )

    @property
    def hours(self) -> float:
        """Live time of the runs that contribute [h]."""
        return sum(run.livetime for run in self.runs_used) / 3600.0
