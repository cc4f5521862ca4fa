"""Find the node values whose integral, as gammapy does it, gives wanted counts.

gammapy interpolates log(rate) linearly in log(energy) and in the field of view between
bin centres, extrapolates likewise over the outer half bins, and integrates over energy
with one power law between the values at the two edges of a bin. So the mean rate of a
bin, written at its centre, is not what is integrated: that is too much for a curved
spectrum, and far too little for a noisy model, since geometric means are lower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bkgpipe.numerics.power_laws import PowerLaws

__all__ = [
    "NodeGrid",
    "SpaceAxis",
    "interpolation_matrix",
    "latitude_axis",
    "longitude_axis",
    "offset_axis",
    "single_axis",
    "solve_nodes",
]

_N_POINTS = 4  # per bin and axis; even, as the interpolation has a kink at the centre
_N_PLANE_STEPS = 3
_N_BIN_STEPS = 4
# A pattern that alternates from one energy to the next hardly changes the integrals, so
# to follow noise in the totals of the planes, the nodes would have to alternate wildly.
_PRECISION = 0.003  # of the totals, beyond their Poisson noise, that is worth having
_CURVATURE = 0.1  # to expect of the shift of log nodes along energy, per bin
_SHIFT = 0.3  # to expect of the shift itself: planes without counts stay near theirs
_BIN_DAMPING = 1.0  # in squared singular values, of which the largest are near 1
_MAX_BIN_FACTOR = 1.5  # beyond what the energy plane of the bin needs


@dataclass(frozen=True, kw_only=True, eq=False)
class SpaceAxis:
    """Interpolation and integration along one axis of the field of view.

    Attributes
    ----------
    at_points : np.ndarray
        Interpolation from nodes to the points, shape ``(n_points, n_bins)``.
    integral : np.ndarray
        Weights of the points in the bins, shape ``(n_bins, n_points)`` [rad, or sr for
        an axis in offset, or 1].
    """

    at_points: np.ndarray
    integral: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """Size of each bin, shape ``(n_bins,)`` [rad, sr or 1]."""
        size: np.ndarray = self.integral.sum(axis=1)
        return size

    @property
    def response(self) -> np.ndarray:
        """Mean over a bin as a function of the nodes, shape ``(n_bins, n_bins)``."""
        mean: np.ndarray = (self.integral / self.size[:, np.newaxis]) @ self.at_points
        return mean


@dataclass(frozen=True, kw_only=True, eq=False)
class NodeGrid:
    """Nodes of a model on three axes.

    Attributes
    ----------
    energy_edges : np.ndarray
        Edges in energy, shape ``(n_energy + 1,)`` [TeV].
    first, second : SpaceAxis
        Axes of the field of view, of ``n_first`` and ``n_second`` bins.
    """

    energy_edges: np.ndarray
    first: SpaceAxis
    second: SpaceAxis

    @cached_property
    def log_edges(self) -> np.ndarray:
        """Logarithm of the energy edges, shape ``(n_energy + 1,)``."""
        logarithm: np.ndarray = np.log(self.energy_edges)
        return logarithm

    @cached_property
    def at_edges(self) -> np.ndarray:
        """Interpolation to the energy edges, shape ``(n_energy + 1, n_energy)``."""
        centers = (self.log_edges[1:] + self.log_edges[:-1]) / 2
        return interpolation_matrix(centers, self.log_edges)

    @cached_property
    def bin_size(self) -> np.ndarray:
        """Width x solid angle, shape ``(n_energy, n_first, n_second)`` [TeV sr]."""
        solid_angle = np.multiply.outer(self.first.size, self.second.size)
        size: np.ndarray = np.multiply.outer(np.diff(self.energy_edges), solid_angle)
        return size

    def integrate(self, log_nodes: np.ndarray) -> np.ndarray:
        """Integrate over each bin.

        Parameters
        ----------
        log_nodes : np.ndarray
            Logarithm of the rate at the bin centres, ``(n_energy, n_first, n_second)``.

        Returns
        -------
        np.ndarray
            Integrals, same shape [s-1 for a rate in s-1 TeV-1 sr-1].
        """
        at_points = self._power_laws(log_nodes).integral()
        integral: np.ndarray = self.first.integral @ at_points @ self.second.integral.T
        return integral

    def shift_planes(
        self, log_nodes: np.ndarray
    ) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Return what integrates over each energy plane when the planes are shifted.

        Parameters
        ----------
        log_nodes : np.ndarray
            As for `integrate`.

        Returns
        -------
        callable
            Takes what to add to the log nodes of each plane, shape ``(n_energy,)``, and
            returns the integrals over the field, shape ``(n_energy,)``, and the
            derivatives of their logarithm with respect to the shifts, shape
            ``(n_energy, n_energy)``, without a second interpolation.
        """
        laws = self._power_laws(log_nodes)
        return lambda shift: self._totals(laws.shifted(self.at_edges @ shift))

    def _totals(self, laws: PowerLaws) -> tuple[np.ndarray, np.ndarray]:
        integral = laws.integral()
        totals = self._over_field(integral)
        share = self._over_field(laws.upper_slope(integral)) / totals
        share = share[:, np.newaxis]
        response = (1 - share) * self.at_edges[:-1] + share * self.at_edges[1:]
        return totals, response

    def _over_field(self, at_points: np.ndarray) -> np.ndarray:
        weights = self.first.integral.sum(axis=0), self.second.integral.sum(axis=0)
        total: np.ndarray = (at_points @ weights[1]) @ weights[0]
        return total

    def _power_laws(self, log_nodes: np.ndarray) -> PowerLaws:
        n_energy = log_nodes.shape[0]
        at_edges = self.at_edges @ log_nodes.reshape(n_energy, -1)
        at_edges = at_edges.reshape(-1, *log_nodes.shape[1:])
        at_points = self.first.at_points @ at_edges @ self.second.at_points.T
        at_points += self.log_edges[:, np.newaxis, np.newaxis]
        return PowerLaws.through(at_points, np.diff(self.log_edges))


