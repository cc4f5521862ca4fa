from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from bkgpipe.plot.images import save_figure
from bkgpipe.tools.monitor.data import Monitor, RunRates
from bkgpipe.tools.monitor.view import figure_monitor

MakeMonitor = Callable[..., Monitor]


def _titles(figure: Figure) -> list[str]:
    return [ax.get_title() for ax in figure.axes if ax.get_title()]


def _names(figure: Figure, index: int) -> list[str]:
    return [text.get_text() for text in figure.axes[index].texts]


def test_runs_with_changes_are_drawn_in_time(
    make_monitor: MakeMonitor, tmp_path: Path
) -> None:
    figure = figure_monitor(make_monitor())
    assert _titles(figure) == ["7 Crab: drop, burst, gap"]
    series = figure.axes[2]
    assert len(series.patches) == 3
    (line,) = (line for line in series.lines if line.get_linestyle() == "-")
    np.testing.assert_allclose(line.get_ydata(), 600 / 108.0)
    save_figure(figure, tmp_path / "monitor.png")
    assert (tmp_path / "monitor.png").stat().st_size > 1000


def test_the_strip_has_a_row_for_each_band(make_monitor: MakeMonitor) -> None:
    (curve,) = make_monitor().curves
    counts = curve.rates.counts.copy()
    counts[4, 1, 2] = 130
    livetime = np.where(np.arange(14) == 9, 0.0, 108.0)
    rates = replace(curve.rates, counts=counts, livetime=livetime)
    figure = figure_monitor(make_monitor(curves=(replace(curve, rates=rates),)))
    pulls = figure.axes[3].collections[0].get_array()
    assert pulls.shape == (6, 14)
    assert pulls[5, 4] == 3.0
    assert np.isnan(np.ma.filled(pulls, np.nan)[:, 9]).all()
    labels = [label.get_text() for label in figure.axes[3].get_yticklabels()]
    assert labels == ["0.01-0.5", "0.5-200"]


def test_runs_out_of_the_ordinary_are_named(make_monitor: MakeMonitor) -> None:
    figure = figure_monitor(make_monitor())
    assert _names(figure, 0) == ["8"]
    assert _names(figure, 1) == ["8"]


def test_only_the_strongest_changes_are_drawn(
    make_monitor: MakeMonitor, make_run_rates: Callable[..., RunRates]
) -> None:
    (curve,) = make_monitor().curves
    curves = tuple(
        replace(
            curve,
            rates=make_run_rates(obs_id=100 + i),
            changes=(replace(curve.changes[0], significance=float(i)),),
        )
        for i in range(20)
    )
    titles = _titles(figure_monitor(make_monitor(curves=curves)))
    assert [title.split()[0] for title in titles] == [str(108 + i) for i in range(12)]


def test_without_changes_only_all_runs_are_drawn(make_monitor: MakeMonitor) -> None:
    figure = figure_monitor(make_monitor(curves=()))
    assert len(figure.axes) == 2
    assert _titles(figure) == []


def test_without_levels_it_is_told(make_monitor: MakeMonitor) -> None:
    figure = figure_monitor(make_monitor(levels=()))
    assert _names(figure, 0) == ["too few runs to compare"]
