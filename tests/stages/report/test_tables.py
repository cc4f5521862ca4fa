from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.run import RunTable
from bkgpipe.plot.pages import Table
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.report.data import Report, note_model
from bkgpipe.stages.report.dependence import Dependence, RunRate
from bkgpipe.stages.report.lists import (
    plain_table,
    region_table,
    residual_table,
    shares_table,
    validation_table,
)
from bkgpipe.stages.report.tables import (
    groups_table,
    models_table,
    outliers_table,
    reasons_table,
    runs_table,
)
from bkgpipe.stages.validate.data import ScoreSummary, ValidationSummary


def _rate(obs_id: int, **changes: float) -> RunRate:
    values = {
        "stack_id": 3,
        "safe_energy_min": 0.5,
        "kept_fraction": 0.875,
        "checksum": "0123456789abcdef" * 4,
        "n_events": 12345,
        "counts": 400,
        "exposure": 10.0,
        "predicted": 500.0,
    }
    return RunRate(obs_id=obs_id, **(values | changes))


def _texts(table: Table) -> list[dict[str, str]]:
    for row in table.rows:
        assert len(row) == len(table.columns)
    return [
        dict(zip(table.columns, (cell.text for cell in row), strict=True))
        for row in table.rows
    ]


@pytest.fixture
def rated(report: Report) -> Report:
    return replace(report, dependence=Dependence(energy_min=0.7, runs=(_rate(23523),)))


def test_all_runs_are_listed_with_what_became_of_them(rated: Report):
    rows = _texts(runs_table(rated))
    assert [row["run"] for row in rows] == ["20136", "20137", "23523"]
    assert [row["state"] for row in rows] == ["refused", "not selected", "used"]
    assert rows[0]["reason"] == "truncated events file"
    assert rows[1]["reason"] == "zenith 61.0 deg > 60 deg"
    assert rows[0]["events kept"] == "-"
    used = rows[2]
    assert used["start [TT]"] == "2004-12-04 22:04"
    assert (used["events kept"], used["field kept [%]"]) == ("12,345", "87.5")
    assert (used["rate [s-1 sr-1]"], used["counted / predicted"]) == ("40", "0.800")
    assert used["SHA-256 of events"] == "0123456789ab"


def test_runs_that_were_counted_but_not_stacked_say_why(rated: Report):
    rows = _texts(runs_table(replace(rated, unfit={23523: "no exposure"})))
    assert (rows[2]["state"], rows[2]["reason"]) == ("not stacked", "no exposure")


def test_a_run_links_to_its_model_if_that_was_drawn(rated: Report):
    column = runs_table(rated).columns.index("model")
    assert runs_table(rated).rows[2][column].href == "model-3.html"
    undrawn = runs_table(replace(rated, models=()))
    assert (undrawn.rows[2][column].text, undrawn.rows[2][column].href) == ("3", "")
    orphan = Dependence(energy_min=0.7, runs=(_rate(23523, stack_id=-1),))
    assert runs_table(replace(rated, dependence=orphan)).rows[2][column].text == "-"


def test_runs_without_a_date_have_a_dash(rated: Report, make_crab):
    table = RunTable(runs=(make_crab(time_start=float("nan")),))
    assert _texts(runs_table(replace(rated, table=table)))[0]["start [TT]"] == "-"
    assert runs_table(replace(rated, table=RunTable(runs=()))).rows == ()


def test_the_runs_that_differ_most_come_first(report: Report, make_crab):
    table = RunTable(runs=tuple(make_crab(obs_id=i) for i in range(30)))
    rates = (
        *(_rate(i, counts=500 + i) for i in range(20)),
        _rate(20, counts=300),
        _rate(21, exposure=0.0),
        _rate(22, predicted=float("nan")),
        _rate(99, counts=0),
    )
    full = replace(report, table=table, dependence=Dependence(runs=rates))
    rows = _texts(outliers_table(full))
    # run 99 is in no table, and stands before all others
    assert [row["run"] for row in rows[:3]] == ["20", "19", "18"]
    assert rows[0]["pull"] == "-8.9"
    assert len(rows) == 11


