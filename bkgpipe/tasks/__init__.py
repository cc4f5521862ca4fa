"""Luigi tasks: what needs what, and which file holds it."""

from __future__ import annotations

from bkgpipe.tasks.base import StageTask
from bkgpipe.tasks.count import AllCounts, Count
from bkgpipe.tasks.export import AllExports, Export
from bkgpipe.tasks.group import MakeGroups
from bkgpipe.tasks.mask import AllMasks, Mask
from bkgpipe.tasks.nodes import SolveNodes
from bkgpipe.tasks.production import Production
from bkgpipe.tasks.rank import AllRankings, GatherCandidates, Rank
from bkgpipe.tasks.regression import FitRegression, Predict
from bkgpipe.tasks.report import MakeReport
from bkgpipe.tasks.select import Select
from bkgpipe.tasks.smooth import AllSmooths, Smooth
from bkgpipe.tasks.stack import AllStacks, StackGroups, StackOwn, StackRanked
from bkgpipe.tasks.store import MakeStore

__all__ = [
    "STAGE_TASKS",
    "AllCounts",
    "AllExports",
    "AllMasks",
    "AllRankings",
    "AllSmooths",
    "AllStacks",
    "Count",
    "Export",
    "FitRegression",
    "GatherCandidates",
    "MakeGroups",
    "MakeReport",
    "MakeStore",
    "Mask",
    "Predict",
    "Production",
    "Rank",
    "Select",
    "Smooth",
    "SolveNodes",
    "StackGroups",
    "StackOwn",
    "StackRanked",
]

# The task that finishes each stage.
STAGE_TASKS: dict[str, type[StageTask]] = {
    "select": Select,
    "mask": AllMasks,
    "count": AllCounts,
    "rank": AllRankings,
    "stack": AllStacks,
    "smooth": AllSmooths,
    "export": MakeStore,
    "report": MakeReport,
    "production": Production,
}
