from __future__ import annotations

from dataclasses import replace

import numpy as np
from astropy.table import Table

from bkgpipe.stages.count.data import Conservation
from bkgpipe.stages.report.summary import Summary
from bkgpipe.stages.report.words import describe

_SUMMARY = Summary(
    store="/out/store",
    models=("models/bkg_3d_7.fits", "models/bkg_2d_7.fits"),
    n_used=1,
    hours=0.46,
    refused={8: "too short"},
    left_out={10: "zenith", 9: "quality"},
    timing={"count": 1.25, "export": 2.0},
    conservation=Conservation(n_read=5, n_kept=3, n_excluded=2),
)


def test_fit_tells_runs_terms_and_how_well_it_went(fit):
    lines = describe(fit).splitlines()

    assert lines == [
        "Regression of 42 runs, 20.00 h live time",
        "Energies: 0.5 to 20 TeV, FOVALIGN ALTAZ",
        (
            "Below the safe energy of a run: fitted from 0.40 times that on; norms of "
            "single runs and energies scatter by 62.00%"
        ),
        "Terms: zenith, and 2 splines in offset",
        "Without the term muon: it is missing in 2 runs",
        "Coefficients: 12, effective degrees of freedom 9.2, 7 Newton steps",
        "Deviance: 1234.5",
        "Scatter of single runs beyond Poisson noise: 3.10%",
        "Penalties: penalty 2, term_penalty 30, ridge 400",
        "Condition cos_zenith: 0.8 +- 0.1, from 0.6 to 0.95",
        "Counts of all runs at their safe energies:",
        "  0.3 to 1 TeV: 940 counted, 930.0 in the fit, +0.3 sigma",
        "  1 to 4 TeV: 100 counted, 121.0 in the fit, -1.9 sigma",
        "  4 to 100 TeV: 16 counted, 16.4 in the fit, -0.1 sigma",
    ]


def test_fit_of_safe_energies_alone(fit):
    bare = replace(
        fit,
        low_knots=np.zeros(0),
        low_coefficients=np.zeros((0, 0)),
        covariance=np.zeros((12, 12)),
        residual=np.zeros((2, 4)),
    )
    text = describe(bare)
    assert "Below the safe energy of a run: nothing was fitted" in text
    assert "at their safe energies" not in text


def test_fit_without_terms_and_scatter(fit):
    text = describe(replace(fit, terms=(), scatter=float("nan")))

    assert "Terms: none, and 2 splines in offset" in text
    assert "beyond Poisson noise: unknown" in text


def test_penalties_that_were_tried_are_listed(fit):
    trials = np.array([[1, 10, 100, 500.0, 0.0], [10, 10, 100, 503.5, 1.25]])

    lines = describe(replace(fit, trials=trials)).splitlines()

    assert lines[-3] == "Penalties tried, and the deviance of nights left out:"
    assert lines[-2] == "  1, 10, 100: 500.0, 0.0 +- 0.0 above the least"
    assert lines[-1] == "  10, 10, 100: 503.5, 3.5 +- 1.2 above the least"


def test_summary_tells_runs_hours_and_time():
    assert describe(_SUMMARY).splitlines() == [
        "Runs: 1 used (0.46 h live time), 2 not selected, 1 refused, 0 not stacked",
        "Events: 5 read, 3 kept",
        "Models: 2",
        "Store: /out/store",
        "Time of all tasks: count 1.2 s, export 2.0 s",
        "Refused:",
        "  run 8: too short",
        "Not selected:",
        "  run 9: quality",
        "  run 10: zenith",
    ]


def test_summary_lists_some_of_many_runs():
    many = replace(
        _SUMMARY, left_out=dict.fromkeys(range(30), "zenith"), refused={}, timing={}
    )

    lines = describe(many).splitlines()

    assert lines[-1] == "  and 20 more"
    assert "Refused:" not in lines
    assert "Time of all tasks: unknown" in lines


def test_table_has_all_rows_with_units():
    table = Table({"GROUP_ID": np.arange(60), "ZENITH": np.linspace(0, 59, 60)})
    table["ZENITH"].unit = "deg"

    lines = describe(table).splitlines()

    assert lines[0] == "60 rows"
    assert lines[1].split() == ["GROUP_ID", "ZENITH"]
    assert lines[2].split() == ["deg"]
    assert lines[-1].split() == ["59", "59.0"]
