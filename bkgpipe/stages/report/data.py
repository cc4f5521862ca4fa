"""What the report of a production shows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bkgpipe.core.clock import Clock
from bkgpipe.core.run import Run, RunTable
from bkgpipe.stages.count.data import Conservation
from bkgpipe.stages.count.kept_share import KeptShare
from bkgpipe.stages.fit.data import RegressionFit
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.rank.data import Ranking
from bkgpipe.stages.report.dependence import Dependence
from bkgpipe.stages.sky.data import HotSpot
from bkgpipe.stages.sky.summary import FieldSummary
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.stages.stack.data import Conditions, Group
from bkgpipe.stages.validate.axes_data import AxesSummary
from bkgpipe.stages.validate.data import ValidationSummary

__all__ = ["ModelNote", "Report", "note_model"]


@dataclass(frozen=True, kw_only=True)
class ModelNote:
    """What the list of models tells of one that was drawn.

    Attributes
    ----------
    stack_id : int
        Group or run that the model is for.
    method : str
        Smoothing method.
    n_runs : int
        Runs behind it.
    livetime : float
        Their live time [s].
    conditions : Conditions
        Conditions that it is for.
    energy_min : float
        Lower edge of the lowest energy bin with events and exposure; NaN when there is
        none [TeV].
    rate : float
        Rate above it, mean over the field [s-1 sr-1].
    error : float
        Its relative statistical error, at most; NaN when unknown.
    systematic : float
        Relative scatter of single runs; NaN when unknown.
    """

    stack_id: int
    method: str
    n_runs: int
    livetime: float
    conditions: Conditions
    energy_min: float
    rate: float
    error: float
    systematic: float


def note_model(model: RateModel) -> ModelNote:
    """Note what the list of models tells of one.

    Parameters
    ----------
    model : RateModel
        The model.

    Returns
    -------
    ModelNote
        Its numbers. Errors of bins are added up, as if they all erred alike.
    """
    binning, is_seen = model.binning, (model.exposure_2d > 0).any(axis=1)
    if model.is_fitted.size:
        is_seen = is_seen & model.is_fitted
    field = binning.solid_angle_2d
    counts = model.rate_2d * np.outer(binning.energy_width * is_seen, field)
    total = float(counts.sum())
    error = float("nan")
    if model.error_2d.size and total > 0:
        error = float((counts * model.error_2d).sum() / total)
    lowest = binning.energy_edges[:-1][is_seen]
    return ModelNote(
        stack_id=model.stack_id,
        method=model.method,
        n_runs=model.n_runs,
        livetime=model.livetime,
        conditions=model.conditions,
        energy_min=float(lowest[0]) if lowest.size else float("nan"),
        rate=total / float(field.sum()),
        error=error,
        systematic=model.systematic,
    )


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
    models : tuple of ModelNote
        Models that have a page, in order of their numbers.
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
    clocks : dict of int to Clock
        Runs of which the store says different times, and what it says.
    excursions : dict of int to tuple of str
        Conditions beyond the fit, in words, of each run that has any.
    n_rates : int
        Rates that could have a page.
    dependence : Dependence
        Rates of the runs beside those of their models.
    regions : tuple of ExclusionRegion
        Excluded regions, each once.
    n_masks : int
        Masks that these were gathered from.
    n_all_masks : int
        Masks that there are.
    field_radius : float
        Largest offset of the models [deg].
    validation : ValidationSummary or None
        What ``bkgpipe validate`` found for this production.
    axes : AxesSummary or None
        What ``bkgpipe validate --axes`` found.
    fields : tuple of FieldSummary
        Fields of the maps of the sky; empty as long as there are no maps.
    n_drawn : int
        The most significant of these that have a picture.
    hot_spots : tuple of HotSpot
        Where there are more events than chance makes.
    regression : RegressionFit or None
        The fit of all runs, where that is the method.
    folders : dict of str to str
        Folder of the products of each stage, as ``count-3fa9c1``.
    inputs : str
        Digest of the runs that all was made from.
    """

    title: str
    table: RunTable
    conservation: Conservation
    refused: dict[int, str]
    timing: dict[str, float]
    groups: tuple[Group, ...]
    models: tuple[ModelNote, ...]
    n_models: int
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    store: str = ""
    unfit: dict[int, str] = field(default_factory=dict)
    rankings: tuple[Ranking, ...] = ()
    kept_shares: tuple[KeptShare, ...] = ()
    exposure: str = "geometry"
    clocks: dict[int, Clock] = field(default_factory=dict)
    excursions: dict[int, tuple[str, ...]] = field(default_factory=dict)
    n_rates: int = 0
    dependence: Dependence = field(default_factory=Dependence)
    regions: tuple[ExclusionRegion, ...] = ()
    n_masks: int = 0
    n_all_masks: int = 0
    field_radius: float = 0.0
    validation: ValidationSummary | None = None
    axes: AxesSummary | None = None
    fields: tuple[FieldSummary, ...] = ()
    n_drawn: int = 0
    hot_spots: tuple[HotSpot, ...] = ()
    regression: RegressionFit | None = None
    folders: dict[str, str] = field(default_factory=dict)
    inputs: str = ""

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
