"""How well models predict runs on energy axes that are not their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bkgpipe.core.checks import require_edges, require_shape

__all__ = [
    "INSIDE_OFFSET",
    "MIN_COUNTS",
    "RANGES",
    "AxesSummary",
    "AxesTest",
    "AxisRow",
    "AxisScore",
    "EnergyAxis",
    "FieldZones",
    "RunOnAxis",
    "summarise_axes",
]

# Below the safe energy models may be scaled to the run's own events at larger offsets,
# so they are judged inside of this alone [deg]
INSIDE_OFFSET = 1.25

# Energies of a run that are judged
RANGES = ("above the safe energy", "from half the safe energy")

MIN_COUNTS = 20.0  # counted or predicted in a bin whose shape is judged
_LEAST_PREDICTED = 1.0  # fewer would make the deviation of a bin as large as one likes


@dataclass(frozen=True, kw_only=True, eq=False)
class EnergyAxis:
    """An energy axis as an analyst may choose it.

    Attributes
    ----------
    name : str
        Bins per decade, and what else is special.
    energy_edges : np.ndarray
        Energy edges, shape ``(n_energy + 1,)`` [TeV].
    oversampling : int
        Finer bins in each bin, over which gammapy integrates; 1 is its default.
    """

    name: str
    energy_edges: np.ndarray
    oversampling: int = 1

    def __post_init__(self) -> None:
        require_edges("energy_edges", self.energy_edges)

    @property
    def n_energy(self) -> int:
        """Number of energy bins."""
        return self.energy_edges.size - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldZones:
    """Events of a run in the two zones of its field that are judged.

    Attributes
    ----------
    obs_id : int
        Run number.
    safe_energy_min : float
        Its safe energy [TeV]; zero without one.
    inside, all_offsets : np.ndarray
        Energies of the events that the mask keeps: within `INSIDE_OFFSET`, and within
        the largest offset; flat [TeV].
    kept_share : np.ndarray
        Share of each pixel that mask and offset keep, in the same order of zones,
        shape ``(2, n_pixels, n_pixels)``.
    """

    obs_id: int
    safe_energy_min: float
    inside: np.ndarray
    all_offsets: np.ndarray
    kept_share: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class RunOnAxis:
    """Events of a run on an energy axis, counted and predicted.

    Attributes
    ----------
    obs_id : int
        Run number.
    counts, predicted : np.ndarray
        Events, shape ``(n_energy,)``: of all offsets in bins wholly above the safe
        energy, of those inside below.
    exact : np.ndarray
        Events predicted when gammapy integrates the model in fine steps, same shape.
    is_safe : np.ndarray
        True for bins wholly above the safe energy, same shape.
    is_low : np.ndarray
        True for other bins wholly above half of it, same shape.
    is_covered : np.ndarray
        True for bins wholly within the energies of the model, same shape.
    """

    obs_id: int
    counts: np.ndarray
    predicted: np.ndarray
    exact: np.ndarray
    is_safe: np.ndarray
    is_low: np.ndarray
    is_covered: np.ndarray

    def __post_init__(self) -> None:
        for name in ("predicted", "exact", "is_safe", "is_low", "is_covered"):
            require_shape(name, getattr(self, name), self.counts.shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class AxisScore:
    """How well models of one kind predict all runs on one axis and range.

    Attributes
    ----------
    axis : EnergyAxis
        The axis.
    energies : str
        One of `RANGES`.
    n_runs : int
        Number of runs.
    n_uncovered : int
        Events of the range at energies where the model of their run has no bin.
    counts, predicted : np.ndarray
        Events counted, and predicted as they are, shape ``(n_energy,)``.
    scaled : np.ndarray
        Events predicted after a free norm of each run, same shape; it is taken above
        the safe energy.
    scatter : np.ndarray
        Standard deviation over runs of predicted over counted after the norm of the
        run, beyond what counting gives, same shape; NaN where there are too few
        events.
    """

    axis: EnergyAxis
    energies: str
    n_runs: int
    n_uncovered: int
    counts: np.ndarray
    predicted: np.ndarray
    scaled: np.ndarray
    exact: np.ndarray
    ideal: np.ndarray
    scatter: np.ndarray

    def __post_init__(self) -> None:
        for name in ("counts", "predicted", "scaled", "exact", "ideal", "scatter"):
            require_shape(name, getattr(self, name), (self.axis.n_energy,))

    @property
    def _fitted(self) -> np.ndarray:
        """Events predicted after another norm, which all runs share."""
        return _fit_norm(self.scaled, self.counts)

    @property
    def is_judged(self) -> np.ndarray:
        """True for bins with enough events for the shape, shape ``(n_energy,)``."""
        is_judged: np.ndarray = np.maximum(self.counts, self._fitted) >= MIN_COUNTS
        return is_judged

    @property
    def ratio(self) -> np.ndarray:
        """Counted over predicted after the norms of runs, shape ``(n_energy,)``."""
        ratio: np.ndarray = self.counts / np.maximum(self.scaled, _LEAST_PREDICTED)
        return ratio

    @property
    def deviation(self) -> np.ndarray:
        """Counted over predicted after all norms, less one, shape ``(n_energy,)``."""
        deviation: np.ndarray = self.counts / self._fitted - 1.0
        return deviation

    @property
    def total(self) -> float:
        """Predicted over counted, of all events as predicted."""
        return float(self.predicted.sum() / self.counts.sum())

    @property
    def chi2(self) -> float:
        """Sum of (counted - predicted)^2 / predicted after the norms."""
        fitted = self._fitted
        return float(((self.counts - fitted) ** 2 / fitted)[self.is_judged].sum())

    @property
    def floor_total(self) -> float:
        """Predicted over counted if the model were exact: gammapy's integral alone."""
        return float(self.predicted.sum() / self.exact.sum())

    @property
    def floor_chi2(self) -> float:
        """Chi square to expect if the model were exact: this and one of each bin."""
        fitted = _fit_norm(self.ideal, self.exact)
        square = (self.exact - fitted) ** 2 / fitted
        return float(square[self.is_judged].sum() + self.is_judged.sum())


