from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.stages.sky.sums import add_up


def _add_up(runs):
    return add_up(runs, runs[0].nside, runs[0].band_edges)


def test_runs_add_up(make_run_sky):
    runs = [make_run_sky(1), make_run_sky(2, ra=81.5), make_run_sky(3, dec=-40.0)]
    total = _add_up(runs)

    for band in range(2):
        own = [(run.event_bands == band).sum() for run in runs]
        assert total.counts[band].sum() == sum(own)
        predicted = sum(run.background[band].sum(dtype=float) for run in runs)
        assert total.background[band].sum() == pytest.approx(predicted, rel=1e-6)
    everywhere = np.unique(np.concatenate([run.pixels for run in runs]))
    np.testing.assert_array_equal(total.pixels, everywhere)


def test_order_does_not_matter(make_run_sky):
    runs = [make_run_sky(1), make_run_sky(2, ra=81.5)]
    totals = [_add_up(order) for order in (runs, runs[::-1])]

    np.testing.assert_allclose(totals[0].background, totals[1].background)
    np.testing.assert_array_equal(totals[0].counts, totals[1].counts)


def test_what_one_run_excludes_is_excluded(make_run_sky):
    runs = [make_run_sky(1, excluded=[(80.0, 20.0, 0.5)]), make_run_sky(2)]
    total = _add_up(runs)

    assert (~total.is_kept).sum() == (~runs[0].is_kept).sum() > 0


def test_nothing_adds_up_to_nothing():
    total = add_up([], 256, np.array([0.5, 1.0, 8.0]))

    assert total.pixels.size == 0
    assert total.counts.shape == (2, 0)
