from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bkgpipe.plot.images import save_figure
from bkgpipe.stages.report.axes import axes_picture, axes_table
from bkgpipe.stages.validate.axes_data import (
    RANGES,
    AxesTest,
    AxisScore,
    EnergyAxis,
    summarise_axes,
)
from bkgpipe.stages.validate.axes_view import describe_axes, figure_axes


def _score(energies: str, steps: int) -> AxisScore:
    counts = np.full(2 * steps, 400.0)
    counts[-1] = 3.0
    predicted = counts * 1.2
    predicted[0] *= 1.1
    return AxisScore(
        axis=EnergyAxis(
            name=f"{steps}", energy_edges=0.3 * 10 ** (np.arange(2 * steps + 1) / steps)
        ),
        energies=energies,
        n_runs=12,
        n_uncovered=5 if energies == RANGES[1] else 0,
        counts=counts,
        predicted=predicted,
        scaled=predicted / 1.2,
        exact=counts,
        ideal=counts,
        scatter=np.full(2 * steps, 0.123),
    )


@pytest.fixture
def axes() -> AxesTest:
    scores = tuple(_score(energies, n) for energies in RANGES for n in (4, 5))
    return AxesTest(scores={"ours": scores, "other": scores[:2]}, offset_max=2.0)


def test_words_hold_a_row_for_each_axis(axes: AxesTest) -> None:
    text = describe_axes(summarise_axes(axes))
    assert "offsets to 2 deg, to 1.25 deg below the safe energy" in text
    assert "ours, above the safe energy: 12 runs\n" in text
    assert "12 runs; up to 5 events where models have no bin" in text
    rows = [line for line in text.split("\n") if line.startswith(("4 ", "5 "))]
    assert len(rows) == 6
    assert rows[0].split()[1] == "1.217"
    assert rows[0].endswith("0.123, 0.123")
    # gammapy's integral makes 1.217; noise alone has a chi square of one a bin
    assert "  1.217, 7/7  " in rows[0]


def test_one_range_has_one_offset(axes: AxesTest) -> None:
    only = AxesTest(scores={"other": axes.scores["other"]}, offset_max=2.0)
    assert "1.25" not in describe_axes(summarise_axes(only))


def test_figure_has_a_panel_for_each_range_and_kind(
    axes: AxesTest, tmp_path: Path
) -> None:
    figure = figure_axes(axes)
    assert len(figure.axes) == 4
    assert [len(panel.containers) for panel in figure.axes] == [2, 2, 2, 0]
    drawn = figure.axes[0].containers[0].lines[0]
    # the last bin has too few events
    np.testing.assert_allclose(drawn.get_ydata(), [1 / 1.1, *[1.0] * 6])
    save_figure(figure, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000


def test_the_report_has_the_same_rows(axes: AxesTest) -> None:
    summary = summarise_axes(axes)
    table = axes_table(summary)
    assert len(table.rows) == 6
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert table.rows[0][5].text == "1.217"
    assert axes_picture(summary, file="x.png").caption.startswith("12 runs")