def _fit_norm(predicted: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    norm = wanted.sum() / predicted.sum()
    fitted: np.ndarray = np.maximum(predicted * norm, _LEAST_PREDICTED)
    return fitted


@dataclass(frozen=True, kw_only=True, eq=False)
class AxesTest:
    """Models of several kinds on several axes.

    Attributes
    ----------
    scores : dict of str to tuple of AxisScore
        Scores of each kind of models; without a safe energy only of the first range.
    offset_max : float
        Largest offset above the safe energy [deg].
    """

    scores: dict[str, tuple[AxisScore, ...]]
    offset_max: float


@dataclass(frozen=True, kw_only=True)
class AxisRow:
    """Numbers of one kind of models on one axis and range.

    Attributes
    ----------
    model, energies, axis : str
        Kind of models; one of `RANGES`; name of the axis.
    oversampling : int
        Finer bins over which gammapy integrates.
    n_runs, n_events, n_uncovered : int
        Runs; events counted; events where their models have no bin.
    total : float
        Predicted over counted, as predicted.
    rms, worst : float
        Counted over predicted after the norms, less one: root of the mean square over
        bins, and that of the worst bin.
    worst_energy : float
        Centre of the worst bin [TeV].
    chi2 : float
        Chi square of the shape.
    n_bins : int
        Bins that are judged.
    floor_total, floor_chi2 : float
        What an exact model would have, for gammapy's integral and noise alone.
    scatter, scatter_median : float
        Scatter of runs in the worst bin, and the median over bins; NaN without any.
    """

    model: str
    energies: str
    axis: str
    oversampling: int
    n_runs: int
    n_events: int
    n_uncovered: int
    total: float
    rms: float
    worst: float
    worst_energy: float
    chi2: float
    n_bins: int
    floor_total: float
    floor_chi2: float
    scatter: float
    scatter_median: float


@dataclass(frozen=True, kw_only=True)
class AxesSummary:
    """The numbers of a test on several axes.

    Attributes
    ----------
    rows : tuple of AxisRow
        A row for each kind of models, range and axis.
    offset_max, inside_offset : float
        Largest offset above the safe energy, and below [deg].
    """

    rows: tuple[AxisRow, ...]
    offset_max: float
    inside_offset: float


def summarise_axes(test: AxesTest) -> AxesSummary:
    """Take the numbers of a test on several axes.

    Parameters
    ----------
    test : AxesTest
        Scores.

    Returns
    -------
    AxesSummary
        Numbers.
    """
    rows = [
        _summarise(model, score)
        for model, scores in test.scores.items()
        for score in scores
    ]
    return AxesSummary(
        rows=tuple(rows),
        offset_max=test.offset_max,
        inside_offset=min(INSIDE_OFFSET, test.offset_max),
    )


def _summarise(model: str, score: AxisScore) -> AxisRow:
    edges, is_judged = score.axis.energy_edges, score.is_judged
    deviation = score.deviation[is_judged]
    centers = np.sqrt(edges[1:] * edges[:-1])[is_judged]
    worst = int(np.argmax(np.abs(deviation))) if deviation.size else -1
    scatter = score.scatter[np.isfinite(score.scatter)]
    return AxisRow(
        model=model,
        energies=score.energies,
        axis=score.axis.name,
        oversampling=score.axis.oversampling,
        n_runs=score.n_runs,
        n_events=int(score.counts.sum()),
        n_uncovered=score.n_uncovered,
        total=score.total,
        rms=float(np.sqrt((deviation**2).mean())) if deviation.size else float("nan"),
        worst=_at(deviation, worst),
        worst_energy=_at(centers, worst),
        chi2=score.chi2,
        n_bins=deviation.size,
        floor_total=score.floor_total,
        floor_chi2=score.floor_chi2,
        scatter=float(scatter.max()) if scatter.size else float("nan"),
        scatter_median=float(np.median(scatter)) if scatter.size else float("nan"),
    )


def _at(values: Sequence[float] | np.ndarray, index: int) -> float:
    return float(values[index]) if index >= 0 else float("nan")
