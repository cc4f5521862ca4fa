"""Put background models on one grid, as gammapy interpolates them, and compare them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from bkgpipe.errors import BinningMismatchError, NoRunsError
from bkgpipe.simulate.archive.truth import mean_rate_2d, mean_rate_3d
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.stages.export.interpolation import interpolation_matrix
from bkgpipe.stages.export.power_laws import PowerLaws
from bkgpipe.tools.compare.common_grid import (
    ENERGY_STEPS,
    CommonGrid,
    middle,
    separation,
)
from bkgpipe.tools.compare.data import BinRates, Comparison, FileModel, RunComparison

__all__ = [
    "compare_rates",
    "frame_of_truth",
    "mean_comparison",
    "model_rates",
    "summarise",
    "truth_rates",
]

# gammapy interpolates the logarithm, and takes this for zero
_TINY = float(np.finfo(np.float32).tiny)
_MARGIN = 1e-6


def model_rates(model: FileModel, grid: CommonGrid) -> BinRates:
    """Take the mean of a model in each bin, interpolated as gammapy does.

    The logarithm of the rate is linear in the logarithm of energy and in the field
    between the centres of the model's bins, and goes on beyond the outermost ones up to
    their edges; the integral over energy is that of power laws between finer steps. A
    bin that any value of zero reaches is not defined. The relative error of a bin is
    the mean of the errors of the model's bins in it: errors of neighbours are taken as
    fully correlated.

    Parameters
    ----------
    model : FileModel
        The model.
    grid : CommonGrid
        The bins, all within the model.

    Returns
    -------
    BinRates
        Mean rates and errors.

    References
    ----------
    gammapy, ``IRF.evaluate`` and ``IRF.integrate_log_log``.
    """
    log_rate = np.log(np.maximum(model.rate, _TINY))
    at_points = _interpolate(model, log_rate, grid)
    fine = np.log(grid.fine_energy)
    laws = PowerLaws.through(at_points + fine[:, np.newaxis, np.newaxis], np.diff(fine))
    in_field = (laws.integral() * grid.weights).sum(axis=-1)
    shape = (grid.binning.n_energy, *grid.solid_angle.shape)
    summed = in_field.reshape(shape[0], ENERGY_STEPS, -1).sum(axis=1)
    width = grid.binning.energy_width[:, np.newaxis]
    rate = (summed / width).reshape(shape)
    zeros = np.where(model.rate > 0, 0.0, 1.0)
    touched = _interpolate(model, zeros, grid).max(axis=-1) > _MARGIN
    n_fine = np.arange(shape[0])[:, np.newaxis] * ENERGY_STEPS
    touched = touched[n_fine + np.arange(ENERGY_STEPS + 1)].any(axis=1).reshape(shape)
    return _with_errors(model, grid, np.where(touched, np.nan, rate))


def _with_errors(model: FileModel, grid: CommonGrid, rate: np.ndarray) -> BinRates:
    systematic = model.systematic if np.isfinite(model.systematic) else 0.0
    error, source = np.empty(0), "none"
    if model.error.size:
        error, source = _mean_error(model, grid), "as stated, with that of the norm"
    elif np.isfinite(model.ontime):
        size = np.multiply.outer(grid.binning.energy_width, grid.solid_angle)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = 1.0 / np.sqrt(rate * size * model.ontime)
        source = "Poisson, from the hours behind it"
    elif systematic:
        source = "that of the norm alone"
    return BinRates(rate=rate, error=error, systematic=systematic, error_source=source)


def _mean_error(model: FileModel, grid: CommonGrid) -> np.ndarray:
    """Average the error of the model's own bins over the points of a bin."""
    energy = np.sqrt(grid.fine_energy[1:] * grid.fine_energy[:-1])
    rows = model.error[_find(model.energy_edges, energy)]
    lon, lat = grid.points
    places = [lon, lat] if model.is_3d else [separation(lon, lat)]
    found = tuple(
        _find(edges, place)
        for edges, place in zip(model.field_edges, places, strict=True)
    )
    at_points = rows[(slice(None), *found)]
    mean = (at_points * grid.weights).sum(axis=-1)
    shape = (grid.binning.n_energy, *grid.solid_angle.shape)
    error: np.ndarray = mean.reshape(shape[0], ENERGY_STEPS, -1).mean(axis=1)
    return error.reshape(shape)