def test_reasons_are_counted_whatever_their_numbers():
    reasons = ["zenith 61.0 deg > 60 deg", "truncated", "zenith 75.3 deg > 60 deg"]
    rows = _texts(reasons_table(reasons))
    assert rows == [
        {"runs": "2", "reason of the first": "zenith 61.0 deg > 60 deg"},
        {"runs": "1", "reason of the first": "truncated"},
    ]


def test_groups_link_to_their_models(group):
    (row,) = _texts(groups_table([group], {2}))
    assert (row["group"], row["runs"], row["live time [h]"]) == ("2", "3", "1.33")
    assert row["zenith cell [deg]"] == "20 to 30"
    assert row["joined by"] == "zenith 0-20 azimuth -90-90"
    assert groups_table([group], {2}).rows[0][0].href == "model-2.html"
    assert groups_table([group], set()).rows[0][0].href == ""


def test_models_are_listed_with_their_errors(rate_model):
    error = np.full(rate_model.rate_2d.shape, 0.05)
    model = replace(rate_model, error_2d=error, systematic=0.04)
    (row,) = _texts(models_table([note_model(model)], kind="group"))
    assert (row["group"], row["runs behind it"]) == ("3", "12")
    assert row["statistical error [%]"] == "5.00"
    assert row["scatter of runs [%]"] == "4.00"
    (unknown,) = _texts(models_table([note_model(rate_model)], kind="run"))
    assert unknown["statistical error [%]"] == unknown["scatter of runs [%]"] == "-"


def test_regions_are_listed():
    region = ExclusionRegion(
        name="Vela X",
        origin="gammacat",
        ra=128.8,
        dec=-45.2,
        radius=0.9,
        is_capped=True,
    )
    (row,) = _texts(region_table([region]))
    assert row["Dec [deg]"] == "-45.200"
    assert row["radius cut by max_radius"] == "yes"


def test_shares_tell_what_events_would_do_to_the_rate(report: Report):
    first, second = _texts(shares_table(report.kept_shares))
    assert (first["run"], first["rate by events"]) == ("23523", "+56%")
    assert second["rate by events"] == "+inf%"
    # it is sorted, too
    assert shares_table(report.kept_shares).rows[1][-1].value == 1e9


def test_noise_stands_below_each_model():
    score = ScoreSummary(
        name="ours",
        n_runs=3,
        n_events=1500,
        deviance=(1.1, 1.05, 1.0),
        noise=(0.99, 0.98, 0.97),
        ratio=1.01,
        ratio_spread=0.1,
        pull=-0.2,
        pull_spread=1.3,
        n_unpredicted=4,
    )
    validation = ValidationSummary(
        models=(score,),
        n_folds=5,
        kept_together="night",
        energy_min=0.5,
        energy_max=30.0,
        n_left_out=2,
    )
    ours, noise = _texts(validation_table(validation))
    assert ours["deviance / dof, as predicted"] == "1.1000"
    assert noise["deviance / dof, as predicted"] == "0.9900"
    assert ours["predicted / counted per run"] == "1.010 \N{PLUS-MINUS SIGN} 0.100"
    assert ours["pulls"] == "-0.20 \N{PLUS-MINUS SIGN} 1.30"


def test_counts_and_fit_are_compared_by_energy(fit):
    table = residual_table(fit)
    rows = _texts(table)
    assert len(rows) == 3
    assert list(rows[1].values()) == ["1", "4", "100", "121.0", "0.826", "-1.9"]


def test_plain_tables_keep_their_words():
    rows = [{"run": "1", "hours": "2.0"}, {"run": "2", "hours": ""}]
    assert _texts(plain_table("x", rows)) == [rows[0], {"run": "2", "hours": "-"}]
    assert plain_table("x", []).rows == ()
