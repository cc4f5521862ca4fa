"""Make the values that are written to background files from mean rates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from bkgpipe.datamodel import Binning, NodeModel, RateModel, Run
from bkgpipe.errors import InputError, NoEventsError
from bkgpipe.numerics.interpolation import (
    NodeGrid,
    latitude_axis,
    longitude_axis,
    offset_axis,
    single_axis,
    solve_nodes,
)
from bkgpipe.numerics.uncertainty import HOLE_ERROR

__all__ = ["fill_holes", "make_node_model", "node_model_for_run"]

_PSEUDO_COUNT = 0.5  # Jeffreys' prior of a Poisson mean, as in `rank`
_MIN_EXPECTED = 1.0  # events per bin, in the mean over a neighbourhood, to trust it
_HOLE = 0.01  # of what is expected: less is no rate, but the tail of a smoothed event
_NEIGHBOURHOODS = ((2.0, 0.0, 0.0), (2.0, 1.0, 1.0))  # reach in bins, best first
_DECADE = np.log(10)
_STEEPEST, _FLATTEST, _USUAL = (
    -5.0,
    -1.0,
    -3.0,
)  # spectral index of cosmic-ray background


def make_node_model(model: RateModel, *, fov_alignment: str) -> NodeModel:
    """Make the model of a stack as it is written: per on-time, at bin centres.

    Holes are filled, nodes are solved for which keep the counts of the bins when
    gammapy integrates them, and all is multiplied by the dead-time fraction. A node has
    the relative error of its bin, or that of Jeffreys' prior where a hole was filled.

    Parameters
    ----------
    model : RateModel
        Mean rates per live time.
    fov_alignment : {"ALTAZ", "RADEC"}
        Frame of the field of view.

    Returns
    -------
    NodeModel
        Positive and finite everywhere; its ``obs_id`` is -1.

    Raises
    ------
    NoEventsError
        If no bin has a rate.
    InputError
        If the dead-time fraction of the stack is unknown.
    """
    where = f"stack {model.stack_id}"
    deadc = _require_deadc(model.conditions.deadc, where=where)
    binning = model.binning
    bkg_3d, is_hole_3d = _nodes(
        model.rate_3d, model.exposure_3d, _grid_3d(binning), where=where
    )
    # two dimensions are three with one bin in the field's first axis
    bkg_2d, is_hole_2d = _nodes(
        model.rate_2d[:, np.newaxis],
        model.exposure_2d[:, np.newaxis],
        _grid_2d(binning),
        where=where,
    )
    return NodeModel(
        stack_id=model.stack_id,
        obs_id=-1,
        binning=binning,
        bkg_3d=bkg_3d * deadc,
        bkg_2d=bkg_2d[:, 0] * deadc,
        n_filled_3d=int(is_hole_3d.sum()),
        n_filled_2d=int(is_hole_2d.sum()),
        fov_alignment=fov_alignment,
        n_runs=model.n_runs,
        livetime=model.livetime,
        conditions=model.conditions,
        error_3d=_error(model.error_3d, is_hole_3d),
        error_2d=_error(model.error_2d, is_hole_2d[:, 0]),
        systematic=model.systematic,
    )


def node_model_for_run(node_model: NodeModel, run: Run) -> NodeModel:
    """Rescale the model of a stack to the dead time of one run.

    Parameters
    ----------
    node_model : NodeModel
        Model of the stack, per on-time.
    run : Run
        The run that it is for.

    Returns
    -------
    NodeModel
        The same rate per live time, times the dead-time fraction of the run.

    Raises
    ------
    InputError
        If the dead-time fraction of the run is unknown.
    """
    deadc = _require_deadc(run.deadc, where=f"run {run.obs_id}")
    factor = deadc / node_model.conditions.deadc
    return replace(
        node_model,
        obs_id=run.obs_id,
        bkg_3d=node_model.bkg_3d * factor,
        bkg_2d=node_model.bkg_2d * factor,
        conditions=replace(node_model.conditions, deadc=deadc),
    )


def fill_holes(
    rate: np.ndarray, exposure: np.ndarray, energy_edges: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give bins without counts or exposure the rate to expect there.

    Expected is m = R S: R the norm at that energy, from the part of the field that was
    seen, S the shape of the field: (n + 1/2) / (sum of R x exposure x energy width
    + 1/2) for n counts over the energies around (or all bins around, or at the nearest
    bin with enough of them).
    At energies without counts R is continued from the others as a power law, in both
    directions: a step there would reach into the nodes of the energy next to it.

    A bin with less than a hundredth of m is a hole. Where it has been seen with
    exposure x width = w, it gets the mean of the posterior for no event and a prior of
    1/2 event and mean m: 1/2 / (w + 1/2 / m), which is m when w is 0, and at most
    1/2 / w. At an energy with such bins counts are so few that the other bins get their
    posterior mean as well, (n + 1/2) / (w + 1/2 / m) for n counts: a single event would
    stand out a thousandfold, and all but vanish when log(rate) is interpolated. Then
    all bins seen at an energy that has counts are rescaled so that their sum is kept.

    Parameters
    ----------
    rate : np.ndarray
        Mean rate, zero in holes, ``(n_energy, n_first, n_second)`` [s-1 TeV-1 sr-1].
    exposure : np.ndarray
        Exposure, same shape [s sr].
    energy_edges : np.ndarray
        Edges in energy, shape ``(n_energy + 1,)`` [TeV].

    Returns
    -------
    filled : np.ndarray
        Rate, larger than zero, same shape and unit.
    is_hole : np.ndarray
        True for the holes, same shape.

    References
    ----------
    Gelman et al. 2013, Bayesian Data Analysis, section 2.6 (Poisson with gamma prior).
    """
    seen = exposure * np.diff(energy_edges)[:, np.newaxis, np.newaxis]
    counts = rate * seen
    flat = _spectrum(counts, seen, energy_edges)
    shape = _field_shape(counts, flat * seen)
    mean = _spectrum(counts, shape * seen, energy_edges) * shape
    is_hole = rate < _HOLE * mean
    is_sparse = (is_hole & (seen > 0)).any(axis=(1, 2), keepdims=True)
    filled = np.where(is_hole | is_sparse, _posterior_mean(counts, seen, mean), rate)
    wanted = counts.sum(axis=(1, 2), keepdims=True)
    found = (filled * seen).sum(axis=(1, 2), keepdims=True)
    factor = np.ones(wanted.shape)
    np.divide(wanted, found, out=factor, where=wanted > 0)
    filled = np.where(seen > 0, filled * factor, filled)
    return filled, is_hole


