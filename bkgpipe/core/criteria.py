"""Criteria by which runs are chosen."""

from __future__ import annotations

from dataclasses import dataclass, field

from bkgpipe.core.run_list import RunList

__all__ = ["MimicLimits", "RankCriteria", "RunCuts"]


@dataclass(frozen=True, kw_only=True)
class RunCuts:
    """Which runs may contribute to models; infinite and empty limits let all pass.

    Attributes
    ----------
    obs_ids : RunList
        Runs to take; empty for all.
    exclude_obs_ids : RunList
        Runs to leave out.
    max_zenith : float
        Largest zenith angle [deg].
    min_livetime : float
        Shortest live time [s].
    max_quality : int
        Largest quality flag of GADF (0 is best); runs of unknown quality pass.
    time_min, time_max : float
        Range of the start of the run, TT as modified Julian date [d].
    telescopes : str
        Telescope list asked for; empty for any.
    conditions : tuple of str
        Cuts on columns of the observation table, each ``NAME OPERATOR VALUE``.
    """

    obs_ids: RunList = ()
    exclude_obs_ids: RunList = ()
    max_zenith: float = 90.0
    min_livetime: float = 0.0
    max_quality: int = 2
    time_min: float = float("-inf")
    time_max: float = float("inf")
    telescopes: str = ""
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MimicLimits:
    """Largest differences between a target run and a run that may stand in for it.

    A difference of which either value is unknown lets the run pass.

    Attributes
    ----------
    zenith, azimuth : float
        Difference of the pointings, azimuth on the circle [deg].
    time : float
        Difference of the start times [d].
    muon_efficiency : float
        Difference of the muon efficiencies.
    nsb : float
        Difference of the night-sky background, in the unit of the store.
    rate : float
        Difference of the natural logarithm of the rate of control events.
    same_telescopes : bool
        Ask for the same telescope list.
    """

    zenith: float = float("inf")
    azimuth: float = float("inf")
    time: float = float("inf")
    muon_efficiency: float = float("inf")
    nsb: float = float("inf")
    rate: float = float("inf")
    same_telescopes: bool = False


@dataclass(frozen=True, kw_only=True)
class RankCriteria:
    """How runs are ranked for a target, and how many are taken.

    Attributes
    ----------
    divergence : str
        ``kullback_leibler`` or ``jensen_shannon``.
    energy_bins, offset_bins : int
        Bins of the shapes that are compared, at most: neighbours are joined.
    hours : float
        Live time to reach [h].
    own : bool
        Let the target be its own candidate.
    min_overlap : float
        Least share of the target's shape in the bins that the candidate sees too.
    limits : MimicLimits
        Largest differences of the conditions.
    widen : bool
        Widen all limits by the same factor, as little as reaches the hours.
    scale : str
        ``control`` brings each run to the target's rate of control events, ``none``
        takes it as it is.
    """

    divergence: str = "kullback_leibler"
    energy_bins: int = 12
    offset_bins: int = 5
    hours: float = 10.0
    own: bool = False
    min_overlap: float = 0.5
    limits: MimicLimits = field(default_factory=MimicLimits)
    widen: bool = True
    scale: str = "control"
