"""The true background of a simulated archive, at a point and as mean of a bin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.geometry.frames import lon_lat
from bkgpipe.simulate.archive.truth_data import Truth

__all__ = [
    "expected_counts_2d",
    "expected_counts_3d",
    "fov_width",
    "mean_rate_2d",
    "mean_rate_3d",
    "rate",
    "run_factor",
    "spectrum",
]

# Bins in the field are summed over cells of this size, 4 or more a side [deg]: good
# to 1e-4, and to 1 % where the rim of the field cuts a bin of 0.1 deg
_CELL = 0.025
_YEAR = 365.25
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)
_POSITION_ANGLES = np.linspace(0.0, 2 * np.pi, 72, endpoint=False)


def spectrum(truth: Truth, energy: np.ndarray) -> np.ndarray:
    """Return the rate at the centre of the field.

    Parameters
    ----------
    truth : Truth
        The formula.
    energy : np.ndarray
        Reconstructed energy, any shape [TeV].

    Returns
    -------
    np.ndarray
        Rate, same shape [s-1 TeV-1 sr-1].
    """
    loss = 1.0 + (truth.threshold / energy) ** truth.sharpness
    is_inside = (energy >= truth.energy_min) & (energy <= truth.energy_max)
    power_law: np.ndarray = truth.norm * energy**-truth.index
    return power_law / loss * is_inside


def fov_width(truth: Truth, energy: np.ndarray) -> np.ndarray:
    """Return the Gaussian width of the field of view.

    Parameters
    ----------
    truth : Truth
        The formula.
    energy : np.ndarray
        Reconstructed energy, any shape [TeV].

    Returns
    -------
    np.ndarray
        Width, same shape [deg].
    """
    width: np.ndarray = truth.width * energy**truth.width_slope
    return width


def rate(
    truth: Truth, energy: np.ndarray, fov_lon: np.ndarray, fov_lat: np.ndarray
) -> np.ndarray:
    """Return the true rate per live time, without the factor of the run.

    Parameters
    ----------
    truth : Truth
        The formula.
    energy : np.ndarray
        Reconstructed energy, any shape [TeV].
    fov_lon, fov_lat : np.ndarray
        Place in the field of view in the alignment of the truth, of shapes that
        broadcast with the energy [deg].

    Returns
    -------
    np.ndarray
        Rate, shape as broadcast [s-1 TeV-1 sr-1].
    """
    offset = _offset(fov_lon, fov_lat)
    profile = np.exp(-((offset / fov_width(truth, energy)) ** 2) / 2)
    gradient = np.exp(truth.gradient_lon * fov_lon + truth.gradient_lat * fov_lat)
    is_inside = offset <= truth.offset_max
    values: np.ndarray = spectrum(truth, energy) * profile * gradient * is_inside
    return values


def run_factor(truth: Truth, runs: Sequence[Run]) -> np.ndarray:
    """Return what the laws of the conditions make of the rate.

    Parameters
    ----------
    truth : Truth
        The formula.
    runs : sequence of Run
        The runs; an unknown condition is an error only if a law needs it.

    Returns
    -------
    np.ndarray
        Rate over the formula without these laws, shape ``(n_runs,)``.

    Raises
    ------
    InputError
        If a law needs what is not known of a run.
    """
    zenith = np.radians([run.zenith for run in runs])
    angle = np.radians([run.azimuth for run in runs]) - np.radians(truth.azimuth_phase)
    time = np.array([(run.time_start + run.time_stop) / 2 for run in runs])
    muon = np.array([run.muon_efficiency for run in runs])
    years = (time - truth.epoch_reference) / _YEAR
    with np.errstate(divide="ignore", invalid="ignore"):
        muon = np.log(muon)
    parts = {
        "zenith angle": (truth.zenith_slope, np.cos(zenith) - 1.0),
        "azimuth": (truth.azimuth_amplitude, np.sin(zenith) * np.cos(angle)),
        "time": (truth.epoch_slope, years),
        "muon efficiency": (truth.muon_power, muon),
    }
    exponent = np.zeros(len(runs))
    for name, (slope, values) in parts.items():
        if slope:
            _require_known(name, values, runs)
            exponent += slope * values
    factor: np.ndarray = np.exp(exponent) * _step(truth, time)
    return factor


def _step(truth: Truth, time: np.ndarray) -> np.ndarray:
    """Factor of the epoch that a time is in; one before the first."""
    dates = [date for date, _ in truth.epoch_steps]
    factors = np.array([1.0, *(factor for _, factor in truth.epoch_steps)])
    steps: np.ndarray = factors[np.searchsorted(dates, time, side="right")]
    return steps


def _require_known(name: str, values: np.ndarray, runs: Sequence[Run]) -> None:
    is_known = np.isfinite(values)
    if not is_known.all():
        raise InputError(
            what=f"the {name} of {(~is_known).sum()} runs is not known",
            where=f"run {runs[int(np.argmin(is_known))].obs_id}",
            fix="Leave these runs out, or leave the law out of [truth]",
        )


def mean_rate_3d(truth: Truth, binning: Binning) -> np.ndarray:
    """Average the true rate over the part of each bin that is in the field.

    Parameters
    ----------
    truth : Truth
        The formula.
    binning : Binning
        Axes, in the alignment of the truth.

    Returns
    -------
    np.ndarray
        Rate per live time, ``(n_energy, n_fov_lon, n_fov_lat)`` [s-1 TeV-1 sr-1]; zero
        beyond the largest offset of the binning.
    """
    fov_lon, fov_lat, weight = _field(binning)
    area = _bin_sums(weight, binning)
    mean = np.zeros(binning.shape_3d)
    nodes, weights = _energy_nodes(truth, binning)
    for i_energy in range(binning.n_energy):
        cells = np.zeros(weight.shape)
        for energy, share in zip(nodes[i_energy], weights[i_energy], strict=True):
            cells += share * rate(truth, energy, fov_lon, fov_lat)
        total = _bin_sums(cells * weight, binning)
        np.divide(total, area, out=mean[i_energy], where=area > 0)
    return mean


def mean_rate_2d(truth: Truth, binning: Binning) -> np.ndarray:
    """Average the true rate over each bin in energy and offset.

    Parameters
    ----------
    truth : Truth
        The formula.
    binning : Binning
        Axes, in the alignment of the truth.

    Returns
    -------
    np.ndarray
        Rate per live time, shape ``(n_energy, n_offset)`` [s-1 TeV-1 sr-1].
    """
    edges = np.minimum(binning.offset_edges, truth.offset_max)
    half = np.diff(edges)[:, np.newaxis] / 2
    offset = np.radians((edges[:-1] + edges[1:])[:, np.newaxis] / 2 + half * _NODES)
    weight = 2 * np.pi * np.sin(offset) * np.radians(half) * _WEIGHTS
    weight /= binning.solid_angle_2d[:, np.newaxis]
    fov_lon, fov_lat = _ring(offset)
    nodes, shares = _energy_nodes(truth, binning)
    mean = np.zeros(binning.shape_2d)
    for i_energy in range(binning.n_energy):
        for energy, share in zip(nodes[i_energy], shares[i_energy], strict=True):
            profile = rate(truth, energy, fov_lon, fov_lat).mean(axis=-1)
            mean[i_energy] += share * (profile * weight).sum(axis=-1)
    return mean


def expected_counts_3d(
    truth: Truth, binning: Binning, *, livetime: float, factor: float = 1.0
) -> np.ndarray:
    """Return the counts expected in each bin when nothing is excluded.

    Parameters
    ----------
    truth : Truth
        The formula.
    binning : Binning
        Axes, in the alignment of the truth.
    livetime : float
        Live time [s].
    factor : float
        True rate of the run over the formula.

    Returns
    -------
    np.ndarray
        Counts, shape ``(n_energy, n_fov_lon, n_fov_lat)``.
    """
    weight = _field(binning)[2]
    whole = _bin_sums(np.broadcast_to(_lat_weight(binning), weight.shape), binning)
    solid_angle = binning.solid_angle_3d * _bin_sums(weight, binning) / whole
    exposure = livetime * factor * solid_angle
    width = binning.energy_width[:, np.newaxis, np.newaxis]
    counts: np.ndarray = mean_rate_3d(truth, binning) * width * exposure
    return counts


def expected_counts_2d(
    truth: Truth, binning: Binning, *, livetime: float, factor: float = 1.0
) -> np.ndarray:
    """Return the counts expected in each bin when nothing is excluded.

    Parameters
    ----------
    truth : Truth
        The formula.
    binning : Binning
        Axes.
    livetime : float
        Live time [s].
    factor : float
        True rate of the run over the formula.

    Returns
    -------
    np.ndarray
        Counts, shape ``(n_energy, n_offset)``.
    """
    exposure = livetime * factor * binning.solid_angle_2d
    width = binning.energy_width[:, np.newaxis]
    counts: np.ndarray = mean_rate_2d(truth, binning) * width * exposure
    return counts


def _offset(fov_lon: np.ndarray, fov_lat: np.ndarray) -> np.ndarray:
    lon, lat = np.radians(fov_lon), np.radians(fov_lat)
    chord = np.sin(lat / 2) ** 2 + np.cos(lat) * np.sin(lon / 2) ** 2
    offset: np.ndarray = np.degrees(2 * np.arcsin(np.sqrt(chord)))
    return offset


def _energy_nodes(truth: Truth, binning: Binning) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes in log E, and weights of a mean over the bin's width.

    A bin that reaches beyond the truth's energies is integrated inside them alone.
    """
    edges = np.clip(binning.energy_edges, truth.energy_min, truth.energy_max)
    low, high = np.log(edges[:-1, np.newaxis]), np.log(edges[1:, np.newaxis])
    nodes = np.exp((low + high) / 2 + (high - low) / 2 * _NODES)
    weights = nodes * _WEIGHTS * (high - low) / 2
    return nodes, weights / binning.energy_width[:, np.newaxis]


