"""Event rates of runs in time, and where they drop or rise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.core.checks import require_edges, require_shape

__all__ = [
    "Change",
    "Monitor",
    "MonitorBins",
    "RunCurve",
    "RunLevel",
    "RunRates",
    "SearchLimits",
    "ZenithLaw",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class MonitorBins:
    """Bins in which the rate is watched.

    Attributes
    ----------
    time_bin : float
        Length of a time bin; the nearest that divides a run evenly is taken [s].
    energy_edges : np.ndarray
        Edges in reconstructed energy, shape ``(n_energy + 1,)`` [TeV].
    offset_edges : np.ndarray
        Edges in distance from the pointing, shape ``(n_offset + 1,)`` [deg].
    """

    time_bin: float
    energy_edges: np.ndarray
    offset_edges: np.ndarray

    def __post_init__(self) -> None:
        require_edges("energy_edges", self.energy_edges)
        require_edges("offset_edges", self.offset_edges)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape ``(n_energy, n_offset)``."""
        return self.energy_edges.size - 1, self.offset_edges.size - 1


@dataclass(frozen=True, kw_only=True)
class SearchLimits:
    """What counts as a change.

    Attributes
    ----------
    alarm_rate : float
        Share of quiet runs in which chance alone may raise a drop or a burst.
    min_change : float
        Smallest change that is told, as a share of the rate.
    min_gap : float
        Shortest time without any event that is told [s].
    outlier : float
        Deviation from which a whole run is told, in units of the scatter of runs.
    neighbours : int
        Runs, in order of time, of which the median is the level of a run.
    """

    alarm_rate: float = 0.01
    min_change: float = 0.1
    min_gap: float = 5.0
    outlier: float = 3.5
    neighbours: int = 21


@dataclass(frozen=True, kw_only=True, eq=False)
class RunRates:
    """Counts of one run in time.

    Attributes
    ----------
    obs_id : int
        Run number.
    target : str
        Name of the target.
    time_edges : np.ndarray
        Edges of the time bins, TT as modified Julian date, ``(n_time + 1,)`` [d].
    livetime : np.ndarray
        Live time inside the good time intervals, gaps taken out, ``(n_time,)`` [s].
    zenith : np.ndarray
        Zenith angle of the pointing, NaN when not known, ``(n_time,)`` [deg].
    counts : np.ndarray
        Events, integers, shape ``(n_time, n_energy, n_offset)``.
    gaps : np.ndarray
        Starts and stops of times without events, shape ``(n_gaps, 2)`` [d].
    gap_log_p : np.ndarray
        Logarithm of the probability of each, before trials, shape ``(n_gaps,)``.
    n_read : int
        Events in the file.
    n_invalid : int
        Position, energy or time is not a number, or the energy is not positive.
    n_outside_gti : int
        Valid events at times that are not good.
    n_outside_bins : int
        Others outside the energy and offset axes.
    is_tracked : bool
        False when the zenith angle is taken as constant over the run.
    """

    obs_id: int
    target: str
    time_edges: np.ndarray
    livetime: np.ndarray
    zenith: np.ndarray
    counts: np.ndarray
    gaps: np.ndarray
    gap_log_p: np.ndarray
    n_read: int
    n_invalid: int
    n_outside_gti: int
    n_outside_bins: int
    is_tracked: bool

    def __post_init__(self) -> None:
        require_edges("time_edges", self.time_edges)
        shape = (self.time_edges.size - 1,)
        require_shape("livetime", self.livetime, shape)
        require_shape("zenith", self.zenith, shape)
        require_shape("counts", self.counts, (*shape, *self.counts.shape[1:]))
        require_shape("gap_log_p", self.gap_log_p, self.gaps.shape[:1])

    @property
    def n_events(self) -> int:
        """Events in the counts."""
        return int(self.counts.sum())

    @property
    def is_live(self) -> np.ndarray:
        """True for time bins with live time, shape ``(n_time,)``."""
        is_live: np.ndarray = self.livetime > 0
        return is_live

    @property
    def minutes(self) -> np.ndarray:
        """Edges of the time bins from the start of the run on [min]."""
        minutes: np.ndarray = (self.time_edges - self.time_edges[0]) * 1440.0
        return minutes

    @property
    def log_cos_zenith(self) -> np.ndarray:
        """Logarithm of the cosine of the zenith angle, zero when not known."""
        cosine = np.cos(np.radians(np.nan_to_num(self.zenith)))
        # a pointing at the horizon is an error of the store, not a rate of zero
        log_cos: np.ndarray = np.log(cosine.clip(0.02))
        return log_cos