def _nodes(
    rate: np.ndarray, exposure: np.ndarray, grid: NodeGrid, *, where: str
) -> tuple[np.ndarray, np.ndarray]:
    if not rate.any():
        raise NoEventsError(
            what="the rate is zero in all bins",
            where=where,
            fix="Stack more runs, or lower the safe energy or the [binning] range",
        )
    filled, is_hole = fill_holes(rate, exposure, grid.energy_edges)
    return solve_nodes(filled, grid), is_hole


def _error(error: np.ndarray, is_hole: np.ndarray) -> np.ndarray:
    """Keep the relative error of each bin; that of the prior where it was filled."""
    return np.where(is_hole, HOLE_ERROR, error) if error.size else error


def _grid_3d(binning: Binning) -> NodeGrid:
    return NodeGrid(
        energy_edges=binning.energy_edges,
        first=longitude_axis(binning.fov_lon_edges),
        second=latitude_axis(binning.fov_lat_edges),
    )


def _grid_2d(binning: Binning) -> NodeGrid:
    return NodeGrid(
        energy_edges=binning.energy_edges,
        first=single_axis(),
        second=offset_axis(binning.offset_edges),
    )


def _require_deadc(deadc: float, *, where: str) -> float:
    if not deadc > 0:
        raise InputError(
            what=f"the dead-time fraction is {deadc}, so there is no rate per on-time",
            where=where,
            fix="Give DEADC, or LIVETIME and ONTIME, in the observation table",
        )
    return deadc


def _posterior_mean(
    counts: np.ndarray | float, seen: np.ndarray, mean: np.ndarray
) -> np.ndarray:
    posterior: np.ndarray = (counts + _PSEUDO_COUNT) / (seen + _PSEUDO_COUNT / mean)
    return posterior


def _spectrum(
    counts: np.ndarray, seen: np.ndarray, energy_edges: np.ndarray
) -> np.ndarray:
    """Return the norm of the rate at each energy, shape ``(n_energy, 1, 1)``."""
    counts, seen = counts.sum(axis=(1, 2)), seen.sum(axis=(1, 2))
    has_counts = counts > 0
    log_energy = np.log(energy_edges[1:] * energy_edges[:-1]) / 2
    known = log_energy[has_counts]
    log_rate = np.log(counts[has_counts] / seen[has_counts])
    continued = np.interp(log_energy, known, log_rate)
    weight = np.sqrt(counts[has_counts])
    above = np.maximum(log_energy - known[-1], 0)
    below = np.minimum(log_energy - known[0], 0)
    last, first = known >= known[-1] - _DECADE, known <= known[0] + _DECADE
    continued += above * _slope(known[last], log_rate[last], weight[last])
    continued += below * _slope(known[first], log_rate[first], weight[first])
    # an energy seen without any event has a lower rate than the others suggest
    norm = np.where(
        has_counts, np.exp(continued), _posterior_mean(0.0, seen, np.exp(continued))
    )
    return norm[:, np.newaxis, np.newaxis]


def _slope(log_energy: np.ndarray, log_rate: np.ndarray, weight: np.ndarray) -> float:
    """Return the spectral index of a straight line through some energies."""
    if log_energy.size < 2:
        return _USUAL
    slope = np.polyfit(log_energy, log_rate, 1, w=weight)[0]
    return float(np.clip(slope, _STEEPEST, _FLATTEST))


def _field_shape(counts: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return counts over those expected of a flat field, from the neighbourhood."""
    shape = np.ones(counts.shape)
    is_known = np.zeros(counts.shape, dtype=bool)
    for reach in _NEIGHBOURHOODS:
        near = gaussian_filter(counts, reach, mode="constant")
        near_expected = gaussian_filter(expected, reach, mode="constant")
        is_new = ~is_known & (near_expected >= _MIN_EXPECTED)
        ratio = (near + _PSEUDO_COUNT) / (near_expected + _PSEUDO_COUNT)
        shape[is_new] = ratio[is_new]
        is_known |= is_new
    if not is_known.any():
        return shape
    nearest = distance_transform_edt(
        ~is_known, return_distances=False, return_indices=True
    )
    filled: np.ndarray = shape[tuple(nearest)]
    return filled
