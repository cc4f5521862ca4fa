"""What the rates of a model rest on, in words."""

from __future__ import annotations

import numpy as np

from bkgpipe.stages.smooth.data import NodeModel, RateModel

__all__ = ["energies_with_events", "fit_lines"]


def energies_with_events(model: RateModel | NodeModel) -> str:
    """Name the energies of a model that have events.

    Parameters
    ----------
    model : RateModel or NodeModel
        The model.

    Returns
    -------
    str
        Words such as ``0.5 to 30 TeV``.
    """
    edges = model.binning.energy_edges
    if not model.is_fitted.size:
        return _range(edges[0], edges[-1])
    fitted = np.flatnonzero(model.is_fitted)
    return _range(edges[fitted[0]], edges[fitted[-1] + 1]) if fitted.size else "none"


def fit_lines(model: RateModel | NodeModel) -> list[str]:
    """Say at which energies and conditions a model can be relied on.

    Parameters
    ----------
    model : RateModel or NodeModel
        The model.

    Returns
    -------
    list of str
        Energies with events, safe energy where it is known, and a line for each
        condition of the run that is beyond the fit.
    """
    lines = [f"Energies with events: {energies_with_events(model)}"]
    if isinstance(model, NodeModel) and np.isfinite(model.safe_energy):
        lines.append(f"Safe from {model.safe_energy:.4g} TeV on")
    return [*lines, *(f"Beyond the fit: {words}" for words in model.excursions)]


def _range(low: float, high: float) -> str:
    return f"{low:.4g} to {high:.4g} TeV"
