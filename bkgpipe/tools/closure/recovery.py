"""How well models recover a truth, by the errors that they state themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.errors import NoEventsError
from bkgpipe.simulate.archive.truth import mean_rate_2d, mean_rate_3d
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.tools.closure.data import AxisClosure, ModelClosure, PullSet
from bkgpipe.tools.closure.pulls import counts_behind, make_closure
from bkgpipe.tools.compare.common_grid import middle, separation

__all__ = ["TruthOfModel", "close_models", "factor_of_stack"]

# A bin is never said to follow the norm of its model closer than this
_LEAST_SHARE = 0.3


@dataclass(frozen=True, kw_only=True, eq=False)
class TruthOfModel:
    """A model and the true factor of the runs that it is for.

    Attributes
    ----------
    model : RateModel
        Mean rates.
    factor : np.ndarray
        True rate over that of the formula at each energy, shape ``(n_energy,)``; NaN
        at energies that no run has.
    total_error : callable, optional
        From the counts of each bin of the image to the relative error of their sum;
        that of Poisson if not given.
    """

    model: RateModel
    factor: np.ndarray
    total_error: Callable[[np.ndarray], float] | None = None


def factor_of_stack(
    factors: np.ndarray,
    livetimes: np.ndarray,
    safe_energy_min: np.ndarray,
    *,
    binning: Binning,
) -> np.ndarray:
    """Average the true factors of runs as their exposures add up.

    Parameters
    ----------
    factors : np.ndarray
        True factor of each run, shape ``(n_runs,)``.
    livetimes : np.ndarray
        Their live times, same shape [s].
    safe_energy_min : np.ndarray
        Their lowest safe energies, same shape [TeV].
    binning : Binning
        Axes.

    Returns
    -------
    np.ndarray
        Mean over the runs for which an energy is safe, shape ``(n_energy,)``; NaN
        where it is for none.
    """
    # an edge that is the safe energy but for rounding counts as safe
    safe = binning.energy_edges[:-1, np.newaxis] >= safe_energy_min * (1 - 1e-9)
    weight = safe * livetimes
    total = weight.sum(axis=1)
    mean = np.full(total.shape, np.nan)
    np.divide(weight @ factors, total, out=mean, where=total > 0)
    return mean


def close_models(
    pairs: Iterable[TruthOfModel],
    truth: Truth,
    *,
    n_dim: int,
    min_expected: float = 20.0,
) -> ModelClosure:
    """Compare models with the truth by the errors that they state.

    Parameters
    ----------
    pairs : iterable of TruthOfModel
        Models of one binning, taken one by one, and their true factors.
    truth : Truth
        The formula.
    n_dim : int
        Three for ``bkg_3d``, two for ``bkg_2d``.
    min_expected : float
        Bins with fewer counts expected behind the model are left out.

    Returns
    -------
    ModelClosure
        Pulls, norms and biases.

    Raises
    ------
    NoEventsError
        If no bin is left.
    """
    sums = _Sums(truth, n_dim=n_dim, min_expected=min_expected)
    for pair in pairs:
        sums.add(pair)
    return sums.closure()


class _Sums:
    """What is known of all models so far."""

    def __init__(self, truth: Truth, *, n_dim: int, min_expected: float) -> None:
        self._truth, self._n_dim, self._least = truth, n_dim, min_expected
        self._bins: list[tuple[np.ndarray, ...]] = []
        self._norms: list[tuple[float, ...]] = []
        self._true_rate = np.empty(0)
        self._axes: np.ndarray = np.empty(0)
        self._binning: Binning | None = None

    def add(self, pair: TruthOfModel) -> None:
        model, axes = pair.model, pair.model.binning
        if self._binning is None:
            mean_rate = mean_rate_3d if self._n_dim == 3 else mean_rate_2d
            self._true_rate, self._binning = mean_rate(self._truth, axes), axes
            self._axes = np.zeros((3, *self._true_rate.shape))
        rate = getattr(model, f"rate_{self._n_dim}d")
        factor = pair.factor.reshape(-1, *[1] * (self._n_dim - 1))
        expected = np.nan_to_num(counts_behind(model, self._true_rate * factor))
        recovered = counts_behind(model, rate)
        used = expected >= self._least
        if not used.any():
            return
        error = getattr(model, f"error_{self._n_dim}d")
        if not error.size:
            error = 1.0 / np.sqrt(np.maximum(expected, self._least))
        norm = float(recovered[used].sum() / expected[used].sum())
        scatter = float(np.nan_to_num(model.systematic))
        of_sum = self._total_error(pair, expected, used)
        self._norms.append(
            (
                model.stack_id,
                norm,
                float(np.hypot(scatter, of_sum)),
                float(np.nanmean(pair.factor)),
            )
        )
        # what is left when the norm is taken out; on average exact, as the mean
        # covariance of the bins with their weighted sum is the variance of that sum
        of_shape = np.sqrt(
            np.maximum(error**2 - of_sum**2, (_LEAST_SHARE * error) ** 2)
        )
        of_bin = np.hypot(error, scatter)
        columns = (expected, recovered, recovered / norm, of_shape, of_bin)
        self._bins.append(tuple(column[used] for column in columns))
        parts = (expected, recovered / norm, expected * error)
        self._axes += np.where(used, np.stack(parts), 0.0)

    def _total_error(
        self, pair: TruthOfModel, expected: np.ndarray, used: np.ndarray
    ) -> float:
        """Find the error of a sum, which is far smaller than those of its bins."""
        counts = np.where(used, expected, 0.0)
        if pair.total_error is None:
            return float(1.0 / np.sqrt(counts.sum()))
        axes = pair.model.binning
        if counts.ndim == 2:
            # spread over the bins of the image that lie in each annulus
            lon, lat = middle(axes.fov_lon_edges), middle(axes.fov_lat_edges)
            offset = separation(lon[:, np.newaxis], lat)
            ring = np.searchsorted(axes.offset_edges, offset) - 1
            ring = np.clip(ring, 0, axes.shape_2d[1] - 1)
            density = counts / axes.solid_angle_2d
            is_inside = offset <= axes.offset_max
            counts = density[:, ring] * axes.solid_angle_3d * is_inside
        return pair.total_error(counts)

    def closure(self) -> ModelClosure:
        if self._binning is None or not self._bins:
            raise NoEventsError(
                what=f"no bin has {self._least:g} counts or more",
                where="closure",
                fix="Simulate more or longer runs, or ask for fewer counts per bin",
            )
        expected, recovered, scaled, of_shape, of_bin = (
            np.concatenate(part) for part in zip(*self._bins, strict=True)
        )
        ids, norms, norm_errors, factors = np.array(self._norms).T
        return ModelClosure(
            name=f"bkg_{self._n_dim}d",
            counts=make_closure(recovered, expected, min_expected=self._least),
            shape=PullSet(values=(scaled / expected - 1.0) / of_shape),
            bins=PullSet(values=(recovered / expected - 1.0) / of_bin),
            norms=PullSet(values=(norms - 1.0) / norm_errors),
            stack_ids=ids.astype(int),
            norm=norms,
            norm_error=norm_errors,
            true_factor=factors,
            energy=self._along_energy(self._binning),
            offset=self._along_offset(self._binning),
        )

    def _along_energy(self, axes: Binning) -> AxisClosure:
        field = tuple(range(2, self._axes.ndim))
        return _axis_closure(axes.energy_edges, self._axes.sum(axis=field))

    def _along_offset(self, axes: Binning) -> AxisClosure:
        sums, edges = self._axes.sum(axis=1), axes.offset_edges
        if self._n_dim == 3:
            lon, lat = middle(axes.fov_lon_edges), middle(axes.fov_lat_edges)
            offset = separation(lon[:, np.newaxis], lat).ravel()
            step = np.diff(axes.fov_lon_edges).max()
            edges = np.linspace(0.0, edges[-1], max(2, int(edges[-1] / step)) + 1)
            ring = np.searchsorted(edges, offset) - 1
            in_field = ring < edges.size - 1
            sums = np.stack(
                [
                    np.bincount(
                        ring[in_field],
                        part.ravel()[in_field],
                        minlength=edges.size - 1,
                    )
                    for part in sums
                ]
            )
        return _axis_closure(edges, sums)


def _axis_closure(edges: np.ndarray, sums: np.ndarray) -> AxisClosure:
    expected, recovered, weighted = sums
    error = np.zeros(expected.shape)
    np.divide(weighted, expected, out=error, where=expected > 0)
    return AxisClosure(edges=edges, expected=expected, recovered=recovered, error=error)
