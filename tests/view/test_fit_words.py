from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from bkgpipe.view.fit_words import misfit_words, residual_lines


@pytest.fixture
def make_fit():
    def make(counted):
        expected = np.array([0.0, 400.0, 100.0])
        return SimpleNamespace(
            energy_edges=np.array([0.1, 0.5, 2.0, 80.0]),
            residual=np.array([counted, expected]),
            pulls=np.array([np.nan, *((np.array(counted) - expected)[1:] / [20, 10])]),
        )

    return make


def test_each_energy_with_events_has_a_line(make_fit):
    assert residual_lines(make_fit([0.0, 410.0, 85.0])) == [
        "0.5 to 2 TeV: 410 counted, 400.0 in the fit, +0.5 sigma",
        "2 to 80 TeV: 85 counted, 100.0 in the fit, -1.5 sigma",
    ]


def test_energies_beyond_three_sigma_are_named(make_fit):
    assert misfit_words(make_fit([0.0, 459.0, 71.0])) == ""
    assert misfit_words(make_fit([0.0, 462.0, 68.0])) == (
        "0.5 to 2 TeV (counted/expected 1.155, +3.1 sigma), "
        "2 to 80 TeV (counted/expected 0.680, -3.2 sigma)"
    )
