from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.stages.report.model_words import energies_with_events, fit_lines
from bkgpipe.stages.report.words import describe
from bkgpipe.stages.smooth.data import NodeModel, RateModel


@pytest.fixture
def node_model(rate_model: RateModel) -> NodeModel:
    return NodeModel(
        stack_id=3,
        obs_id=23523,
        binning=rate_model.binning,
        bkg_3d=np.full(rate_model.rate_3d.shape, 0.5),
        bkg_2d=np.full(rate_model.rate_2d.shape, 0.25),
        n_filled_3d=0,
        n_filled_2d=0,
        fov_alignment="RADEC",
        n_runs=12,
        livetime=18000.0,
        conditions=rate_model.conditions,
    )


def test_all_energies_have_events_unless_said(
    rate_model: RateModel, node_model: NodeModel
):
    assert fit_lines(rate_model) == ["Energies with events: 0.1 to 50 TeV"]
    assert fit_lines(node_model) == ["Energies with events: 0.1 to 50 TeV"]


def test_a_rate_names_its_energies_and_what_is_beyond_the_fit(rate_model: RateModel):
    beyond = ("zenith angle 65 (fit: 5 to 45)", "time 1 (fit: 2 to 3)")
    is_fitted = np.array([False, True, True, True, True, False, False])
    model = replace(rate_model, is_fitted=is_fitted, excursions=beyond)
    low, high = model.binning.energy_edges[[1, 5]]
    lines = fit_lines(model)
    assert lines == [
        f"Energies with events: {low:.4g} to {high:.4g} TeV",
        "Beyond the fit: zenith angle 65 (fit: 5 to 45)",
        "Beyond the fit: time 1 (fit: 2 to 3)",
    ]
    assert "\n".join(lines) in describe(model)


def test_a_rate_without_events(rate_model: RateModel):
    nothing = replace(rate_model, is_fitted=np.zeros(7, dtype=bool))
    assert energies_with_events(nothing) == "none"


def test_a_written_model_tells_its_safe_energy(node_model: NodeModel):
    edges = node_model.binning.energy_edges
    model = replace(node_model, fit_range=edges[[1, 6]], safe_energy=0.871)
    lines = fit_lines(model)
    assert lines == [
        f"Energies with events: {edges[1]:.4g} to {edges[6]:.4g} TeV",
        "Safe from 0.871 TeV on",
    ]
    assert "\n".join(lines) in describe(model)