@dataclass(frozen=True, kw_only=True, eq=False)
class ZenithLaw:
    """How the rate follows the zenith angle inside runs.

    The rate goes as ``exp(a x + b x**2)`` with ``x = log(cos(zenith))``: a power law of
    which the exponent ``a + 2 b x`` may change with the zenith angle, as it does in a
    band of energies that the threshold runs through.

    Attributes
    ----------
    coefficients, errors : np.ndarray
        ``a`` and ``b`` for all events in the first row and for each energy bin in the
        others, and their errors, shape ``(1 + n_energy, 2)``.
    n_runs : int
        Runs without visible changes that it comes from.
    """

    coefficients: np.ndarray
    errors: np.ndarray
    n_runs: int

    def __post_init__(self) -> None:
        require_shape("coefficients", self.coefficients, (len(self.coefficients), 2))
        require_shape("errors", self.errors, self.coefficients.shape)

    def factors(self, log_cos_zenith: np.ndarray) -> np.ndarray:
        """Return the rate at zenith angles over that at the zenith.

        Parameters
        ----------
        log_cos_zenith : np.ndarray
            Logarithm of the cosine of the zenith angle, shape ``(n,)``.

        Returns
        -------
        np.ndarray
            Factors, shape ``(n, 1 + n_energy)``.
        """
        powers = np.column_stack([log_cos_zenith, log_cos_zenith**2])
        factors: np.ndarray = np.exp(powers @ self.coefficients.T)
        return factors

    def exponents(self, zenith: float) -> np.ndarray:
        """Return the exponents of the cosine at a zenith angle.

        Parameters
        ----------
        zenith : float
            Zenith angle [deg].

        Returns
        -------
        np.ndarray
            For all events and each energy bin, shape ``(1 + n_energy,)``.
        """
        log_cos = np.log(np.cos(np.radians(zenith)))
        exponents: np.ndarray = self.coefficients @ [1.0, 2 * log_cos]
        return exponents


@dataclass(frozen=True, kw_only=True)
class Change:
    """A time in which the rate of a run is not its own.

    Attributes
    ----------
    obs_id : int
        Run number.
    target : str
        Name of the target.
    kind : str
        ``drop``, ``burst``, or ``gap`` for no event at all.
    start, stop : float
        Begin and end, TT as modified Julian date [d].
    start_minute, stop_minute : float
        The same from the start of the run on [min].
    change : float
        Rate over that of the rest of the run, less one.
    error : float
        Statistical error of it.
    significance : float
        Standard deviations, before trials.
    p_value : float
        Probability that a quiet run shows it anywhere.
    band : str
        Energy or offset bin in which the change is most pronounced; empty when all
        are alike.
    band_change, band_error : float
        Change of this bin and its error; NaN when all are alike.
    """

    obs_id: int
    target: str
    kind: str
    start: float
    stop: float
    start_minute: float
    stop_minute: float
    change: float
    error: float
    significance: float
    p_value: float
    band: str = ""
    band_change: float = float("nan")
    band_error: float = float("nan")


@dataclass(frozen=True, kw_only=True, eq=False)
class RunCurve:
    """Counts of a run in time, what its quiet part lets expect, and the changes.

    Attributes
    ----------
    rates : RunRates
        Counts.
    expected : np.ndarray
        All events expected without the changes, shape ``(n_time,)``.
    expected_bands : np.ndarray
        The same in each bin, shape ``(n_time, n_energy, n_offset)``.
    changes : tuple of Change
        Changes of this run.
    """

    rates: RunRates
    expected: np.ndarray
    expected_bands: np.ndarray
    changes: tuple[Change, ...]

    def __post_init__(self) -> None:
        require_shape("expected", self.expected, self.rates.livetime.shape)
        require_shape("expected_bands", self.expected_bands, self.rates.counts.shape)


@dataclass(frozen=True, kw_only=True)
class RunLevel:
    """The rate of a whole run against that of runs near in time.

    Attributes
    ----------
    obs_id : int
        Run number.
    target : str
        Name of the target.
    time : float
        Start of the run, TT as modified Julian date [d].
    zenith : float
        Mean zenith angle, NaN when not known [deg].
    rate : float
        Events per live time, gaps taken out [s-1].
    expected : float
        The same as expected at this zenith angle and in this season [s-1].
    error : float
        Standard deviation of log(rate / expected): scatter of runs, or counts.
    is_outlier : bool
        True when the rate is out of the ordinary.
    """

    obs_id: int
    target: str
    time: float
    zenith: float
    rate: float
    expected: float
    error: float
    is_outlier: bool

    @property
    def change(self) -> float:
        """Rate over the expected one, less one."""
        return self.rate / self.expected - 1.0

    @property
    def significance(self) -> float:
        """Deviation in units of the scatter, signed."""
        return float(np.log(self.rate / self.expected)) / self.error


@dataclass(frozen=True, kw_only=True, eq=False)
class Monitor:
    """What the rate monitor saw in a store.

    Attributes
    ----------
    bins : MonitorBins
        Bins.
    limits : SearchLimits
        What counts as a change.
    rates : tuple of RunRates
        Counts of the runs, in order of ``obs_id``.
    law : ZenithLaw
        Zenith law inside runs.
    curves : tuple of RunCurve
        Runs with gaps, drops or bursts inside, in order of ``obs_id``.
    levels : tuple of RunLevel
        Runs as a whole; empty when there are too few to compare.
    level_exponent : float
        Power of the cosine of the zenith angle that the rate of whole runs follows.
    scatter : float
        Standard deviation of the logarithm of the rate from run to run, robust.
    left_out : dict of int to str
        Reason for each run that could not be looked at.
    """

    bins: MonitorBins
    limits: SearchLimits
    rates: tuple[RunRates, ...]
    law: ZenithLaw
    curves: tuple[RunCurve, ...]
    levels: tuple[RunLevel, ...]
    level_exponent: float
    scatter: float
    left_out: dict[int, str]

    @property
    def outliers(self) -> tuple[RunLevel, ...]:
        """Runs of which the rate as a whole is out of the ordinary."""
        return tuple(level for level in self.levels if level.is_outlier)

    @property
    def changes(self) -> tuple[Change, ...]:
        """Gaps, drops and bursts, in order of run and time."""
        return tuple(change for curve in self.curves for change in curve.changes)
