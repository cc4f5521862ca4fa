"""Frozen dataclasses that are handed from stage to stage."""

from __future__ import annotations

from bkgpipe.datamodel.binning import Binning
from bkgpipe.datamodel.counts import Conservation, ControlEvents, RunCounts, RunShape
from bkgpipe.datamodel.criteria import MimicLimits, RunCuts
from bkgpipe.datamodel.entry import ExportEntry
from bkgpipe.datamodel.mask import ExclusionMask, ExclusionRegion
from bkgpipe.datamodel.model import NodeModel, RateModel
from bkgpipe.datamodel.product import Chunk, ProductHeader
from bkgpipe.datamodel.ranking import Ranking
from bkgpipe.datamodel.regression import RegressionFit, RegressionRate, RunConditions
from bkgpipe.datamodel.report import Report
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
    "Binning",
    "Chunk",
    "Closure",
    "Conditions",
    "Conservation",
    "ControlEvents",
    "Events",
    "ExclusionMask",
    "ExclusionRegion",
    "ExportEntry",
    "Group",
    "MimicLimits",
    "NodeModel",
    "PointSource",
    "ProductHeader",
    "Ranking",
    "RateModel",
    "RegressionFit",
    "RegressionRate",
    "Report",
    "Run",
    "RunConditions",
    "RunCounts",
    "RunCuts",
    "RunShape",
    "RunTable",
    "RunTruth",
    "Simulation",
    "Stack",
    "StageState",
    "Summary",
    "Truth",
]
