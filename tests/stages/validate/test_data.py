from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.errors import BinningMismatchError
from bkgpipe.stages.validate.data import (
    FieldCounts,
    ModelScore,
    RunScore,
    ScoreBins,
    Validation,
)

BINS = ScoreBins(energy_edges=np.array([1.0, 3.0, 9.0]), pixel=0.25, offset_max=1.9)


def _run(obs_id: int, scale: float) -> RunScore:
    return RunScore(
        obs_id=obs_id,
        counts_energy=np.array([100.0, 4.0]),
        predicted_energy=np.array([100.0, 4.0]) * scale,
        deviance=np.array([12.0, 11.0, 10.0]) * scale,
        noise=np.array([10.0, 9.0, 8.0]),
        dof=np.array([10.0, 9.0, 8.0]),
        n_unpredicted=2,
    )


MODEL = ModelScore(name="ours", runs=(_run(3, 1.0), _run(8, 1.44)))


def test_pixels_cover_the_field() -> None:
    assert BINS.n_energy == 2
    assert BINS.n_pixels == 16
    assert BINS.n_fine == 80
    assert BINS.fine_pixel == pytest.approx(0.05)


def test_edges_must_increase() -> None:
    with pytest.raises(BinningMismatchError, match=r"energy_edges: .*\[binning\]"):
        ScoreBins(energy_edges=np.array([1.0, 1.0]))


def test_a_score_sums_deviance_and_freedom_over_runs() -> None:
    np.testing.assert_allclose(
        MODEL.deviance, 2.44 * np.array([12 / 20, 11 / 18, 0.625])
    )
    np.testing.assert_allclose(MODEL.noise, 1.0)
    assert MODEL.n_events == 208
    assert MODEL.n_unpredicted == 4


def test_ratio_is_predicted_over_counted() -> None:
    np.testing.assert_allclose(MODEL.ratios, [1.0, 1.44])
    assert MODEL.runs[1].predicted == pytest.approx(1.44 * 104)


def test_pulls_leave_out_what_is_far_from_normal() -> None:
    np.testing.assert_allclose(MODEL.pulls, [0.0, -44.0 / 12.0])


def test_counts_of_another_shape_are_refused() -> None:
    with pytest.raises(BinningMismatchError, match="counts: shape"):
        FieldCounts(
            obs_id=1,
            bins=BINS,
            counts=np.zeros((2, 16, 15)),
            kept_share=np.zeros((80, 80)),
            is_seen=np.zeros((2, 16, 16), dtype=bool),
            even=np.zeros((2, 16, 16)),
        )


def test_the_fold_of_a_run_counts_from_one() -> None:
    validation = Validation(
        bins=BINS, models=(MODEL,), folds=((1, 3), (8,)), kept_together="run"
    )
    assert validation.fold_of(8) == 2
    assert validation.left_out == {}