def _ring(offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spread offsets (radians, any shape) over all position angles, as last axis."""
    along = np.sin(offset)[..., np.newaxis]
    x = np.broadcast_to(
        np.cos(offset)[..., np.newaxis], (*offset.shape, _POSITION_ANGLES.size)
    )
    y, z = along * np.cos(_POSITION_ANGLES), along * np.sin(_POSITION_ANGLES)
    lon, lat = lon_lat(np.column_stack([x.ravel(), y.ravel(), z.ravel()]))
    return lon.reshape(x.shape), lat.reshape(x.shape)


def _n_cells(edges: np.ndarray) -> int:
    return max(4, int(np.ceil(np.diff(edges).max() / _CELL)))


def _cell_centers(edges: np.ndarray) -> np.ndarray:
    n_cells = _n_cells(edges)
    steps = (np.arange(n_cells) + 0.5) / n_cells
    centers: np.ndarray = edges[:-1, np.newaxis] + np.diff(edges)[:, np.newaxis] * steps
    return centers.ravel()


def _lat_weight(binning: Binning) -> np.ndarray:
    weight: np.ndarray = np.cos(np.radians(_cell_centers(binning.fov_lat_edges)))
    return weight


def _field(binning: Binning) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres of cells and their solid angle, zero outside the field."""
    fov_lon = _cell_centers(binning.fov_lon_edges)[:, np.newaxis]
    fov_lat = _cell_centers(binning.fov_lat_edges)[np.newaxis, :]
    is_inside = _offset(fov_lon, fov_lat) <= binning.offset_max
    return fov_lon, fov_lat, is_inside * _lat_weight(binning)


def _bin_sums(cells: np.ndarray, binning: Binning) -> np.ndarray:
    _, n_lon, n_lat = binning.shape_3d
    shape = (
        n_lon,
        _n_cells(binning.fov_lon_edges),
        n_lat,
        _n_cells(binning.fov_lat_edges),
    )
    sums: np.ndarray = cells.reshape(shape).sum(axis=(1, 3))
    return sums
