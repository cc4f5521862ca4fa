"""Luigi tasks: what needs what, and which file holds it."""

from __future__ import annotations

from bkgpipe.flow.base import StageTask
from bkgpipe.flow.count import AllCounts, Count
from bkgpipe.flow.export import AllExports, Export
from bkgpipe.flow.fit import Fit
from bkgpipe.flow.group import MakeGroups
from bkgpipe.flow.mask import AllMasks, Mask
from bkgpipe.flow.nodes import SolveNodes
from bkgpipe.flow.predict import Predict
from bkgpipe.flow.production import MakeProduction
from bkgpipe.flow.rank import AllRankings, GatherCandidates, Rank
from bkgpipe.flow.report import MakeReport
from bkgpipe.flow.select import Select
from bkgpipe.flow.sky import AllSkies, MakeSky, Sky
from bkgpipe.flow.smooth import AllSmooths, Smooth
from bkgpipe.flow.stack import AllStacks, StackGroups, StackOwn, StackRanked
from bkgpipe.flow.store import MakeStore

__all__ = [
    "STAGE_TASKS",
    "AllCounts",
    "AllExports",
    "AllMasks",
    "AllRankings",
    "AllSkies",
    "AllSmooths",
    "AllStacks",
    "Count",
    "Export",
    "Fit",
    "GatherCandidates",
    "MakeGroups",
    "MakeProduction",
    "MakeReport",
    "MakeSky",
    "MakeStore",
    "Mask",
    "Predict",
    "Rank",
    "Select",
    "Sky",
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
    "fit": Fit,
    "smooth": AllSmooths,
    "export": MakeStore,
    "sky": MakeSky,
    "report": MakeReport,
    "production": MakeProduction,
}