def interpolation_matrix(nodes: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Linear interpolation, and extrapolation from the outer two nodes, as a matrix.

    Parameters
    ----------
    nodes : np.ndarray
        Increasing positions of the nodes, shape ``(n_nodes,)``; one alone is constant.
    points : np.ndarray
        Positions to interpolate to, shape ``(n_points,)``.

    Returns
    -------
    np.ndarray
        Matrix, shape ``(n_points, n_nodes)``; its rows sum to one.
    """
    if nodes.size == 1:
        return np.ones((points.size, 1))
    left = np.clip(np.searchsorted(nodes, points) - 1, 0, nodes.size - 2)
    share = (points - nodes[left]) / (nodes[left + 1] - nodes[left])
    matrix = np.zeros((points.size, nodes.size))
    rows = np.arange(points.size)
    matrix[rows, left] = 1 - share
    matrix[rows, left + 1] = share
    return matrix


def longitude_axis(edges: np.ndarray) -> SpaceAxis:
    """Make an axis in field-of-view longitude.

    Parameters
    ----------
    edges : np.ndarray
        Bin edges, shape ``(n_bins + 1,)`` [deg].

    Returns
    -------
    SpaceAxis
        With weights in rad.
    """
    fine = _fine_edges(edges)
    return _space_axis(edges, (fine[1:] + fine[:-1]) / 2, np.diff(np.radians(fine)))


def latitude_axis(edges: np.ndarray) -> SpaceAxis:
    """Make an axis in field-of-view latitude.

    Parameters
    ----------
    edges : np.ndarray
        Bin edges, shape ``(n_bins + 1,)`` [deg].

    Returns
    -------
    SpaceAxis
        With weights in sin(latitude), so that times longitude they are solid angles.
    """
    fine = _fine_edges(edges)
    weights = np.diff(np.sin(np.radians(fine)))
    return _space_axis(edges, (fine[1:] + fine[:-1]) / 2, weights)


def offset_axis(edges: np.ndarray) -> SpaceAxis:
    """Make an axis in offset.

    Parameters
    ----------
    edges : np.ndarray
        Bin edges, shape ``(n_bins + 1,)`` [deg].

    Returns
    -------
    SpaceAxis
        With weights in sr.
    """
    fine = _fine_edges(edges)
    weights = np.diff(4 * np.pi * np.sin(np.radians(fine) / 2) ** 2)
    # mean offset over the area of a ring, which matters for the innermost ones
    points = 2 / 3 * np.diff(fine**3) / np.diff(fine**2)
    return _space_axis(edges, points, weights)


def single_axis() -> SpaceAxis:
    """Make an axis of one bin of size one, for models with fewer dimensions.

    Returns
    -------
    SpaceAxis
        One bin, one point.
    """
    return SpaceAxis(at_points=np.ones((1, 1)), integral=np.ones((1, 1)))


def solve_nodes(rate: np.ndarray, grid: NodeGrid, *, counts: np.ndarray) -> np.ndarray:
    """Find the nodes whose integrals are those of the mean rates.

    Starting from log nodes = log means, add first what each energy plane as a whole
    lacks, then what single bins lack, then again the planes. These are Gauss-Newton
    steps with r = log(wanted / integrated) and J = d log(integrated) / d log(nodes).
    The shifts x of the planes minimise
    sum (r - J dx)^2 / (1 / counts + 0.003^2) + sum (D x / 0.1)^2 + sum (x / 0.3)^2,
    with D x = (x[e-1] - 2 x[e] + x[e+1]) / 4: what is lacking matters as far as it
    stands out of Poisson noise. The bins move by (J^T J + a)^-1 J^T r (Levenberg-
    Marquardt). Multiplying each node by wanted / integrated does not converge on
    Poisson noise: J is all but singular for patterns that alternate in energy.

    Parameters
    ----------
    rate : np.ndarray
        Mean rate of each bin, larger than zero, ``(n_energy, n_first, n_second)``
        [s-1 TeV-1 sr-1].
    grid : NodeGrid
        The axes.
    counts : np.ndarray
        Events behind each energy plane, shape ``(n_energy,)``.

    Returns
    -------
    np.ndarray
        Rate at the bin centres, same shape and unit.

    References
    ----------
    Marquardt 1963, J. SIAM 11, 431.
    """
    means, wanted = np.log(rate), rate * grid.bin_size
    fit = _PlaneFit(grid, wanted.sum(axis=(1, 2)), counts)
    shift = fit(means, start=np.zeros((rate.shape[0], 1, 1)))
    solve, limit = _BinSolver(grid), np.log(_MAX_BIN_FACTOR)
    change = np.zeros(rate.shape)
    for _ in range(_N_BIN_STEPS):
        integrated = grid.integrate(means + shift + change)
        change = np.clip(change + solve(np.log(wanted / integrated)), -limit, limit)
    nodes: np.ndarray = np.exp(means + change + fit(means + change, start=shift))
    return nodes


class _PlaneFit:
    """Fit of what to add to the log nodes of each energy plane."""

    def __init__(self, grid: NodeGrid, wanted: np.ndarray, counts: np.ndarray) -> None:
        self.grid = grid
        self.wanted = wanted
        self.weight = counts / (1 + counts * _PRECISION**2)
        identity = np.eye(counts.size)
        second_difference = np.diff(identity, n=2, axis=0) / 4
        curvature = second_difference.T @ second_difference
        self.penalty = curvature / _CURVATURE**2 + identity / _SHIFT**2

    def __call__(self, log_nodes: np.ndarray, *, start: np.ndarray) -> np.ndarray:
        shift, find_totals = start.ravel(), self.grid.shift_planes(log_nodes)
        for _ in range(_N_PLANE_STEPS):
            totals, response = find_totals(shift)
            target = np.log(self.wanted / totals) + response @ shift
            weighted = response.T * self.weight
            normal = weighted @ response + self.penalty
            shift = np.linalg.solve(normal, weighted @ target)
        shifts: np.ndarray = shift.reshape(start.shape)
        return shifts


class _BinSolver:
    """Damped inverse of the response of all bins to all nodes.

    The response is a product of one matrix per axis, so its singular values are
    products too, and the three small decompositions are enough.
    """

    def __init__(self, grid: NodeGrid) -> None:
        in_energy = (grid.at_edges[:-1] + grid.at_edges[1:]) / 2
        responses = (in_energy, grid.first.response, grid.second.response)
        parts = [np.linalg.svd(response) for response in responses]
        self.left = [part.U.T for part in parts]
        self.right = [part.Vh.T for part in parts]
        singular = np.einsum("i,j,k->ijk", *(part.S for part in parts))
        self.gain = singular / (singular**2 + _BIN_DAMPING)

    def __call__(self, residual: np.ndarray) -> np.ndarray:
        return _apply(self.right, self.gain * _apply(self.left, residual))


def _apply(matrices: Sequence[np.ndarray], cube: np.ndarray) -> np.ndarray:
    energy, first, second = matrices
    flat = energy @ cube.reshape(cube.shape[0], -1)
    applied: np.ndarray = first @ flat.reshape(cube.shape) @ second.T
    return applied


def _fine_edges(edges: np.ndarray) -> np.ndarray:
    steps = np.arange(_N_POINTS) / _N_POINTS
    inner = edges[:-1, np.newaxis] + np.diff(edges)[:, np.newaxis] * steps
    return np.append(inner, edges[-1])


def _space_axis(
    edges: np.ndarray, points: np.ndarray, weights: np.ndarray
) -> SpaceAxis:
    centers = (edges[1:] + edges[:-1]) / 2
    in_bin = np.repeat(np.eye(centers.size), _N_POINTS, axis=1)
    return SpaceAxis(
        at_points=interpolation_matrix(centers, points), integral=in_bin * weights
    )
