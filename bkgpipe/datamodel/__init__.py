"""Frozen dataclasses that are handed from stage to stage."""

from __future__ import annotations

from bkgpipe.datamodel.binning import Binning
from bkgpipe.datamodel.counts import (
    Conservation,
    ControlEvents,
    MaskEffect,
    RunCounts,
    RunShape,
    RunTally,
)
from bkgpipe.datamodel.criteria import MimicLimits, RankCriteria, RunCuts
from bkgpipe.datamodel.entry import ExportEntry
from bkgpipe.datamodel.mask import ExclusionMask, ExclusionRegion, distinct_pixels
from bkgpipe.datamodel.model import NodeModel, RateModel
from bkgpipe.datamodel.product import Chunk, ProductHeader
from bkgpipe.datamodel.ranking import REASONS, Candidates, Ranking
from bkgpipe.datamodel.regression import (
    FitPoints,
    RegressionFit,
    RegressionRate,
    RunConditions,
    RunHead,
)
from bkgpipe.datamodel.report import KeptShare, Report
from bkgpipe.datamodel.run import Events, Run, RunTable
from bkgpipe.datamodel.simulation import (
    Closure,
    PointSource,
    RunTruth,
    Simulation,
    Truth,
)
from bkgpipe.datamodel.stack import Conditions, Group, Stack
from bkgpipe.datamodel.summary import StageState, Summary

__all__ = [
    "REASONS",
    "Binning",
    "Candidates",
    "Chunk",
    "Closure",
    "Conditions",
    "Conservation",
    "ControlEvents",
    "Events",
    "ExclusionMask",
    "ExclusionRegion",
    "ExportEntry",
    "FitPoints",
    "Group",
    "KeptShare",
    "MaskEffect",
    "MimicLimits",
    "NodeModel",
    "PointSource",
    "ProductHeader",
    "RankCriteria",
    "Ranking",
    "RateModel",
    "RegressionFit",
    "RegressionRate",
    "Report",
    "Run",
    "RunConditions",
    "RunCounts",
    "RunCuts",
    "RunHead",
    "RunShape",
    "RunTable",
    "RunTally",
    "RunTruth",
    "Simulation",
    "Stack",
    "StageState",
    "Summary",
    "Truth",
    "distinct_pixels",
]
