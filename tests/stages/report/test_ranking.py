from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.stages.rank.data import REASONS, Ranking
from bkgpipe.stages.report.data import Report
from bkgpipe.stages.report.figures import make_figure
from bkgpipe.stages.report.pages import make_pages
from bkgpipe.stages.report.ranking import (
    describe_ranking,
    figure_ranking,
    figure_rankings,
    ranking_rows,
    worst_first,
)
from bkgpipe.stages.report.words import describe

_NOBODY = {
    "obs_ids": np.empty(0, dtype=int),
    "divergence": np.empty(0),
    "livetime": np.empty(0),
    "scale": np.empty(0),
    "reason": np.empty(0, dtype=int),
    "n_by_reason": np.zeros(len(REASONS), dtype=int),
    "is_short": True,
}


@pytest.fixture(scope="module")
def nobody(ranking: Ranking) -> Ranking:
    return replace(ranking, obs_id=5, **_NOBODY)


@pytest.fixture(scope="module")
def many(ranking: Ranking, nobody: Ranking) -> list[Ranking]:
    found = [
        replace(ranking, obs_id=100 + i, divergence=ranking.divergence * i)
        for i in range(120)
    ]
    return [*found, nobody]


def test_ranking_lists_runs_in_order(ranking: Ranking):
    lines = describe(ranking).splitlines()
    assert lines[1] == (
        "Candidates: 21 (2 taken, 1 beyond the hours, 1 own run, 9 zenith, "
        "8 muon efficiency)"
    )
    assert lines[2] == "Taken: 2 runs, 0.86 h live time"
    assert lines[3] == (
        "  run 20136: divergence 0.01250 nat, 0.42 h, rate x 1.000: taken"
    )
    assert lines[5].endswith("0.47 h, rate x 1.250: beyond the hours")


def test_ranking_says_when_it_is_short_widened_and_cut(ranking: Ranking):
    short = replace(ranking, is_short=True, widened=1.25)
    text = describe_ranking(short, n_listed=1)
    assert "0.86 h live time, fewer hours than asked for" in text
    assert "Limits widened by the factor 1.25" in text
    assert text.endswith("  and 2 more")


def test_ranking_of_nobody_in_words(nobody: Ranking):
    assert "Candidates: 0 (none)" in describe(nobody)


def test_runs_without_common_bins_have_no_shape(ranking: Ranking):
    divergence = np.array([0.1, np.inf, np.nan])
    lines = describe(replace(ranking, divergence=divergence)).splitlines()
    assert [("no shape" in line) for line in lines[3:]] == [False, True, True]


def test_ranking_adds_up_hours(ranking: Ranking):
    figure = figure_ranking(ranking)
    divergence, reasons = figure.axes
    taken, beyond, _ = divergence.lines
    np.testing.assert_allclose(taken.get_xdata(), [1500 / 3600, 3100 / 3600])
    np.testing.assert_allclose(beyond.get_xdata(), [4800 / 3600])
    assert [bar.get_width() for bar in reasons.patches] == [8, 9, 1, 1, 2]
    assert make_figure(ranking).axes
    figure.draw_without_rendering()


def test_refused_runs_add_no_hours(ranking: Ranking):
    figure = figure_ranking(replace(ranking, reason=np.array([0, 5, 1])))
    taken, beyond, _ = figure.axes[0].lines
    np.testing.assert_allclose(beyond.get_xdata(), [3200 / 3600])
    assert len(taken.get_xdata()) == 1


def test_nobody_renders(nobody: Ranking):
    figure_ranking(nobody).draw_without_rendering()
    figure_rankings([nobody]).draw_without_rendering()


def test_overview_shows_which_runs_were_taken(many: list[Ranking]):
    figure = figure_rankings(many)
    matrix, divergence, often, _ = figure.axes
    taken = matrix.collections[0].get_array()
    assert taken.shape == (121, 2)  # two runs were taken for each but one
    assert taken.sum() == 240
    np.testing.assert_array_equal(often.lines[0].get_ydata(), [120, 120])
    assert len(divergence.lines) == 3
    figure.draw_without_rendering()


def test_matrix_of_many_targets_is_binned(many: list[Ranking]):
    figure = figure_rankings(many * 3)
    taken = figure.axes[0].collections[0].get_array()
    assert taken.shape == (200, 2)
    assert taken.max() == pytest.approx(1.1, abs=0.01)


def test_table_is_bounded_and_the_worst_come_first(many: list[Ranking]):
    rows = ranking_rows(many)
    assert len(rows) == 50
    assert [row["run"] for row in rows[:3]] == ["5", "219", "218"]
    assert rows[0]["hours taken"] == "0.00 (short)"
    assert rows[0]["largest divergence [nat]"] == "-"
    assert rows[1] | {"largest divergence [nat]": ""} == {
        "run": "219",
        "hours taken": "0.86",
        "largest divergence [nat]": "",
        "limits widened by": "-",
        "taken": "2",
        "beyond the hours": "1",
        "own run": "1",
        "zenith": "9",
        "muon efficiency": "8",
    }
    assert worst_first(many)[-1].obs_id == 100


def test_page_shows_rankings(report: Report, many: list[Ranking]):
    html = make_pages(replace(report, rankings=tuple(many)))["index.html"]
    assert "50 of 121 targets" in html
    assert "<td>0.00 (short)</td>" in html
    assert "Matrix of targets and the runs taken for them" in html


def test_page_of_other_strategies_does_not(report: Report):
    html = "".join(make_pages(report).values())
    assert "why not the others" not in html