def truth_rates(truth: Truth, grid: CommonGrid, *, factor: float) -> BinRates:
    """Take the mean of a true rate in each bin.

    Parameters
    ----------
    truth : Truth
        The formula, per live time.
    grid : CommonGrid
        The bins.
    factor : float
        True rate of the run over the formula.

    Returns
    -------
    BinRates
        Mean rates per live time without errors, NaN where the truth has no events.
    """
    rate = _formula_rates(truth, grid) * factor
    return BinRates(
        rate=np.where(rate > 0, rate, np.nan),
        error=np.zeros(rate.shape),
        systematic=0.0,
        error_source="the truth has none",
    )


# the same for all runs of a store
@lru_cache(maxsize=2)
def _formula_rates(truth: Truth, grid: CommonGrid) -> np.ndarray:
    mean_rate = mean_rate_3d if grid.is_3d else mean_rate_2d
    return mean_rate(truth, grid.binning)


def frame_of_truth(truth: Truth) -> str:
    """Return the frame in which the shape of a truth stands still.

    Parameters
    ----------
    truth : Truth
        The formula.

    Returns
    -------
    str
        Its alignment; empty for a truth that is the same in all directions.
    """
    names = [name for name in vars(truth) if name.startswith("gradient")]
    is_round = not any(getattr(truth, name) for name in names)
    return "" if is_round else truth.fov_alignment


def compare_rates(
    a: BinRates, b: BinRates, grid: CommonGrid, *, energy_min: float = 0.0
) -> Comparison:
    """Compare two models on one grid.

    Parameters
    ----------
    a, b : BinRates
        The models on the grid.
    grid : CommonGrid
        The bins.
    energy_min : float
        Bins that begin below this energy are not used [TeV].

    Returns
    -------
    Comparison
        Both, and the bins in which both are defined.

    Raises
    ------
    BinningMismatchError
        If no such bin is left.
    """
    is_safe = grid.binning.energy_edges[:-1] >= energy_min * (1 - _MARGIN)
    is_used = is_safe.reshape(-1, *[1] * (a.rate.ndim - 1)) & grid.is_inside
    is_used = is_used & (a.rate > 0) & (b.rate > 0)
    if not is_used.any():
        raise BinningMismatchError(
            what="there is no bin in which both models are larger than zero",
            where="compare",
            fix="Ask for other energies, or look at the models with bkgpipe show",
        )
    return Comparison(
        binning=grid.binning,
        a=a,
        b=b,
        is_used=is_used,
        solid_angle=grid.solid_angle,
        offset=grid.offset,
    )


def summarise(comparison: Comparison, *, obs_id: int, ontime: float) -> RunComparison:
    """Say in a few numbers how two models compare.

    Parameters
    ----------
    comparison : Comparison
        The two.
    obs_id : int
        Run number, -1 for none.
    ontime : float
        Weight of the run [s].

    Returns
    -------
    RunComparison
        Ratio, its scatter and the pulls.
    """
    used, size = comparison.is_used, comparison.size[comparison.is_used]
    a, b = comparison.a.rate[used] * size, comparison.b.rate[used] * size
    ratio = float(a.sum() / b.sum())
    square = (a / b / ratio - 1.0) ** 2
    pull = comparison.pull[np.isfinite(comparison.pull)]
    return RunComparison(
        obs_id=obs_id,
        n_bins=comparison.n_bins,
        ontime=ontime,
        ratio=ratio,
        rms=float(np.sqrt(np.average(square, weights=a / ratio + b))),
        pull_mean=float(pull.mean()) if pull.size else float("nan"),
        pull_width=float(pull.std()) if pull.size else float("nan"),
    )


