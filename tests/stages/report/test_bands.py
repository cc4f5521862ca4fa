from __future__ import annotations

from dataclasses import replace

import numpy as np

from bkgpipe.stages.report.bands import (
    band_name,
    band_rate,
    empty_bands,
    energy_bands,
    has_events,
    rate_errors,
)
from bkgpipe.stages.smooth.data import RateModel


def test_bands_hold_each_seen_energy_once(rate_model: RateModel):
    bands = energy_bands(rate_model)
    # the two lowest of seven bins were below the safe energy
    np.testing.assert_array_equal(np.concatenate(bands), np.arange(2, 7))
    assert len(bands) == 4


def test_without_exposure_all_energies_are_taken(rate_model: RateModel):
    unseen = replace(rate_model, exposure_3d=np.zeros(rate_model.binning.shape_3d))
    np.testing.assert_array_equal(np.concatenate(energy_bands(unseen)), np.arange(7))


def test_rates_of_bands_add_up(rate_model: RateModel):
    binning = rate_model.binning
    total = sum(
        band_rate(rate_model.rate_2d, binning, band)
        for band in energy_bands(rate_model)
    )
    np.testing.assert_allclose(total, binning.energy_width @ rate_model.rate_2d)


def test_a_band_is_named_by_its_ends(rate_model: RateModel):
    edges = rate_model.binning.energy_edges
    name = band_name(rate_model.binning, np.array([3, 4]))
    assert name == f"{edges[3]:.3g} to {edges[5]:.3g} TeV"


def test_errors_are_absolute_or_unknown(rate_model: RateModel):
    assert np.isnan(rate_errors(rate_model)).all()
    known = replace(rate_model, error_2d=np.full(rate_model.rate_2d.shape, 0.25))
    np.testing.assert_allclose(rate_errors(known), rate_model.rate_2d / 4)


def test_bands_are_of_energies_with_events(rate_model: RateModel):
    is_fitted = np.array([False, False, False, True, True, True, False])
    model = replace(rate_model, is_fitted=is_fitted)
    np.testing.assert_array_equal(has_events(model), is_fitted)
    assert [band.tolist() for band in energy_bands(model)] == [[3], [4], [5]]
    assert [band.tolist() for band in empty_bands(model)] == [[0, 1, 2], [6]]


def test_all_energies_have_events_unless_said(rate_model: RateModel):
    assert has_events(rate_model).all()
    assert empty_bands(rate_model) == []


def test_without_events_there_are_no_bands(rate_model: RateModel):
    nothing = replace(rate_model, is_fitted=np.zeros(7, dtype=bool))
    assert energy_bands(nothing) == []
    assert [band.tolist() for band in empty_bands(nothing)] == [list(range(7))]
