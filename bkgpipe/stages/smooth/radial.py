"""How the rate falls with the offset, at each energy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.stages.fit.array_fit import fit_arrays
from bkgpipe.stages.fit.count_arrays import CountsArrays, expected_counts
from bkgpipe.stages.fit.splines import difference_penalty, spline_basis, spline_knots

__all__ = ["RadialFit", "fit_profile", "squared_offset_2d", "squared_offset_3d"]

_N_SPLINES = 8
# Penalties: 1 / variance to expect of the logarithm of the profile, per spline
_FLAT = 0.02  # of its steps: so few events leave it flat
_SMOOTH = 30.0  # of the change of its steps
_ALIKE = 100.0  # of the change of its steps from one energy to the next
_RIDGE = 1e-6  # an energy without counts has no norm otherwise
_DIGITS = 6  # of squared offsets [deg2]: bins that agree are one annulus


@dataclass(frozen=True, kw_only=True, eq=False)
class RadialFit:
    """The radial profile of each energy, and how well it is known.

    Attributes
    ----------
    profile : np.ndarray
        Profile, larger than zero, shape ``(n_energy, n_first, n_second)``; its mean is
        one at each energy, over what was seen at all energies together.
    splines : np.ndarray
        Splines at the bins, shape ``(n_first, n_second, n_splines)``.
    normal, penalty : np.ndarray
        Fisher information of the counts, and penalty, of the coefficients of the
        logarithm, shape ``(n_energy x n_splines, n_energy x n_splines)``.
    """

    profile: np.ndarray
    splines: np.ndarray
    normal: np.ndarray
    penalty: np.ndarray

    @cached_property
    def _inverse(self) -> np.ndarray:
        inverse: np.ndarray = np.linalg.inv(self.normal + self.penalty)
        return inverse

    @cached_property
    def response(self) -> np.ndarray:
        """Change of coefficients by score, ``(n_energy, n_splines, n_splines)``."""
        return self._blocks(self._inverse)

    @cached_property
    def covariance(self) -> np.ndarray:
        """Covariance of the coefficients of an energy, same shape as `response`."""
        return self._blocks(self._inverse @ self.normal @ self._inverse)

    def _blocks(self, matrix: np.ndarray) -> np.ndarray:
        n_energy, n_splines = len(self.profile), self.splines.shape[-1]
        blocks = matrix.reshape(n_energy, n_splines, n_energy, n_splines)
        each = np.arange(n_energy)
        own: np.ndarray = blocks[each, :, each]
        return own


def fit_profile(
    counts: np.ndarray, seen: np.ndarray, squared_offset: np.ndarray
) -> RadialFit:
    """Fit the rate as a function of offset, at all energies together.

    The logarithm of the profile is a sum of cubic B-splines in offset^2, by a
    penalised Poisson fit of the annuli, each with what was seen of it. Penalties hold
    it smooth, and alike from one energy to the next, so that an energy with few events
    takes its profile from its neighbours; its norm remains free. Where no annulus was
    seen, the profile is interpolated, or continued to the centre, along offset^2, and
    the flatter, the fewer events there are beside.

    Parameters
    ----------
    counts : np.ndarray
        Counts, zero where unseen, shape ``(n_energy, n_first, n_second)``.
    seen : np.ndarray
        Exposure x energy width, same shape [s sr TeV].
    squared_offset : np.ndarray
        Mean squared offset of the bins, shape ``(n_first, n_second)`` [deg2].

    Returns
    -------
    RadialFit
        The profile of each energy; one everywhere where there are no counts at all.

    References
    ----------
    Eilers & Marx 1996, Statistical Science 11, 89.
    """
    n_energy = len(counts)
    squares, annulus = np.unique(
        np.round(squared_offset.ravel(), _DIGITS), return_inverse=True
    )
    in_annulus = (annulus[:, np.newaxis] == np.arange(squares.size)).astype(np.float64)
    ring_counts = counts.reshape(n_energy, -1) @ in_annulus
    ring_seen = seen.reshape(n_energy, -1) @ in_annulus
    total, area = ring_counts.sum(axis=1), ring_seen.sum(axis=1)
    norm = np.divide(total, area, out=np.zeros(n_energy), where=area > 0)
    field = _field_splines(squares, is_seen=ring_seen.any(axis=0))
    basis, n_splines = np.eye(n_energy), field.shape[1]
    fit = fit_arrays(
        _arrays(ring_counts, norm[:, np.newaxis] * ring_seen, n_splines),
        basis=basis,
        field=field,
        penalty=_penalty(n_energy, n_splines),
    )
    flat = _arrays(ring_counts, np.ones(ring_seen.shape), n_splines)
    profile = expected_counts(
        flat, fit.coefficients, fit.low_coefficients, basis=basis, field=field
    )[0]
    weight = ring_seen.sum(axis=0)
    if weight.any():
        profile /= profile @ (weight / weight.sum())[:, np.newaxis]
    return RadialFit(
        profile=profile[:, annulus].reshape(counts.shape),
        splines=field[annulus].reshape(*squared_offset.shape, n_splines),
        normal=fit.normal,
        penalty=_penalty(n_energy, n_splines),
    )


def squared_offset_3d(binning: Binning) -> np.ndarray:
    """Mean of offset^2 over each bin in the field of view.

    Parameters
    ----------
    binning : Binning
        Axes.

    Returns
    -------
    np.ndarray
        Shape ``(n_fov_lon, n_fov_lat)`` [deg2].
    """
    lon, lat = (
        _mean_square(binning.fov_lon_edges),
        _mean_square(binning.fov_lat_edges),
    )
    mean: np.ndarray = np.add.outer(lon, lat)
    return mean


def squared_offset_2d(binning: Binning) -> np.ndarray:
    """Mean of offset^2 over each annulus.

    Parameters
    ----------
    binning : Binning
        Axes.

    Returns
    -------
    np.ndarray
        Shape ``(n_offset,)`` [deg2].
    """
    squares = binning.offset_edges**2
    mean: np.ndarray = (squares[1:] + squares[:-1]) / 2
    return mean


def _mean_square(edges: np.ndarray) -> np.ndarray:
    low, high = edges[:-1], edges[1:]
    mean: np.ndarray = (low**2 + low * high + high**2) / 3
    return mean


def _field_splines(squares: np.ndarray, *, is_seen: np.ndarray) -> np.ndarray:
    """Splines in offset^2 out to the last annulus that was seen; flat beyond."""
    high = float(squares[is_seen].max(initial=0.0)) or 1.0
    return spline_basis(squares, spline_knots(0.0, high, n_splines=_N_SPLINES))


def _arrays(counts: np.ndarray, base: np.ndarray, n_splines: int) -> CountsArrays:
    return CountsArrays(
        counts=counts[np.newaxis],
        base=base[np.newaxis],
        design=np.eye(n_splines)[np.newaxis],
    )


def _penalty(n_energy: int, n_splines: int) -> np.ndarray:
    steps = difference_penalty(n_splines, order=1)
    bends = difference_penalty(n_splines, order=2)
    penalty = np.kron(np.eye(n_energy), _FLAT * steps + _SMOOTH * bends)
    if n_energy > 1:
        between = difference_penalty(n_energy, order=1)
        penalty += np.kron(between, _ALIKE * steps)
    penalty += _RIDGE * np.eye(len(penalty))
    return penalty
