from __future__ import annotations

from dataclasses import replace

import numpy as np

from bkgpipe.stages.report.fit_words import misfit_words, residual_lines


def test_each_energy_with_events_has_a_line(fit):
    assert residual_lines(fit) == [
        "0.3 to 1 TeV: 940 counted, 930.0 in the fit, +0.3 sigma",
        "1 to 4 TeV: 100 counted, 121.0 in the fit, -1.9 sigma",
        "4 to 100 TeV: 16 counted, 16.4 in the fit, -0.1 sigma",
    ]


def test_energies_within_three_sigma_are_not_named(fit):
    assert misfit_words(fit) == ""


def test_energies_beyond_three_sigma_are_named(fit):
    residual = np.array([[462.0, 71.0, 68.0, 0.0], [400.0, 100.0, 100.0, 0.0]])
    assert misfit_words(replace(fit, residual=residual)) == (
        "0.3 to 1 TeV (counted/expected 1.155, +3.1 sigma), "
        "4 to 100 TeV (counted/expected 0.680, -3.2 sigma)"
    )