class _Sum:
    """Sum over runs of weight x rate of one of the two."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.weight, self.rate, self.error = (np.zeros(shape) for _ in range(3))
        self.square, self.total = 0.0, 0.0
        self.sources: dict[str, None] = {}
        self.has_error = True

    def add(self, rates: BinRates, weight: np.ndarray) -> None:
        part = np.where(weight > 0, rates.rate, 0.0) * weight
        self.weight += weight
        self.rate += part
        self.has_error = self.has_error and bool(rates.error.size)
        if self.has_error:
            # one fit, or one set of events, is behind all: errors do not average out
            self.error += part * np.where(weight > 0, rates.error, 0.0)
        share = float(weight.max(initial=0.0))
        self.square += (share * rates.systematic) ** 2
        self.total += share
        self.sources[rates.error_source] = None

    def mean(self) -> BinRates:
        is_seen = self.weight > 0
        rate, error = np.full(is_seen.shape, np.nan), np.zeros(is_seen.shape)
        np.divide(self.rate, self.weight, out=rate, where=is_seen)
        np.divide(self.error, self.rate, out=error, where=is_seen)
        return BinRates(
            rate=rate,
            error=error if self.has_error else np.empty(0),
            systematic=float(np.sqrt(self.square) / self.total),
            error_source=", or ".join(self.sources),
        )


def mean_comparison(pairs: Iterable[tuple[Comparison, float]]) -> Comparison:
    """Average both models over runs.

    Statistical errors are taken as common to all runs, errors of norms as independent.

    Parameters
    ----------
    pairs : iterable of tuple of Comparison and float
        The pairs, all on one grid, and the weight of each; taken one by one.

    Returns
    -------
    Comparison
        Weighted means over the runs that use a bin.

    Raises
    ------
    NoRunsError
        If there is no pair.
    """
    first: Comparison | None = None
    for pair, weight in pairs:
        if first is None:
            first, sums = pair, (_Sum(pair.is_used.shape), _Sum(pair.is_used.shape))
        used = weight * pair.is_used
        for part, rates in zip(sums, (pair.a, pair.b), strict=True):
            part.add(rates, used)
    if first is None:
        raise NoRunsError(
            what="there is nothing to average",
            where="compare",
            fix="Compare models that have runs in common",
        )
    a, b = (part.mean() for part in sums)
    return replace(first, a=a, b=b, is_used=sums[0].weight > 0)


def _interpolate(model: FileModel, values: np.ndarray, grid: CommonGrid) -> np.ndarray:
    """Interpolate at all points of a grid, ``(n_fine + 1, n_bins, n_points)``."""
    log_edges = np.log(model.energy_edges)
    fine = np.log(grid.fine_energy)
    flat = values.reshape(values.shape[0], -1)
    at_edges = interpolation_matrix(middle(log_edges), fine) @ flat
    lon, lat = grid.points
    nodes = [middle(edges) for edges in model.field_edges]
    places = [lon, lat] if model.is_3d else [separation(lon, lat)]
    table = at_edges.T.reshape(*(node.size for node in nodes), -1)
    for axis, node in enumerate(nodes):
        if node.size == 1:  # the same everywhere
            table = np.repeat(table, 2, axis=axis)
            nodes[axis] = node[0] + np.array([-1.0, 1.0])
    interpolate = RegularGridInterpolator(
        nodes, table, bounds_error=False, fill_value=None
    )
    found: np.ndarray = interpolate(np.stack([place.ravel() for place in places], -1))
    return found.T.reshape(-1, *lon.shape)


def _find(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.clip(np.searchsorted(edges, values) - 1, 0, edges.size - 2)
