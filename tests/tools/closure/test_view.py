from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bkgpipe.plot.images import save_figure
from bkgpipe.simulate.archive.data import Closure
from bkgpipe.tools.closure.data import AxisClosure, ClosureReport, ModelClosure, PullSet
from bkgpipe.tools.closure.view import describe_closure, figure_closure


def _axis(n: int) -> AxisClosure:
    expected = np.full(n, 100.0)
    expected[-1] = 0.0
    return AxisClosure(
        edges=np.geomspace(0.1, 10.0, n + 1),
        expected=expected,
        recovered=expected * np.linspace(0.98, 1.03, n),
        error=np.full(n, 0.05),
    )


def _model(name: str, n: int) -> ModelClosure:
    rng = np.random.default_rng(6)
    return ModelClosure(
        name=name,
        counts=Closure(
            n_bins=n,
            n_expected=1000.0,
            n_recovered=1010.0,
            pull_mean=0.0,
            pull_width=1.0,
            ratio_mean=0.01,
            ratio_rms=0.03,
        ),
        shape=PullSet(values=rng.normal(0.0, 1.0, n)),
        bins=PullSet(values=rng.normal(0.0, 2.0, n)),
        norms=PullSet(values=np.array([-1.5, 0.5, 1.0])),
        stack_ids=np.array([3, 4, 7]),
        norm=np.array([0.85, 1.05, 1.1]),
        norm_error=np.full(3, 0.1),
        true_factor=np.array([1.0, 2.0, 1.5]),
        energy=_axis(5),
        offset=_axis(4),
    )


@pytest.fixture
def report() -> ClosureReport:
    return ClosureReport(
        method="regression",
        n_runs=3,
        hours=1.25,
        models=(_model("bkg_3d", 2000), _model("bkg_2d", 200)),
    )


def test_words_hold_pulls_norms_and_biases(report: ClosureReport) -> None:
    text = describe_closure(report)
    assert "smooth.method = regression, 3 runs, 1.2 h" in text
    for name in ("bkg_3d", "bkg_2d"):
        assert f"{name}: ratio - 1: mean +0.0100, rms 0.0300" in text
    assert "recovered / true: 1.0100" in text
    assert "+0.000 +- 1.080, 66.7% within 1, 100.0% within 2 (of 3)" in text
    assert "norm, recovered / true: 1.0000 +- 0.1080 in 3 models" in text
    assert "stated error 0.1000" in text
    # the last bin is empty
    assert "bias along energy: -0.0200 to +0.0175" in text


def test_figure_has_pulls_above_and_biases_below(
    report: ClosureReport, tmp_path: Path
) -> None:
    figure = figure_closure(report)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == [
        "bkg_3d: bins, norm taken out",
        "bkg_2d: bins, norm taken out",
        "bkg_3d: norms",
        "bias; band: stated error of a bin",
        "bias; band: stated error of a bin",
        "bkg_3d: norm of each model",
    ]
    heights = [patch.get_height() for patch in figure.axes[0].patches]
    assert sum(heights) == 2000
    assert len(figure.axes[3].lines) == 3
    save_figure(figure, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000
