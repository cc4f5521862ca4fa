"""Frozen dataclasses that are handed from stage to stage."""

from __future__ import annotations

from bkgpipe.datamodel.binning import Binning
from bkgpipe.datamodel.clock import Clock
from bkgpipe.datamodel.counts import (
    Conservation,
    ControlEvents,
    MaskEffect,
    RunCounts,
    RunShape,
    RunTally,
)
from bkgpipe.datamodel.criteria import MimicLimits, RankCriteria, RunCuts
from bkgpipe.datamodel.dependence import (
    ConditionCurve,
    Dependence,
    RunRate,
    RunSpectrum,
)
from bkgpipe.datamodel.entry import ExportEntry
from bkgpipe.datamodel.kept_share import KeptShare
from bkgpipe.datamodel.mask import ExclusionMask, ExclusionRegion, distinct_pixels
from bkgpipe.datamodel.model import NodeModel, RateModel
from bkgpipe.datamodel.product import Chunk, ProductHeader
from bkgpipe.datamodel.proposal import Proposal, StoreSample
from bkgpipe.datamodel.ranking import REASONS, Candidates, Ranking
from bkgpipe.datamodel.regression import (
    FitPoints,
    RegressionFit,
    RegressionRate,
    RunConditions,
    RunHead,
)
from bkgpipe.datamodel.report import ModelNote, Report, note_model
from bkgpipe.datamodel.run import Events, Run, RunTable
from bkgpipe.datamodel.seal import Seal
from bkgpipe.datamodel.simulation import (
    Closure,
    Distribution,
    Field,
    PointSource,
    SimulatedEvents,
    Simulation,
)
from bkgpipe.datamodel.stack import Conditions, Group, Stack
from bkgpipe.datamodel.summary import StageState, Summary
from bkgpipe.datamodel.truth import RunTruth, Truth

__all__ = [
    "REASONS",
    "Binning",
    "Candidates",
    "Chunk",
    "Clock",
    "Closure",
    "ConditionCurve",
    "Conditions",
    "Conservation",
    "ControlEvents",
    "Dependence",
    "Distribution",
    "Events",
    "ExclusionMask",
    "ExclusionRegion",
    "ExportEntry",
    "Field",
    "FitPoints",
    "Group",
    "KeptShare",
    "MaskEffect",
    "MimicLimits",
    "ModelNote",
    "NodeModel",
    "PointSource",
    "ProductHeader",
    "Proposal",
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
    "RunRate",
    "RunShape",
    "RunSpectrum",
    "RunTable",
    "RunTally",
    "RunTruth",
    "Seal",
    "SimulatedEvents",
    "Simulation",
    "Stack",
    "StageState",
    "StoreSample",
    "Summary",
    "Truth",
    "distinct_pixels",
    "note_model",
]
