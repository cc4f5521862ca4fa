"""What the events of OFF runs are worth to target runs, and who got them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.core.checks import require_shape
from bkgpipe.core.run import Run
from bkgpipe.stages.mask.data import ExclusionMask

__all__ = [
    "FieldGrid",
    "OffExposure",
    "OffSource",
    "OverlayLimits",
    "OverlayPool",
    "OverlayTally",
    "OverlayTarget",
    "PoolPiece",
    "PoolUse",
]


@dataclass(frozen=True, kw_only=True)
class OverlayLimits:
    """Largest differences between a target and an OFF run whose events it gets.

    Differences of which either value is unknown let the run pass.

    Attributes
    ----------
    zenith : float
        Difference of the zenith angles [deg].
    cos_zenith : float
        Difference of their cosines.
    azimuth : float
        Difference on the circle [deg].
    same_side : bool
        Ask both to point to the north, or both to the south.
    time : float
        Difference of the start times [d].
    muon_efficiency : float
        Difference of the muon efficiencies.
    nsb : float
        Difference of the night-sky background, in the unit of the stores.
    same_telescopes : bool
        Ask for the same telescopes.
    threshold : bool
        Ask for a safe energy of the OFF run no higher than that of the target.
    """

    zenith: float = float("inf")
    cos_zenith: float = float("inf")
    azimuth: float = float("inf")
    same_side: bool = False
    time: float = float("inf")
    muon_efficiency: float = float("inf")
    nsb: float = float("inf")
    same_telescopes: bool = False
    threshold: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldGrid:
    """Cells of equal solid angle in the field of view.

    Attributes
    ----------
    nside : int
        HEALPix resolution of the cells, whose x axis is the pointing.
    offset_max : float
        Edge of the field [deg].
    cells : np.ndarray
        HEALPix numbers of the cells that touch the field, sorted, ``(n_cells,)``.
    offset : np.ndarray
        Offset of their centres, shape ``(n_cells,)`` [deg].
    """

    nside: int
    offset_max: float
    cells: np.ndarray
    offset: np.ndarray

    def __post_init__(self) -> None:
        require_shape("offset", self.offset, self.cells.shape)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.cells.size)


@dataclass(frozen=True, kw_only=True, eq=False)
class OffExposure:
    """When each cell of the field of an OFF run is outside its excluded regions.

    Attributes
    ----------
    obs_id : int
        Number of the OFF run.
    gti : np.ndarray
        Good time intervals in order, shape ``(n_intervals, 2)`` [d].
    deadc : float
        Live time over on-time.
    step_edges : np.ndarray
        Live time at the edges of the steps, shape ``(n_steps + 1,)`` [s].
    kept : np.ndarray
        True where no part of the cell is excluded at any time of the step, bool, shape
        ``(n_steps, n_cells)``.
    """

    obs_id: int
    gti: np.ndarray
    deadc: float
    step_edges: np.ndarray
    kept: np.ndarray

    def __post_init__(self) -> None:
        require_shape("kept", self.kept, (self.step_edges.size - 1, self.kept.shape[1]))
        require_shape("gti", self.gti, (len(self.gti), 2))

    @property
    def livetime(self) -> float:
        """Live time of the run [s]."""
        return float(self.step_edges[-1])

    @property
    def kept_livetime(self) -> np.ndarray:
        """Live time that each cell is kept, shape ``(n_cells,)`` [s]."""
        kept: np.ndarray = np.diff(self.step_edges) @ self.kept
        return kept


@dataclass(frozen=True, kw_only=True, eq=False)
class OffSource:
    """A run whose events are given to others.

    Attributes
    ----------
    run : Run
        The OFF run.
    mask : ExclusionMask
        What of its sky is never copied.
    exposure : OffExposure
        The same in its field, over its live time.
    safe_energy : float
        Its safe energy [TeV].
    """

    run: Run
    mask: ExclusionMask
    exposure: OffExposure
    safe_energy: float


@dataclass(frozen=True, kw_only=True, eq=False)
class OverlayTarget:
    """A run that gets events.

    Attributes
    ----------
    run : Run
        The run.
    gti : np.ndarray
        Its good time intervals in order, shape ``(n_intervals, 2)`` [d].
    safe_energy : float
        Its safe energy [TeV].
    """

    run: Run
    gti: np.ndarray
    safe_energy: float

    @property
    def livetime(self) -> float:
        """Live time [s]."""
        ontime = float(np.diff(self.gti, axis=1).sum() * 86400.0)
        return ontime * self.run.deadc


@dataclass(frozen=True, kw_only=True, eq=False)
class PoolPiece:
    """What one OFF run gives to one target, in each cell of the field.

    Attributes
    ----------
    off_id : int
        Number of the OFF run.
    factor : float
        Rate of the target over that of the OFF run.
    start : np.ndarray
        Kept live time of the OFF run that was used before, ``(n_cells,)`` [s].
    taken : np.ndarray
        Kept live time that is used here, zero where none is, ``(n_cells,)`` [s].
    filled : np.ndarray
        Live time of the target that other OFF runs fill before, ``(n_cells,)`` [s].
    is_reused : np.ndarray
        True where a target had the same live time before, bool, ``(n_cells,)``.
    """

    off_id: int
    factor: float
    start: np.ndarray
    taken: np.ndarray
    filled: np.ndarray
    is_reused: np.ndarray


@dataclass(frozen=True, kw_only=True)
class PoolUse:
    """What a target asked of the pool, enough to find again what it got.

    Attributes
    ----------
    output : str
        Output that the target belongs to.
    obs_id : int
        Number of the target.
    livetime : float
        Live time asked for [s].
    off_ids : tuple of int
        OFF runs that match, in the order in which they were read.
    factors : tuple of float
        Rate of the target over that of each.
    spans : tuple of tuple
        For each OFF run that gave something: its number, start and end of the span of
        its kept live time [s], and the mean share of the field that the target got.
    """

    output: str
    obs_id: int
    livetime: float
    off_ids: tuple[int, ...]
    factors: tuple[float, ...]
    spans: tuple[tuple[int, float, float, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class OverlayPool:
    """What targets got of OFF runs, over one output or several.

    Attributes
    ----------
    output : str
        Digest of the settings and inputs of the output that the file belongs to.
    frame : str
        Digest of what gives the numbers in `uses` their meaning: the field, the OFF
        runs, and their masks.
    uses : tuple of PoolUse
        Uses in order, those of earlier outputs first.
    """

    output: str
    frame: str
    uses: tuple[PoolUse, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OverlayTally:
    """Where the events of an OFF run went that was read for a target.

    Attributes
    ----------
    n_drawn : int
        Events that the target got.
    n_reused : int
        Those of them that a target had before.
    n_excluded : int
        Events in the run's own excluded regions, or in a cell that touches one, in the
        span of time that most of the field gives.
    n_outside : int
        Events beyond the field in that span.
    n_low : int
        Events that the target would get if they were not below the threshold.
    expected : float
        Live time used times the rate of all kept events, at their offsets.
    """

    n_drawn: int
    n_reused: int
    n_excluded: int
    n_outside: int
    n_low: int
    expected: float
