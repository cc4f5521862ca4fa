"""Two background models on one grid, and those of many runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.core.checks import require_edges, require_shape

__all__ = ["BinRates", "Comparison", "FileModel", "RunComparison", "StoreComparison"]

_UNKNOWN = float("nan")


@dataclass(frozen=True, kw_only=True, eq=False)
class FileModel:
    """A background model as a file holds it: values at bin centres, per on-time.

    Attributes
    ----------
    energy_edges : np.ndarray
        Edges, shape ``(n_energy + 1,)`` [TeV].
    field_edges : tuple of np.ndarray
        Edges in longitude and latitude, or those in offset alone [deg].
    rate : np.ndarray
        Rate, shape ``(n_energy, n_fov_lon, n_fov_lat)`` or ``(n_energy, n_offset)``
        [s-1 TeV-1 sr-1].
    error : np.ndarray
        Relative statistical error, same shape; empty when the file has none.
    systematic : float
        Relative error of the norm; NaN when the file has none.
    fov_alignment : str
        ``ALTAZ`` or ``RADEC``; empty when it does not matter or is not known.
    deadc : float
        Dead-time fraction behind the model; NaN when unknown.
    ontime : float
        On-time behind the model; NaN when unknown [s].
    """

    energy_edges: np.ndarray
    field_edges: tuple[np.ndarray, ...]
    rate: np.ndarray
    error: np.ndarray = field(default_factory=lambda: np.empty(0))
    systematic: float = _UNKNOWN
    fov_alignment: str = ""
    deadc: float = _UNKNOWN
    ontime: float = _UNKNOWN

    def __post_init__(self) -> None:
        axes = (self.energy_edges, *self.field_edges)
        for edges in axes:
            require_edges("model", edges)
        require_shape("model", self.rate, tuple(edges.size - 1 for edges in axes))
        if self.error.size:
            require_shape("error of the model", self.error, self.rate.shape)

    @property
    def is_3d(self) -> bool:
        """Whether it has longitude and latitude."""
        return len(self.field_edges) == 2

    @property
    def offset_max(self) -> float:
        """Largest offset at which it is known in all directions [deg]."""
        if not self.is_3d:
            return float(self.field_edges[0][-1])
        return float(min(min(-edges[0], edges[-1]) for edges in self.field_edges))


@dataclass(frozen=True, kw_only=True, eq=False)
class BinRates:
    """Mean rates of a model in the bins of a common grid.

    Attributes
    ----------
    rate : np.ndarray
        Rate per on-time, shape of the grid [s-1 TeV-1 sr-1]; NaN where the model is
        not defined.
    error : np.ndarray
        Relative statistical error, same shape; zero for a truth, empty when unknown.
    systematic : float
        Relative error of the norm; zero when there is none to quote.
    error_source : str
        Where the errors come from, in words.
    """

    rate: np.ndarray
    error: np.ndarray
    systematic: float
    error_source: str

    def __post_init__(self) -> None:
        if self.error.size:
            require_shape("error", self.error, self.rate.shape)

    def scaled(self, factor: float) -> BinRates:
        """Return rates times a factor, with the same relative errors.

        Parameters
        ----------
        factor : float
            Factor, as the dead-time fraction of a rate per live time.

        Returns
        -------
        BinRates
            Other rates.
        """
        return replace(self, rate=self.rate * factor)

    @property
    def sigma(self) -> np.ndarray:
        """Error of each rate with that of the norm, same shape; zero when unknown."""
        error = self.error if self.error.size else np.zeros(self.rate.shape)
        sigma: np.ndarray = self.rate * np.hypot(error, self.systematic)
        return sigma


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """Two models on one grid.

    Attributes
    ----------
    binning : Binning
        The grid; the rates choose between image and offset.
    a, b : BinRates
        Rates of the two, of equal shapes.
    is_used : np.ndarray
        Bins in which both are defined and that are asked for, same shape.
    solid_angle : np.ndarray
        Solid angle of the bins in the field, shape without the energies [sr].
    offset : np.ndarray
        Offset of the centres of the bins in the field, same shape [deg].
    """

    binning: Binning
    a: BinRates
    b: BinRates
    is_used: np.ndarray
    solid_angle: np.ndarray
    offset: np.ndarray

    def __post_init__(self) -> None:
        for name in ("a", "b"):
            require_shape(name, getattr(self, name).rate, self.is_used.shape)
        for name in ("solid_angle", "offset"):
            require_shape(name, getattr(self, name), self.is_used.shape[1:])

    @property
    def is_3d(self) -> bool:
        """Whether the bins are those of images."""
        return self.is_used.ndim == 3

    @property
    def n_bins(self) -> int:
        """Number of bins that are used."""
        return int(self.is_used.sum())

    @cached_property
    def ratio(self) -> np.ndarray:
        """A over B, NaN in bins that are not used."""
        ratio = np.full(self.is_used.shape, np.nan)
        np.divide(self.a.rate, self.b.rate, out=ratio, where=self.is_used)
        return ratio

    @property
    def difference(self) -> np.ndarray:
        """A less B [s-1 TeV-1 sr-1], NaN in bins that are not used."""
        return np.where(self.is_used, self.a.rate - self.b.rate, np.nan)

    @property
    def has_pulls(self) -> bool:
        """Whether any errors are known."""
        return bool(self.sigma.any())

    @property
    def sigma(self) -> np.ndarray:
        """Error of the difference from what errors are known [s-1 TeV-1 sr-1]."""
        return np.where(self.is_used, np.hypot(self.a.sigma, self.b.sigma), 0.0)

    @cached_property
    def pull(self) -> np.ndarray:
        """Difference over its error; NaN where none is known."""
        pull, sigma = np.full(self.is_used.shape, np.nan), self.sigma
        np.divide(self.difference, sigma, out=pull, where=sigma > 0)
        return pull

    @property
    def size(self) -> np.ndarray:
        """Energy width x solid angle of the used bins, zero elsewhere [TeV sr]."""
        size = np.multiply.outer(self.binning.energy_width, self.solid_angle)
        return np.where(self.is_used, size, 0.0)

    def bands(self, edges: Sequence[float], *, n_bands: int = 3) -> list[np.ndarray]:
        """Choose the energy bins of each band.

        Parameters
        ----------
        edges : sequence of float
            Edges of the bands, each moved to the nearest edge of a bin; without any,
            the bins that are used are split evenly [TeV].
        n_bands : int
            Number of bands without edges.

        Returns
        -------
        list of np.ndarray
            Numbers of the bins, one array for each band that has any that are used.
        """
        axes = tuple(range(1, self.is_used.ndim))
        seen = np.flatnonzero(self.is_used.any(axis=axes))
        if not len(edges):
            return list(np.array_split(seen, min(n_bands, seen.size)))
        known = np.log(self.binning.energy_edges)
        at = [int(abs(known - np.log(edge)).argmin()) for edge in edges]
        bands = [
            seen[(seen >= low) & (seen < high)] for low, high in pairwise(sorted(at))
        ]
        return [band for band in bands if band.size]

    def spectrum(self, rates: BinRates) -> tuple[np.ndarray, np.ndarray]:
        """Average one of the two over the field.

        Parameters
        ----------
        rates : BinRates
            `a` or `b`.

        Returns
        -------
        mean : np.ndarray
            Mean over the bins that are used, ``(n_energy,)`` [s-1 TeV-1 sr-1].
        error : np.ndarray
            Its error, those of the bins being fully correlated; zero when unknown.
        """
        area = np.where(self.is_used, self.solid_angle, 0.0)
        field = tuple(range(1, area.ndim))
        total = area.sum(axis=field)
        total[total == 0] = np.nan
        value, sigma = np.nan_to_num(rates.rate), np.nan_to_num(rates.sigma)
        mean = (value * area).sum(axis=field) / total
        return mean, (sigma * area).sum(axis=field) / total

    def profile(
        self, rates: BinRates, band: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Integrate one of the two over a band, and average it over rings.

        Parameters
        ----------
        rates : BinRates
            `a` or `b`.
        band : np.ndarray
            Energy bins.

        Returns
        -------
        offset : np.ndarray
            Middle of each ring, shape ``(n_rings,)`` [deg].
        mean : np.ndarray
            Rate, same shape [s-1 sr-1].
        error : np.ndarray
            Its error, as for `spectrum`.
        """
        edges = self._ring_edges()
        ring = np.clip(np.searchsorted(edges, self.offset) - 1, 0, edges.size - 2)
        is_seen = self.is_used[band].all(axis=0)
        width = self.binning.energy_width[band].reshape(-1, *[1] * ring.ndim)
        value = np.where(is_seen, rates.rate[band] * width, 0.0).sum(axis=0)
        sigma = np.where(is_seen, rates.sigma[band] * width, 0.0).sum(axis=0)
        area = np.where(is_seen, self.solid_angle, 0.0)

        def in_rings(values: np.ndarray) -> np.ndarray:
            return np.bincount(ring.ravel(), values.ravel(), minlength=edges.size - 1)

        total = in_rings(area)
        total[total == 0] = np.nan
        mean, error = in_rings(value * area) / total, in_rings(sigma * area) / total
        return (edges[1:] + edges[:-1]) / 2, mean, error

    def image(self, values: np.ndarray, band: np.ndarray) -> np.ndarray:
        """Integrate over a band of energies.

        Parameters
        ----------
        values : np.ndarray
            Rate of `a` or `b`, or an error, ``(n_energy, n_fov_lon, n_fov_lat)``.
        band : np.ndarray
            Energy bins.

        Returns
        -------
        np.ndarray
            Integral, NaN where not all bins are used, ``(n_fov_lon, n_fov_lat)``.
        """
        total = np.tensordot(self.binning.energy_width[band], values[band], axes=1)
        return np.where(self.is_used[band].all(axis=0), total, np.nan)

    def _ring_edges(self) -> np.ndarray:
        axes = self.binning
        if not self.is_3d:
            return axes.offset_edges
        step = max(np.diff(axes.fov_lon_edges).max(), np.diff(axes.fov_lat_edges).max())
        return np.linspace(
            0.0, axes.offset_max, max(2, int(axes.offset_max / step)) + 1
        )


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """The comparison of two models in a few numbers.

    Attributes
    ----------
    obs_id : int
        Run number; -1 for a pair that is of no run.
    n_bins : int
        Bins compared.
    ontime : float
        Weight of the run in the mean; its on-time where known [s].
    ratio : float
        Events that A predicts over those that B does.
    rms : float
        Root mean square of ratio / its mean - 1, bins weighted by their events.
    pull_mean, pull_width : float
        Mean and standard deviation of the pulls; NaN when no errors are known.
    """

    obs_id: int
    n_bins: int
    ontime: float
    ratio: float
    rms: float
    pull_mean: float
    pull_width: float


@dataclass(frozen=True, kw_only=True, eq=False)
class StoreComparison:
    """Models of one or many runs, compared pair by pair and in the mean.

    Attributes
    ----------
    name_a, name_b : str
        What was compared.
    mean : Comparison
        On-time weighted means over all runs, or the one pair.
    runs : tuple of RunComparison
        The pairs in order of ``obs_id``; at least one.
    only_a, only_b : tuple of int
        Runs that only one of them has.
    left_out : dict of int to str
        Runs of both that could not be compared, and why.
    notes : tuple of str
        What a reader has to know.
    """

    name_a: str
    name_b: str
    mean: Comparison
    runs: tuple[RunComparison, ...]
    only_a: tuple[int, ...] = ()
    only_b: tuple[int, ...] = ()
    left_out: dict[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def ratios(self) -> np.ndarray:
        """Ratio of each run, shape ``(n_runs,)``."""
        return np.array([run.ratio for run in self.runs])
