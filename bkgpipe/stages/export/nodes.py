"""Make the values that are written to background files from mean rates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.core.run import Run
from bkgpipe.errors import InputError, NoEventsError
from bkgpipe.stages.export.interpolation import (
    EnergyAxis,
    NodeGrid,
    latitude_axis,
    longitude_axis,
    offset_axis,
    single_axis,
    solve_nodes,
)
from bkgpipe.stages.smooth.data import NodeModel, RateModel
from bkgpipe.stages.smooth.holes import fill_holes
from bkgpipe.stages.smooth.radial import squared_offset_2d, squared_offset_3d
from bkgpipe.stages.stack.uncertainty import HOLE_ERROR

__all__ = ["make_node_model", "node_model_for_run"]


def make_node_model(model: RateModel, *, fov_alignment: str) -> NodeModel:
    """Make the model of a stack as it is written: per on-time, at bin centres.

    The axis is cut to the energies that have events. Holes are filled, nodes are solved
    for which keep the counts of the bins when gammapy integrates them, and all is
    multiplied by the dead-time fraction. A node has the relative error of its bin, or
    that of Jeffreys' prior where a hole was filled.

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
    energies = _written_energies(model)
    fit_range, binning = _fit_range(model), model.binning.cut(energies)
    bkg_3d, is_hole_3d = _nodes(
        model.rate_3d[energies],
        model.exposure_3d[energies],
        _grid_3d(binning),
        squared_offset=squared_offset_3d(binning),
        where=where,
    )
    # two dimensions are three with one bin in the field's first axis
    bkg_2d, is_hole_2d = _nodes(
        model.rate_2d[energies, np.newaxis],
        model.exposure_2d[energies, np.newaxis],
        _grid_2d(binning),
        squared_offset=squared_offset_2d(binning)[np.newaxis],
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
        error_3d=_error(model.error_3d[energies], is_hole_3d),
        error_2d=_error(model.error_2d[energies], is_hole_2d[:, 0]),
        systematic=model.systematic,
        systematic_energy=model.systematic_energy[energies],
        fit_range=fit_range,
        is_filled_3d=is_hole_3d,
        is_filled_2d=is_hole_2d[:, 0],
        excursions=model.excursions,
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


def _written_energies(model: RateModel) -> slice:
    """Return the energies that have events, or a neighbour more for readers.

    They interpolate between two energies at least, and tell the axes of a file apart by
    their lengths.
    """
    n_energy, *n_places = model.binning.shape_3d
    n_places.append(model.binning.shape_2d[1])
    if not model.is_fitted.any():
        return slice(0, n_energy)
    start, stop = np.flatnonzero(model.is_fitted)[[0, -1]] + [0, 1]
    while (stop - start < 2 or stop - start in n_places) and stop - start < n_energy:
        start, stop = (start, stop + 1) if stop < n_energy else (start - 1, stop)
    return slice(int(start), int(stop))


def _fit_range(model: RateModel) -> np.ndarray:
    fitted = np.flatnonzero(model.is_fitted)
    if not fitted.size:
        return np.empty(0)
    return model.binning.energy_edges[[fitted[0], fitted[-1] + 1]]


def _nodes(
    rate: np.ndarray,
    exposure: np.ndarray,
    grid: NodeGrid,
    *,
    squared_offset: np.ndarray,
    where: str,
) -> tuple[np.ndarray, np.ndarray]:
    if not rate.any():
        raise NoEventsError(
            what="the rate is zero in all bins",
            where=where,
            fix="Stack more runs, or lower the safe energy or the [binning] range",
        )
    filled, is_hole = fill_holes(
        rate, exposure, grid.energy.edges, squared_offset=squared_offset
    )
    return solve_nodes(filled, grid), is_hole


def _error(error: np.ndarray, is_hole: np.ndarray) -> np.ndarray:
    """Keep the relative error of each bin; that of the prior where it was filled."""
    return np.where(is_hole, HOLE_ERROR, error) if error.size else error


def _grid_3d(binning: Binning) -> NodeGrid:
    return NodeGrid(
        energy=EnergyAxis(edges=binning.energy_edges),
        first=longitude_axis(binning.fov_lon_edges),
        second=latitude_axis(binning.fov_lat_edges),
    )


def _grid_2d(binning: Binning) -> NodeGrid:
    return NodeGrid(
        energy=EnergyAxis(edges=binning.energy_edges),
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
