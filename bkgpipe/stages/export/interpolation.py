"""Find the node values whose integral, as gammapy does it, gives wanted counts.

gammapy interpolates log(rate) linearly in log(energy) and in the field of view between
bin centres, and extrapolates in the same way over the outer half bins, but for those in
offset, where the rate stays that of the bin centre. So in each bin
the rate is two power laws in energy, which meet at the centre. The mean rate of a bin,
written at its centre, is not what is integrated: that is too much for a curved
spectrum, and far too little for a noisy model, since geometric means are lower.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bkgpipe.stages.export.power_laws import PowerLaws

__all__ = [
    "EnergyAxis",
    "NodeGrid",
    "SpaceAxis",
    "interpolation_matrix",
    "latitude_axis",
    "longitude_axis",
    "offset_axis",
    "scale_energies",
    "single_axis",
    "solve_nodes",
]

_N_POINTS = 4  # per bin and axis; even, as the interpolation has a kink at the centre
_N_BIN_STEPS = 3  # leave 1e-3 in the worst bin of a smooth model
_N_PLANE_STEPS = 2
_N_SCALE_STEPS = 4  # of factors that may differ tenfold between neighbours
_MAX_STEP = 0.5
# To follow Poisson noise from bin to bin exactly, the nodes would have to alternate
# thirtyfold, as means over bins hardly see such patterns
_MAX_BIN_FACTOR = 1.5


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

    @cached_property
    def bins(self) -> tuple[tuple[slice, np.ndarray, np.ndarray], ...]:
        """Per bin: nodes near it, interpolation to its points, weights of these."""
        found = []
        for weights in self.integral:
            inside = weights > 0
            nodes = np.flatnonzero(self.at_points[inside].any(axis=0))
            near = slice(nodes[0], nodes[-1] + 1)
            found.append((near, self.at_points[inside, near], weights[inside]))
        return tuple(found)


@dataclass(frozen=True, kw_only=True, eq=False)
class EnergyAxis:
    """Interpolation and integration along energy.

    Attributes
    ----------
    edges : np.ndarray
        Edges of the bins, shape ``(n_energy + 1,)`` [TeV].
    """

    edges: np.ndarray

    @cached_property
    def log_points(self) -> np.ndarray:
        """Log of edges and centres in turn, shape ``(2 n_energy + 1,)`` [log TeV]."""
        log_edges = np.log(self.edges)
        points = np.empty(2 * log_edges.size - 1)
        points[::2] = log_edges
        points[1::2] = (log_edges[1:] + log_edges[:-1]) / 2
        return points

    @cached_property
    def at_points(self) -> np.ndarray:
        """Interpolation to these points, shape ``(2 n_energy + 1, n_energy)``."""
        return interpolation_matrix(self.log_points[1::2], self.log_points)

    @cached_property
    def response(self) -> np.ndarray:
        """Change of log integrals of 1 / energy by log nodes, ``(n_energy,) * 2``."""
        edges, centers = self.at_points[::2], self.at_points[1::2]
        response: np.ndarray = (edges[:-1] + 2 * centers + edges[1:]) / 4
        return response

    def integrate(self, log_nodes: np.ndarray) -> np.ndarray:
        """Integrate over each bin.

        Parameters
        ----------
        log_nodes : np.ndarray
            Logarithm of the rate at the bin centres, ``(n_energy, n_places)``.

        Returns
        -------
        np.ndarray
            Integrals, same shape [s-1 sr-1 for a rate in s-1 TeV-1 sr-1].
        """
        at_points = self.at_points @ log_nodes
        at_points += self.log_points[:, np.newaxis]
        halves = PowerLaws.through(at_points, np.diff(self.log_points)).integral()
        integral: np.ndarray = halves[::2] + halves[1::2]
        return integral


@dataclass(frozen=True, kw_only=True, eq=False)
class NodeGrid:
    """Nodes of a model on three axes.

    Attributes
    ----------
    energy : EnergyAxis
        Axis in energy, of ``n_energy`` bins.
    first, second : SpaceAxis
        Axes of the field of view, of ``n_first`` and ``n_second`` bins.
    """

    energy: EnergyAxis
    first: SpaceAxis
    second: SpaceAxis

    @cached_property
    def bin_size(self) -> np.ndarray:
        """Width x solid angle, shape ``(n_energy, n_first, n_second)`` [TeV sr]."""
        solid_angle = np.multiply.outer(self.first.size, self.second.size)
        size: np.ndarray = np.multiply.outer(np.diff(self.energy.edges), solid_angle)
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
        integral = np.empty(log_nodes.shape)
        along = log_nodes @ self.second.at_points.T
        # bin by bin, as all points at once do not fit into the cache of the processor
        for number, (near, at_points, weights) in enumerate(self.first.bins):
            fine = at_points @ along[:, near]
            in_energy = self.energy.integrate(fine.reshape(len(fine), -1))
            in_bin = weights @ in_energy.reshape(fine.shape)
            integral[:, number] = in_bin @ self.second.integral.T
        return integral


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

    Nearer to the pointing than the first node, and beyond the last one, the rate is
    that of the node, as gammapy's ``MapDatasetMaker`` takes it by default (its
    ``background_pad_offset``).

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
    centers = (edges[1:] + edges[:-1]) / 2
    return _space_axis(edges, points.clip(centers[0], centers[-1]), weights)


def single_axis() -> SpaceAxis:
    """Make an axis of one bin of size one, for models with fewer dimensions.

    Returns
    -------
    SpaceAxis
        One bin, one point.
    """
    return SpaceAxis(at_points=np.ones((1, 1)), integral=np.ones((1, 1)))


def solve_nodes(rate: np.ndarray, grid: NodeGrid) -> np.ndarray:
    """Find the nodes whose integrals are those of the mean rates.

    Starting from log nodes = log means, add A^-1 log(wanted / integrated), where A is
    the response of the integrals to the nodes: a product of one matrix per axis, that
    of a flat rate. Bins move by a factor of 1.5 at most, and then energy planes as a
    whole by what they still lack, so that the counts of each energy are exact.

    Parameters
    ----------
    rate : np.ndarray
        Mean rate of each bin, larger than zero, ``(n_energy, n_first, n_second)``
        [s-1 TeV-1 sr-1].
    grid : NodeGrid
        The axes.

    Returns
    -------
    np.ndarray
        Rate at the bin centres, same shape and unit.
    """
    means, wanted = np.log(rate), rate * grid.bin_size
    in_energy, *in_field = (
        np.linalg.inv(response)
        for response in (
            grid.energy.response,
            grid.first.response,
            grid.second.response,
        )
    )
    limit = np.log(_MAX_BIN_FACTOR)
    change = np.zeros(rate.shape)
    for _ in range(_N_BIN_STEPS):
        lacking = np.log(wanted / grid.integrate(means + change))
        step = in_field[0] @ _along_energy(in_energy, lacking) @ in_field[1].T
        change = np.clip(change + np.clip(step, -_MAX_STEP, _MAX_STEP), -limit, limit)
    log_nodes = means + change
    totals = wanted.sum(axis=(1, 2), keepdims=True)
    for _ in range(_N_PLANE_STEPS):
        found = grid.integrate(log_nodes).sum(axis=(1, 2), keepdims=True)
        step = _along_energy(in_energy, np.log(totals / found))
        log_nodes = log_nodes + np.clip(step, -_MAX_STEP, _MAX_STEP)
    nodes: np.ndarray = np.exp(log_nodes)
    return nodes


def scale_energies(
    nodes: np.ndarray, energy_edges: np.ndarray, factor: np.ndarray
) -> np.ndarray:
    """Scale the integral of each energy by a factor of its own.

    Nodes times these factors would do for one factor of all energies; else what is
    between two nodes takes part of both.

    Parameters
    ----------
    nodes : np.ndarray
        Rates at the bin centres, shape ``(n_energy, ...)``.
    energy_edges : np.ndarray
        Edges in energy, shape ``(n_energy + 1,)`` [TeV].
    factor : np.ndarray
        Factor of each energy, larger than zero, shape ``(n_energy,)``.

    Returns
    -------
    np.ndarray
        Nodes, same shape.
    """
    if np.ptp(factor) == 0:
        scaled: np.ndarray = nodes * factor[0]
        return scaled
    axis = EnergyAxis(edges=energy_edges)
    log_nodes = np.log(nodes).reshape(len(nodes), -1)
    totals = factor * axis.integrate(log_nodes).sum(axis=1)
    inverse = np.linalg.inv(axis.response)
    log_nodes = log_nodes + np.log(factor)[:, np.newaxis]
    for _ in range(_N_SCALE_STEPS):
        lacking = np.log(totals / axis.integrate(log_nodes).sum(axis=1))
        step = np.clip(inverse @ lacking, -_MAX_STEP, _MAX_STEP)
        log_nodes = log_nodes + step[:, np.newaxis]
    found: np.ndarray = np.exp(log_nodes).reshape(nodes.shape)
    return found


def _along_energy(matrix: np.ndarray, cube: np.ndarray) -> np.ndarray:
    product: np.ndarray = (matrix @ cube.reshape(len(cube), -1)).reshape(cube.shape)
    return product


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
