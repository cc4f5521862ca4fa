"""How well models recover the truth, by the errors that they state themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.core.checks import require_shape
from bkgpipe.simulate.archive.data import Closure

__all__ = ["AxisClosure", "ClosureReport", "ModelClosure", "PullSet"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PullSet:
    """Deviations in units of their errors.

    Attributes
    ----------
    values : np.ndarray
        (recovered - true) / error, shape ``(n,)``.
    """

    values: np.ndarray

    @property
    def mean(self) -> float:
        """Mean; NaN without any."""
        return float(self.values.mean()) if self.values.size else float("nan")

    @property
    def width(self) -> float:
        """Standard deviation; NaN without any."""
        return float(self.values.std()) if self.values.size else float("nan")

    def within(self, limit: float) -> float:
        """Return the share that is not further from zero than a limit.

        Parameters
        ----------
        limit : float
            Limit in standard deviations.

        Returns
        -------
        float
            Share, 0.683 within 1 and 0.954 within 2 for a unit Gaussian.
        """
        if not self.values.size:
            return float("nan")
        return float((abs(self.values) <= limit).mean())


@dataclass(frozen=True, kw_only=True, eq=False)
class AxisClosure:
    """Recovered over true along one axis, summed over all else.

    Attributes
    ----------
    edges : np.ndarray
        Edges, shape ``(n + 1,)`` [TeV or deg].
    expected, recovered : np.ndarray
        Counts by the truth and by the models, each with the norm of its run taken
        out, shape ``(n,)``.
    error : np.ndarray
        Mean of the stated statistical errors of the bins that are summed, weighted
        by counts, same shape: errors fully correlated.
    """

    edges: np.ndarray
    expected: np.ndarray
    recovered: np.ndarray
    error: np.ndarray

    def __post_init__(self) -> None:
        for name in ("expected", "recovered", "error"):
            require_shape(name, getattr(self, name), (self.edges.size - 1,))

    @property
    def ratio(self) -> np.ndarray:
        """Recovered over expected, NaN where nothing is expected."""
        ratio = np.full(self.expected.shape, np.nan)
        np.divide(self.recovered, self.expected, out=ratio, where=self.expected > 0)
        return ratio


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelClosure:
    """All models of one kind against the truth.

    Attributes
    ----------
    name : str
        ``bkg_3d`` or ``bkg_2d``.
    counts : Closure
        In counts, with errors of Poisson.
    shape : PullSet
        Bins with the norm of each model taken out, by their statistical errors less
        that of the norm.
    bins : PullSet
        Bins as they are, by statistical errors and that of the norm.
    norms : PullSet
        Norms, by the scatter that is stated and the counts behind them.
    stack_ids : np.ndarray
        Models, shape ``(n_models,)``.
    norm : np.ndarray
        Counts recovered over expected, same shape.
    norm_error : np.ndarray
        Relative error of it, same shape.
    true_factor : np.ndarray
        True rate over that of the formula without any law, same shape.
    energy, offset : AxisClosure
        Bias along these axes.
    """

    name: str
    counts: Closure
    shape: PullSet
    bins: PullSet
    norms: PullSet
    stack_ids: np.ndarray
    norm: np.ndarray
    norm_error: np.ndarray
    true_factor: np.ndarray
    energy: AxisClosure
    offset: AxisClosure


@dataclass(frozen=True, kw_only=True, eq=False)
class ClosureReport:
    """A production on a simulated archive against its truth.

    Attributes
    ----------
    method : str
        Smoothing method.
    n_runs : int
        Runs behind the models.
    hours : float
        Their live time [h].
    models : tuple of ModelClosure
        Both projections.
    """

    method: str
    n_runs: int
    hours: float
    models: tuple[ModelClosure, ...]
