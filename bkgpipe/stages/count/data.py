"""Counts and exposure of one run, and where its events went."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.core.checks import require_shape
from bkgpipe.core.clock import Clock
from bkgpipe.core.run import Run

__all__ = [
    "Conservation",
    "ControlEvents",
    "MaskEffect",
    "RunCounts",
    "RunShape",
    "RunTally",
    "in_safe_bins",
    "lowest_energy",
]


@dataclass(frozen=True, kw_only=True)
class Conservation:
    """Where the events of a run, or of many, went; each is in one place alone.

    Attributes
    ----------
    n_read : int
        Events in the file.
    n_invalid : int
        Position, energy or time is not a number, or the energy is not positive.
    n_outside_time : int
        Outside the good time intervals.
    n_outside_field : int
        Beyond the largest offset of the model.
    n_outside_energy : int
        Outside the energy axis.
    n_excluded : int
        In an excluded region, at any energy.
    n_below_safe : int
        In the counts, in an energy bin that is not wholly above the safe energy.
    n_kept : int
        In the counts, in an energy bin that is.
    """

    n_read: int = 0
    n_invalid: int = 0
    n_outside_time: int = 0
    n_outside_field: int = 0
    n_outside_energy: int = 0
    n_excluded: int = 0
    n_below_safe: int = 0
    n_kept: int = 0

    @property
    def n_counted(self) -> int:
        """Events in the counts, at all energies."""
        return self.n_below_safe + self.n_kept

    @property
    def n_lost(self) -> int:
        """Events that no counter holds: zero, or there is a bug."""
        outside = self.n_outside_time + self.n_outside_field + self.n_outside_energy
        left_out = self.n_invalid + outside + self.n_excluded
        return self.n_read - (left_out + self.n_counted)

    def __add__(self, other: Conservation) -> Conservation:
        return Conservation(
            **{
                place: getattr(self, place) + getattr(other, place)
                for place in Conservation.__dataclass_fields__
            }
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class ControlEvents:
    """Kept events that measure the atmosphere and the trigger of their own run.

    Those of the rim are part of the counts as well, the others are not used by models.

    Attributes
    ----------
    counts_outer : int
        Events beyond the field of the model, above twice the safe energy.
    exposure_outer : float
        Livetime x solid angle of that ring [s sr].
    counts_low : int
        Events inside the field, below the safe energy.
    exposure_low : float
        Livetime x solid angle of the field [s sr].
    counts_rim : int
        Events in the outer fifth of the field's radius, above twice the safe energy.
    exposure_rim : float
        Livetime x solid angle of that rim; zero as well when not known [s sr].
    """

    counts_outer: int
    exposure_outer: float
    counts_low: int
    exposure_low: float
    counts_rim: int = 0
    exposure_rim: float = 0.0


_NO_CONTROL = ControlEvents(
    counts_outer=0, exposure_outer=0.0, counts_low=0, exposure_low=0.0
)


def _no_bins() -> np.ndarray:
    return np.empty(0)


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskEffect:
    """What the mask takes, to compare its geometry with the events.

    Attributes
    ----------
    events_3d : np.ndarray
        Events in safe energy bins, excluded or kept, integers, shape ``(n_fov_lon,
        n_fov_lat)``.
    events_2d : np.ndarray
        The same events, shape ``(n_offset,)``.
    solid_angle_2d : np.ndarray
        Solid angle that the geometry of the mask keeps, shape ``(n_offset,)`` [sr].
    """

    events_3d: np.ndarray = field(default_factory=_no_bins)
    events_2d: np.ndarray = field(default_factory=_no_bins)
    solid_angle_2d: np.ndarray = field(default_factory=_no_bins)


@dataclass(frozen=True, kw_only=True, eq=False)
class RunCounts:
    """Histograms of one run.

    Attributes
    ----------
    run : Run
        The run and its conditions.
    binning : Binning
        Axes of the histograms.
    counts_3d : np.ndarray
        Events kept at all energies, integers, ``(n_energy, n_fov_lon, n_fov_lat)``.
    counts_2d : np.ndarray
        The same events, shape ``(n_energy, n_offset)``.
    solid_angle_3d : np.ndarray
        Kept solid angle, mean over the run, from the mask or from the events as the
        settings say, shape ``(n_fov_lon, n_fov_lat)`` [sr].
    solid_angle_2d : np.ndarray
        Likewise, shape ``(n_offset,)`` [sr].
    is_safe : np.ndarray
        True for energy bins that are safe as a whole, shape ``(n_energy,)``.
    safe_energy_min : float
        Energy above which that of a gamma ray is not biased, or zero [TeV].
    safe_energy_origin : str
        Where that energy comes from: ``setting``, ``table``, ``aeff`` (with the offset
        where it is not the one asked for) or ``none``.
    ontime, livetime : float
        Sum of the good time intervals; the same less dead time [s].
    position_angle : float
        Position angle of the zenith at mid-run, from north over east [deg].
    conservation : Conservation
        Where the events went.
    control : ControlEvents
        Events beside the model.
    checksum : str
        SHA-256 of the events file as read.
    mask_effect : MaskEffect
        Kept and excluded events together; empty arrays when not known.
    clock : Clock
        What the store says of the time of the run.
    """

    run: Run
    binning: Binning
    counts_3d: np.ndarray
    counts_2d: np.ndarray
    solid_angle_3d: np.ndarray
    solid_angle_2d: np.ndarray
    is_safe: np.ndarray
    safe_energy_min: float
    safe_energy_origin: str
    ontime: float
    livetime: float
    position_angle: float
    conservation: Conservation
    control: ControlEvents
    checksum: str
    mask_effect: MaskEffect = field(default_factory=MaskEffect)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        shape_3d, shape_2d = self.binning.shape_3d, self.binning.shape_2d
        require_shape("counts_3d", self.counts_3d, shape_3d)
        require_shape("counts_2d", self.counts_2d, shape_2d)
        require_shape("solid_angle_3d", self.solid_angle_3d, shape_3d[1:])
        require_shape("solid_angle_2d", self.solid_angle_2d, shape_2d[1:])
        require_shape("is_safe", self.is_safe, shape_3d[:1])

    @property
    def obs_id(self) -> int:
        """Run number."""
        return self.run.obs_id

    @property
    def kept_fraction(self) -> float:
        """Share of the solid angle of the field that the mask keeps."""
        return float(self.solid_angle_2d.sum() / self.binning.solid_angle_2d.sum())

    @cached_property
    def exposure_3d(self) -> np.ndarray:
        """Exposure, the same at all energies, as `counts_3d`, read-only [s sr]."""
        exposure = self.livetime * self.solid_angle_3d
        return np.broadcast_to(exposure, self.binning.shape_3d)

    @cached_property
    def exposure_2d(self) -> np.ndarray:
        """Exposure, the same at all energies, as `counts_2d`, read-only [s sr]."""
        exposure = self.livetime * self.solid_angle_2d
        return np.broadcast_to(exposure, self.binning.shape_2d)

    @cached_property
    def safe_counts_3d(self) -> np.ndarray:
        """As `counts_3d`, zero in energy bins that are not safe as a whole."""
        return in_safe_bins(self.counts_3d, self.is_safe)

    @cached_property
    def safe_counts_2d(self) -> np.ndarray:
        """As `counts_2d`, zero in energy bins that are not safe as a whole."""
        return in_safe_bins(self.counts_2d, self.is_safe)

    @cached_property
    def safe_exposure_3d(self) -> np.ndarray:
        """As `exposure_3d`, zero in energy bins that are not safe as a whole."""
        return in_safe_bins(self.exposure_3d, self.is_safe)

    @cached_property
    def safe_exposure_2d(self) -> np.ndarray:
        """As `exposure_2d`, zero in energy bins that are not safe as a whole."""
        return in_safe_bins(self.exposure_2d, self.is_safe)

    @property
    def lowest_energy(self) -> float:
        """Safe energy, or else the first safe bin; NaN if there is none [TeV]."""
        return lowest_energy(self.binning, self.is_safe, self.safe_energy_min)

    @property
    def tally(self) -> RunTally:
        """What the summary of a production tells of the run."""
        return RunTally(
            conservation=self.conservation,
            livetime=self.livetime,
            kept_fraction=self.kept_fraction,
            has_exposure=bool(self.safe_exposure_2d.any()),
            n_events=int(self.safe_counts_2d.sum()),
            clock=self.clock,
        )

    @property
    def shape(self) -> RunShape:
        """What ranking and grouping need of the run."""
        return RunShape(
            run=self.run,
            counts_2d=self.safe_counts_2d,
            exposure_2d=self.safe_exposure_2d,
            livetime=self.livetime,
            kept_fraction=self.kept_fraction,
            control=self.control,
            lowest_energy=self.lowest_energy,
        )


def in_safe_bins(values: np.ndarray, is_safe: np.ndarray) -> np.ndarray:
    """Set counts or exposure to zero in energy bins that are not safe as a whole.

    Parameters
    ----------
    values : np.ndarray
        Counts or exposure, shape ``(n_energy, ...)``.
    is_safe : np.ndarray
        True for energy bins that are safe as a whole, shape ``(n_energy,)``.

    Returns
    -------
    np.ndarray
        A copy, same shape.
    """
    safe: np.ndarray = values * is_safe.reshape(-1, *[1] * (values.ndim - 1))
    return safe


def lowest_energy(
    binning: Binning, is_safe: np.ndarray, safe_energy_min: float
) -> float:
    """Find the energy from which on a run is safe.

    Parameters
    ----------
    binning : Binning
        Axes.
    is_safe : np.ndarray
        True for energy bins that are safe as a whole, shape ``(n_energy,)``.
    safe_energy_min : float
        Safe energy of the run, zero when there is none [TeV].

    Returns
    -------
    float
        Safe energy, or else the first safe bin; NaN if there is none [TeV].
    """
    if not is_safe.any():
        return float("nan")
    # As found in the table: its steps are finer than the bins, and say more
    if safe_energy_min > 0:
        return safe_energy_min
    return float(binning.energy_edges[:-1][is_safe][0])


@dataclass(frozen=True, kw_only=True, eq=False)
class RunShape:
    """Small part of `RunCounts` that ranking and grouping need.

    Attributes
    ----------
    run : Run
        The run and its conditions.
    counts_2d, exposure_2d : np.ndarray
        Counts and exposure, zero in energy bins that are not safe as a whole, shape
        ``(n_energy, n_offset)`` [1, s sr].
    livetime : float
        Sum of the good time intervals less dead time [s].
    kept_fraction : float
        Share of the solid angle of the field that the mask keeps.
    control : ControlEvents
        Events beside the model; none when not known.
    lowest_energy : float
        Energy from which on the run is safe, NaN when there is none [TeV].
    """

    run: Run
    counts_2d: np.ndarray
    exposure_2d: np.ndarray
    livetime: float
    kept_fraction: float
    control: ControlEvents = _NO_CONTROL
    lowest_energy: float = float("nan")

    @property
    def obs_id(self) -> int:
        """Run number."""
        return self.run.obs_id

    @property
    def n_events(self) -> int:
        """Events kept in safe energy bins."""
        return int(self.counts_2d.sum())

    @property
    def has_exposure(self) -> bool:
        """Whether any safe bin is seen."""
        return bool(self.exposure_2d.any())


@dataclass(frozen=True, kw_only=True)
class RunTally:
    """What the summary of a production tells of a run that was counted.

    Attributes
    ----------
    conservation : Conservation
        Where the events went.
    livetime : float
        Sum of the good time intervals less dead time [s].
    kept_fraction : float
        Share of the solid angle of the field that the mask keeps.
    has_exposure : bool
        Whether any safe bin is seen.
    n_events : int
        Events kept in safe energy bins.
    clock : Clock
        What the store says of the time of the run.
    """

    conservation: Conservation
    livetime: float
    kept_fraction: float
    has_exposure: bool
    n_events: int
    clock: Clock = field(default_factory=Clock)
