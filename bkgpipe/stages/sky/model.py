"""A written background model, integrated over energy at any place of the field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bkgpipe.geometry.frames import lon_lat, offset_angle
from bkgpipe.stages.export.interpolation import interpolation_matrix
from bkgpipe.stages.export.power_laws import PowerLaws

__all__ = ["WrittenModel"]


@dataclass(frozen=True, kw_only=True, eq=False)
class WrittenModel:
    """A background model as its file has it.

    Between its nodes, and beyond the outer ones, the logarithm of the rate is linear in
    the logarithm of energy and in the place; beyond the outer offsets it is constant.
    That is what gammapy's ``MapDatasetMaker`` makes of it.

    Attributes
    ----------
    fov_alignment : str
        ``ALTAZ`` or ``RADEC``.
    energy_range : tuple of float
        Lowest and highest energy that has events [TeV].
    energy : np.ndarray
        Energies of the nodes, shape ``(n_energy,)`` [TeV].
    places : tuple of np.ndarray
        Field-of-view longitudes and latitudes of the nodes, or their offsets alone
        [deg].
    rate : np.ndarray
        Rate at the nodes per on-time, shape ``(n_energy, n_fov_lon, n_fov_lat)`` or
        ``(n_energy, n_offset)`` [s-1 TeV-1 sr-1].
    """

    fov_alignment: str
    energy_range: tuple[float, float]
    energy: np.ndarray
    places: tuple[np.ndarray, ...]
    rate: np.ndarray

    def integrate(
        self, vectors: np.ndarray, bands: Sequence[tuple[float, float]]
    ) -> np.ndarray:
        """Integrate the rate over bands of energy.

        Parameters
        ----------
        vectors : np.ndarray
            Field-of-view vectors, shape ``(n, 3)``.
        bands : sequence of tuple of float
            Lowest and highest energy of each band; one of no width has no events [TeV].

        Returns
        -------
        np.ndarray
            Rates, shape ``(n_band, n)`` [s-1 sr-1].

        References
        ----------
        gammapy, ``Background3D.integrate_energy`` in the limit of fine steps.
        """
        log_rate = self._log_rate(vectors)
        rates = np.zeros((len(bands), len(vectors)))
        for i, (low, high) in enumerate(bands):
            if low < high:
                rates[i] = self._integral(log_rate, low, high)
        return rates

    def _integral(self, log_rate: np.ndarray, low: float, high: float) -> np.ndarray:
        inner = self.energy[(self.energy > low) & (self.energy < high)]
        log_energy = np.log([low, *inner, high])
        to_points = interpolation_matrix(np.log(self.energy), log_energy)
        log_values = to_points @ log_rate + log_energy[:, np.newaxis]
        laws = PowerLaws.through(log_values, np.diff(log_energy))
        integral: np.ndarray = laws.integral().sum(axis=0)
        return integral

    def _log_rate(self, vectors: np.ndarray) -> np.ndarray:
        """Logarithm of the rate at the energies of the nodes, ``(n_energy, n)``."""
        flat = len(self.places) == 1
        where = (self._offset(vectors),) if flat else lon_lat(vectors)
        corners = [_corners(*each) for each in zip(self.places, where, strict=True)]
        log_rate = np.log(self.rate)
        total = np.zeros((self.energy.size, len(vectors)))
        if flat:
            for index, weight in corners[0]:
                total += weight * log_rate[:, index]
            return total
        for i, weight_i in corners[0]:
            for j, weight_j in corners[1]:
                total += (weight_i * weight_j) * log_rate[:, i, j]
        return total

    def _offset(self, vectors: np.ndarray) -> np.ndarray:
        nodes = self.places[0]
        return offset_angle(vectors).clip(nodes[0], nodes[-1])


def _corners(
    nodes: np.ndarray, values: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the nodes on both sides with their weights, the outer ones beyond."""
    index = np.clip(np.searchsorted(nodes, values) - 1, 0, nodes.size - 2)
    weight = (values - nodes[index]) / (nodes[index + 1] - nodes[index])
    return (index, 1.0 - weight), (index + 1, weight)
