"""A regression of the background on the conditions of observation."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.core.checks import require_shape

__all__ = [
    "Excursion",
    "FitPoints",
    "RegressionFit",
    "RegressionRate",
    "RunConditions",
    "RunHead",
    "Systematics",
]


@dataclass(frozen=True, kw_only=True)
class RunConditions:
    """Conditions that the background of a run depends on; NaN where unknown.

    Attributes
    ----------
    cos_zenith : float
        Cosine of the zenith angle.
    azimuth : float
        Of the pointing, from north over east [deg].
    position_angle : float
        Position angle of the zenith, from north over east; zero in ALTAZ, where the
        zenith is along latitude [deg].
    muon_efficiency : float
        Muon efficiency.
    deadc : float
        Dead-time fraction as in GADF: livetime / ontime.
    time : float
        Mid-run, TT as modified Julian date [d].
    control_outer : float
        Logarithm of the rate of control events beyond the field, reduced to a safe
        energy of 1 TeV [log(s-1 sr-1)].
    control_low : float
        Logarithm of the rate of control events below the safe energy, likewise.
    control_rim : float
        Logarithm of the rate of control events at the rim of the field, likewise.
    safe_energy : float
        Lowest energy at which the run contributes [TeV].
    """

    cos_zenith: float
    azimuth: float
    position_angle: float
    muon_efficiency: float
    deadc: float
    time: float
    control_outer: float
    control_low: float
    control_rim: float = float("nan")
    safe_energy: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class RunHead:
    """What is known of a run before its counts are read, to choose points of a fit.

    Attributes
    ----------
    obs_id : int
        Run number.
    conditions : RunConditions
        Its conditions.
    n_events : int
        Events kept.
    """

    obs_id: int
    conditions: RunConditions
    n_events: int


@dataclass(frozen=True, kw_only=True, eq=False)
class FitPoints:
    """What a regression is fitted to: single runs, or runs of like conditions joined.

    Attributes
    ----------
    binning : Binning
        Axes of the histograms.
    counts : np.ndarray
        Events where there is exposure, summed over the runs of each point, shape
        ``(n_points, n_energy, n_fov_lon, n_fov_lat)``.
    exposure : np.ndarray
        Exposure, likewise [s sr].
    conditions : tuple of RunConditions
        Those of each run.
    point : np.ndarray
        Number of the point that each run is in, shape ``(n_runs,)``.
    share : np.ndarray
        Weight of the conditions of each run in its point, shape ``(n_runs,)``; they
        sum to one over the runs of a point.
    livetime : np.ndarray
        Of each run, shape ``(n_runs,)`` [s].
    pointing : np.ndarray
        Right ascension and declination of each run, ``(n_runs, 2)`` [deg]; empty where
        one is unknown.
    """

    binning: Binning
    counts: np.ndarray
    exposure: np.ndarray
    conditions: tuple[RunConditions, ...]
    point: np.ndarray
    share: np.ndarray
    livetime: np.ndarray
    pointing: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))

    def __post_init__(self) -> None:
        shape = (len(self.counts), *self.binning.shape_3d)
        require_shape("counts", self.counts, shape)
        require_shape("exposure", self.exposure, shape)
        for name in ("point", "share", "livetime"):
            require_shape(name, getattr(self, name), (self.n_runs,))
        if self.pointing.size:
            require_shape("pointing", self.pointing, (self.n_runs, 2))

    @property
    def n_points(self) -> int:
        """Number of points."""
        return len(self.counts)

    @property
    def n_runs(self) -> int:
        """Number of runs in all points."""
        return len(self.conditions)

    def take(self, points: np.ndarray) -> FitPoints:
        """Return some of the points, with their runs.

        Parameters
        ----------
        points : np.ndarray
            Numbers of different points.

        Returns
        -------
        FitPoints
            They alone, in the order given.
        """
        number = np.full(self.n_points, -1)
        number[points] = np.arange(len(points))
        runs = np.flatnonzero(number[self.point] >= 0)
        return FitPoints(
            binning=self.binning,
            counts=self.counts[points],
            exposure=self.exposure[points],
            conditions=tuple(self.conditions[run] for run in runs),
            point=number[self.point[runs]],
            share=self.share[runs],
            livetime=self.livetime[runs],
            pointing=self.pointing[runs] if self.pointing.size else self.pointing,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Systematics:
    """How wrong a fit is about the totals of runs that it has not seen.

    Relative errors beyond Poisson noise of the totals at the safe energies of a band;
    empty as long as nothing is measured.

    Attributes
    ----------
    edges : np.ndarray
        Edges of the bands, shape ``(n_bands + 1,)`` [TeV].
    scatter : np.ndarray
        That of runs left out, of each band and, last, of all energies together, shape
        ``(n_bands + 1,)``.
    field_scatter : np.ndarray
        That of runs left out with all runs of their field of the sky, same shape.
    pointings : np.ndarray
        Right ascension and declination of the runs of the fit, shape ``(n, 2)`` [deg];
        runs elsewhere have the scatter of a field. Empty where one is unknown.
    """

    edges: np.ndarray = field(default_factory=lambda: np.zeros(0))
    scatter: np.ndarray = field(default_factory=lambda: np.zeros(0))
    field_scatter: np.ndarray = field(default_factory=lambda: np.zeros(0))
    pointings: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))

    def __post_init__(self) -> None:
        for name in ("scatter", "field_scatter"):
            require_shape(name, getattr(self, name), self.edges.shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class RegressionFit:
    """A penalised Poisson fit of counts as a function of energy, place and conditions.

    The logarithm of the rate at log energy x, place b and conditions g is a cubic in x
    plus ``sum_jk B_j(x) coefficients[j, k] X_k(g, b)``.

    Attributes
    ----------
    fov_alignment : str
        ``ALTAZ`` or ``RADEC``.
    terms : tuple of str
        Condition terms in the fit.
    columns : tuple of str
        Term that each column of the design belongs to; ``radial`` for the splines in
        offset squared.
    dropped : tuple of str
        Condition terms that fell out, each as ``name: reason``.
    energy_knots : np.ndarray
        Knots in log energy, shape ``(n_energy_splines + 4,)`` [log TeV].
    offset_knots : np.ndarray
        Knots in offset squared, shape ``(n_offset_splines + 4,)`` [deg2].
    low_knots : np.ndarray
        Knots in log10(energy / safe energy) of the splines near the safe energy, shape
        ``(n_low + 7,)``; empty where all energies are safe.
    lowest_distance : float
        Least log10(energy / safe energy) that was fitted.
    reference : np.ndarray
        Coefficients of the cubic in log energy, highest power first, shape ``(4,)``.
    reference_range : np.ndarray
        Log energies between which it was fitted, shape ``(2,)`` [log TeV].
    energy_range : np.ndarray
        Log centres of the first and the last energy bin with an event that was fitted,
        shape ``(2,)`` [log TeV].
    energy_edges : np.ndarray
        Edges of the energy bins of the counts, shape ``(n_energy + 1,)`` [TeV].
    condition_names : tuple of str
        Names of the standardised conditions.
    condition_mean, condition_scale : np.ndarray
        Mean and standard deviation of each in the runs, shape ``(n_conditions,)``.
    condition_low, condition_high : np.ndarray
        Range of each in the runs, shape ``(n_conditions,)``.
    time_gap : float
        Longest time between two runs [d].
    epoch_edges : np.ndarray
        Times at which an epoch ends, shape ``(n_epochs - 1,)`` [d].
    coefficients : np.ndarray
        Shape ``(n_energy_splines, n_columns)``.
    low_coefficients : np.ndarray
        Those of the splines near the safe energy, ``(n_low, n_parts)``.
    covariance : np.ndarray
        Covariance of the coefficients in C order, first those of all energies, ``(n,
        n)``: Poisson noise, scatter of the runs, and what the penalty may have taken.
    deviance : float
        Deviance of all bins.
    edf : float
        Effective degrees of freedom.
    scatter : float
        Relative scatter beyond Poisson noise of the counts of runs about fits without
        them; NaN as long as it is not measured.
    low_scatter : float
        The same of single energies below the safe energy.
    residual : np.ndarray
        Events at each energy, in the runs for which it is safe, and what the fit
        expects, shape ``(2, n_energy)``.
    n_steps : int
        Newton steps taken.
    n_runs : int
        Runs in the fit.
    livetime : float
        Sum over the runs [s].
    penalty, term_penalty, ridge : float
        Strengths: second differences of the splines, first differences of the terms
        in energy, squares of the terms.
    trials : np.ndarray
        Strengths that were tried on runs left out, the deviance of these, and the error
        of its difference to the least, the best first, shape ``(n_trials, 5)``; no rows
        where the strengths were given.
    systematics : Systematics
        Errors of the totals of runs, in bands of energy.
    """

    fov_alignment: str
    terms: tuple[str, ...]
    columns: tuple[str, ...]
    dropped: tuple[str, ...]
    energy_knots: np.ndarray
    offset_knots: np.ndarray
    low_knots: np.ndarray
    lowest_distance: float
    reference: np.ndarray
    reference_range: np.ndarray
    energy_range: np.ndarray
    energy_edges: np.ndarray
    condition_names: tuple[str, ...]
    condition_mean: np.ndarray
    condition_scale: np.ndarray
    condition_low: np.ndarray
    condition_high: np.ndarray
    time_gap: float
    epoch_edges: np.ndarray
    coefficients: np.ndarray
    low_coefficients: np.ndarray
    covariance: np.ndarray
    deviance: float
    edf: float
    scatter: float
    low_scatter: float
    residual: np.ndarray
    n_steps: int
    n_runs: int
    livetime: float
    penalty: float
    term_penalty: float
    ridge: float
    trials: np.ndarray = field(default_factory=lambda: np.zeros((0, 5)))
    systematics: Systematics = field(default_factory=Systematics)

    def __post_init__(self) -> None:
        shape = (self.energy_knots.size - 4, len(self.columns))
        require_shape("coefficients", self.coefficients, shape)
        n_low = max(0, self.low_knots.size - 7)
        low_shape = (n_low, *self.low_coefficients.shape[1:])
        require_shape("low_coefficients", self.low_coefficients, low_shape)
        n_coefficients = shape[0] * shape[1] + self.low_coefficients.size
        require_shape("covariance", self.covariance, (n_coefficients, n_coefficients))
        for name in ("mean", "scale", "low", "high"):
            values = getattr(self, f"condition_{name}")
            require_shape(f"condition_{name}", values, (len(self.condition_names),))
        require_shape("residual", self.residual, (2, self.energy_edges.size - 1))
        require_shape("trials", self.trials, (len(self.trials), 5))

    @property
    def pulls(self) -> np.ndarray:
        """Events less those expected, in units of the Poisson error; NaN without."""
        counted, expected = self.residual
        error = np.sqrt(np.where(expected > 0, expected, np.nan))
        pulls: np.ndarray = (counted - expected) / error
        return pulls


@dataclass(frozen=True, kw_only=True)
class Excursion:
    """A condition of a run beyond those of the fit.

    Attributes
    ----------
    name : str
        Condition.
    value : float
        That of the run; NaN where it is missing.
    low, high : float
        Range in the fit.
    """

    name: str
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        found = _short(self.value) if np.isfinite(self.value) else "missing"
        return f"{self.name} {found} (fit: {_short(self.low)} to {_short(self.high)})"


def _short(value: float) -> str:
    # days of the Modified Julian Date differ in their last digits
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.3f}"


@dataclass(frozen=True, kw_only=True, eq=False)
class RegressionRate:
    """Background rate per live time that a regression predicts, as mean of each bin.

    Attributes
    ----------
    rate_3d : np.ndarray
        Rate, shape ``(n_energy, n_fov_lon, n_fov_lat)`` [s-1 TeV-1 sr-1].
    rate_2d : np.ndarray
        Rate, shape ``(n_energy, n_offset)`` [s-1 TeV-1 sr-1].
    error_3d, error_2d : np.ndarray
        Relative statistical errors, of the same shapes.
    is_fitted : np.ndarray
        True for the energies that the fit has seen, shape ``(n_energy,)``.
    has_safe_runs : np.ndarray
        True for the energies that are safe for some run of the fit, same shape.
    excursions : tuple of Excursion
        Conditions that are missing, or beyond those of the fit.
    excursion_error : float
        Relative error for that: what a slope all the way from the fit would add, 1 at
        most.
    """

    rate_3d: np.ndarray
    rate_2d: np.ndarray
    error_3d: np.ndarray
    error_2d: np.ndarray
    is_fitted: np.ndarray
    has_safe_runs: np.ndarray
    excursions: tuple[Excursion, ...] = ()
    excursion_error: float = 0.0
