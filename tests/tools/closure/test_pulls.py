from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.errors import BinningMismatchError, NoEventsError
from bkgpipe.simulate.archive.data import Closure, PointSource, Simulation
from bkgpipe.simulate.archive.draw import (
    make_run_truth,
    run_generator,
    simulate_run,
    source_regions,
)
from bkgpipe.simulate.archive.pointings import make_runs
from bkgpipe.simulate.archive.truth import mean_rate_2d, mean_rate_3d
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.stages.count.histograms import count_run
from bkgpipe.stages.mask.pixels import make_exclusion_mask, size_regions
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.stages.stack.data import Stack
from bkgpipe.stages.stack.groups import stack_runs
from bkgpipe.tools.closure.pulls import counts_behind, make_closure, pulls


def stack_closure(stack: Stack, true_rate: np.ndarray) -> Closure:
    counts = stack.counts_3d if true_rate.ndim == 3 else stack.counts_2d
    return make_closure(counts, counts_behind(stack, true_rate))


def test_pulls_are_in_units_of_the_expected_error() -> None:
    expected = np.array([[100.0, 25.0, 5.0], [400.0, 20.0, 0.0]])
    recovered = np.array([[110.0, 20.0, 9.0], [400.0, 20.0, 3.0]])
    values = pulls(recovered, expected)
    np.testing.assert_allclose(values, [[1.0, -1.0, np.nan], [0.0, 0.0, np.nan]])


def test_pulls_refuse_another_shape() -> None:
    with pytest.raises(BinningMismatchError, match=r"recovered: .*Make the product"):
        pulls(np.zeros((2, 3)), np.zeros((3, 2)))


def test_closure_of_the_truth_with_itself_is_perfect() -> None:
    expected = np.array([30.0, 50.0, 1.0])
    closure = make_closure(expected, expected)
    assert closure.n_bins == 2
    assert closure.n_expected == closure.n_recovered == 80.0
    assert closure.pull_mean == closure.pull_width == closure.ratio_rms == 0.0


def test_a_bias_shows_in_ratio_and_pull() -> None:
    expected = np.full(10, 100.0)
    closure = make_closure(1.1 * expected, expected)
    assert closure.ratio_mean == pytest.approx(0.1)
    assert closure.ratio_rms == pytest.approx(0.1)
    assert closure.pull_mean == pytest.approx(1.0)
    assert closure.pull_width == pytest.approx(0.0, abs=1e-12)


def test_closure_refuses_bins_that_are_all_too_poor() -> None:
    with pytest.raises(NoEventsError, match=r"closure: .*20 counts.*longer runs"):
        make_closure(np.zeros(3), np.full(3, 19.0))


def test_closure_refuses_no_bins_at_all() -> None:
    with pytest.raises(NoEventsError, match=r"closure: .*at most 0.*longer runs"):
        make_closure(np.zeros(0), np.zeros(0))


def test_a_stack_of_the_truth_closes(draw_stack: Callable[..., Stack]) -> None:
    truth, stack = Truth(), draw_stack(Truth())
    in_3d = stack_closure(stack, mean_rate_3d(truth, stack.binning))
    in_2d = stack_closure(stack, mean_rate_2d(truth, stack.binning))
    assert in_3d.n_bins > in_2d.n_bins
    for closure in (in_3d, in_2d):
        assert abs(closure.pull_mean) < 5 / np.sqrt(closure.n_bins)
        assert closure.pull_width == pytest.approx(1.0, abs=0.5)
        assert abs(closure.ratio_mean) < 0.1


def test_a_stack_of_another_truth_does_not(draw_stack: Callable[..., Stack]) -> None:
    stack = draw_stack(Truth(gradient_lon=0.1))
    assert stack_closure(stack, mean_rate_3d(Truth(), stack.binning)).pull_width > 2.0


def test_a_model_closes_in_both_projections(
    draw_stack: Callable[..., Stack], make_model: Callable[..., RateModel]
) -> None:
    truth, stack = Truth(), draw_stack(Truth())
    rate_3d, rate_2d = (
        mean_rate_3d(truth, stack.binning),
        mean_rate_2d(truth, stack.binning),
    )
    model = make_model(stack, 1.02 * rate_3d, 0.97 * rate_2d)
    for rate, recovered, ratio in (
        (rate_3d, model.rate_3d, 1.02),
        (rate_2d, model.rate_2d, 0.97),
    ):
        counts = counts_behind(model, recovered), counts_behind(stack, rate)
        assert make_closure(*counts).ratio_mean == pytest.approx(ratio - 1.0)


def test_a_truth_of_another_binning_is_refused(
    draw_stack: Callable[..., Stack], make_binning: Callable[..., Binning]
) -> None:
    binning = make_binning(energy_edges=np.geomspace(0.1, 9.0, 4))
    rate = mean_rate_2d(Truth(), binning)
    with pytest.raises(BinningMismatchError, match=r"true_rate: .*Make the product"):
        counts_behind(draw_stack(Truth()), rate)


@pytest.mark.parametrize("alignment", ["RADEC", "ALTAZ"])
def test_simulated_runs_close_through_mask_count_and_stack(
    make_binning: Callable[..., Binning], alignment: str
) -> None:
    truth = Truth(
        gradient_lat=0.1, fov_alignment=alignment, run_scatter=0.1, zenith_slope=-2.0
    )
    source = PointSource(fov_lon=0.3, fov_lat=0.5, rate=0.3)
    binning, rng = make_binning(), run_generator(1, 0)
    runs = make_runs(rng, Simulation(n_runs=12, duration=3600.0))
    run_truth = make_run_truth(rng, truth, runs)
    regions = size_regions(
        source_regions(runs, (source,)), radius=0.35, extension_factor=3, max_radius=1.0
    )
    counted = []
    for run, factor in zip(runs, run_truth.factor, strict=True):
        events = simulate_run(rng, truth, run, factor=factor, sources=(source,)).events
        mask = make_exclusion_mask(run, regions, nside=256, search_radius=3.0)
        counted.append(
            count_run(
                run,
                events,
                mask,
                binning=binning,
                fov_alignment=alignment,
                safe_energy=(run.safe_energy_min, "table"),
                control_offset=4.0,
                checksum="",
            )
        )
        assert counted[-1].conservation.n_lost == 0
    stack = stack_runs(counted, stack_id=1)
    factor = run_truth.factors(stack.obs_ids).mean()
    closure = stack_closure(stack, factor * mean_rate_3d(truth, binning))
    # 100 bins with 4e5 events: counts are good to 0.2 %, the mean pull to 0.1
    assert closure.n_recovered == pytest.approx(closure.n_expected, rel=0.006)
    assert abs(closure.pull_mean) < 0.5
    assert closure.pull_width == pytest.approx(1.0, abs=0.3)
