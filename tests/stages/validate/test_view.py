from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bkgpipe.plot.images import save_figure
from bkgpipe.stages.validate.data import ModelScore, RunScore, ScoreBins, Validation
from bkgpipe.stages.validate.view import describe_validation, figure_validation


def _run(obs_id: int, scale: float) -> RunScore:
    counts = np.array([400.0, 100.0, 0.0])
    return RunScore(
        obs_id=obs_id,
        counts_energy=counts,
        predicted_energy=counts * scale,
        deviance=np.array([110.0, 103.0, 98.0]),
        noise=np.array([99.0, 98.0, 97.0]),
        dof=np.array([100.0, 99.0, 98.0]),
    )


@pytest.fixture
def validation() -> Validation:
    runs = tuple(_run(i, scale) for i, scale in ((1, 0.9), (2, 1.1), (5, 1.3)))
    return Validation(
        bins=ScoreBins(energy_edges=np.geomspace(0.5, 30.0, 4)),
        models=(ModelScore(name="ours", runs=runs), ModelScore(name="b", runs=runs)),
        folds=((1, 5), (2, 6)),
        kept_together="night",
        left_out={6: "3 events outside the mask, fewer than 300"},
    )


def test_words_hold_the_figures(validation: Validation) -> None:
    text = describe_validation(validation)
    assert "3 runs, 1500 events, 0.5 to 30 TeV in 3 bins" in text
    assert "2 folds by night" in text
    assert "1.1000        1.0404     1.0000      1.100 +- 0.163" in text
    assert "noise alone  0.9900" in text
    assert "6: 3 events outside the mask, fewer than 300" in text
    assert "none are predicted" not in text


def test_words_tell_of_events_where_none_are_predicted(validation: Validation) -> None:
    runs = (replace(_run(1, 1.0), n_unpredicted=7),)
    changed = replace(validation, models=(ModelScore(name="old", runs=runs),))
    assert "old: 7 pixels with events where none" in describe_validation(changed)


def test_words_do_without_pulls(validation: Validation) -> None:
    poor = replace(
        _run(1, 1.0),
        counts_energy=np.array([3.0, 1.0, 0.0]),
        predicted_energy=np.array([2.0, 1.0, 0.0]),
    )
    changed = replace(validation, models=(ModelScore(name="x", runs=(poor,)),))
    row = next(
        line for line in describe_validation(changed).split("\n") if "x " in line[:2]
    )
    assert row.endswith("-")


def test_figure_shows_each_run_of_each_model(
    validation: Validation, tmp_path: Path
) -> None:
    figure = figure_validation(validation)
    ratio, _, energy, _ = figure.axes
    drawn = [line for line in ratio.lines if line.get_label() in {"ours", "b"}]
    assert [len(line.get_xdata()) for line in drawn] == [3, 3]
    assert len(energy.containers[0].lines[0].get_xdata()) == 2
    save_figure(figure, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000
