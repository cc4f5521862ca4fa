from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import poisson

from bkgpipe.core.run import Events, Run
from bkgpipe.errors import BinningMismatchError
from bkgpipe.geometry.frames import from_fov
from bkgpipe.stages.mask.data import ExclusionMask, ExclusionRegion
from bkgpipe.stages.mask.pixels import make_exclusion_mask
from bkgpipe.stages.validate.data import FieldCounts, RunScore, ScoreBins
from bkgpipe.stages.validate.score import (
    count_field,
    expected_deviance,
    join_matches,
    match_field,
    poisson_deviance,
    score_match,
)

MakeRun = Callable[..., Run]
BINS = ScoreBins(energy_edges=np.geomspace(0.5, 8.0, 4), min_counts=0.0)


def _rng() -> np.random.Generator:
    return np.random.default_rng(5)


def _events(run: Run, lon: np.ndarray, lat: np.ndarray, energy: np.ndarray) -> Events:
    ra, dec = from_fov(lon, lat, pointing=(run.ra, run.dec))
    gti = np.array([[run.time_start, run.time_stop]])
    time = np.full(energy.size, run.time_start)
    return Events(obs_id=1, ra=ra, dec=dec, energy=energy, time=time, gti=gti)


def _no_mask(run: Run) -> ExclusionMask:
    return make_exclusion_mask(run, (), nside=2048, search_radius=4.0)


def _field(counts: np.ndarray, share: float = 1.0) -> FieldCounts:
    return FieldCounts(
        obs_id=1,
        bins=BINS,
        counts=counts,
        kept_share=np.full((BINS.n_fine, BINS.n_fine), share),
        is_seen=np.ones(counts.shape, dtype=bool),
        even=np.ones(counts.shape),
    )


def _fine(mean: np.ndarray) -> np.ndarray:
    size = BINS.oversampling
    return mean.repeat(size, axis=1).repeat(size, axis=2) / size**2


def _gradient(level: float) -> np.ndarray:
    energy = np.array([4.0, 1.0, 0.3])[:, np.newaxis, np.newaxis]
    slope = np.linspace(0.5, 1.5, BINS.n_pixels)
    return level * energy * slope[:, np.newaxis] * slope[::-1]


def _score_field(field: FieldCounts, predicted: np.ndarray) -> RunScore:
    return score_match(match_field(field, predicted))


def _score(mean: np.ndarray, predicted: np.ndarray, seed: int) -> RunScore:
    counts = np.random.default_rng(seed).poisson(mean)
    return _score_field(_field(counts), _fine(predicted))


def test_deviance_is_twice_the_log_likelihood_ratio() -> None:
    counts = np.array([[0, 1, 3], [7, 20, 400]])
    mean = np.array([[0.3, 2.0, 2.9], [9.5, 12.0, 433.3]])
    best = poisson.logpmf(counts, np.where(counts > 0, counts, 1e-300))
    expected = 2 * (best - poisson.logpmf(counts, mean))
    np.testing.assert_allclose(poisson_deviance(counts, mean), expected, atol=1e-9)


def test_deviance_of_an_impossible_event_is_infinite() -> None:
    deviance = poisson_deviance(np.array([1, 0]), np.zeros(2))
    np.testing.assert_array_equal(deviance, [np.inf, 0.0])


@pytest.mark.parametrize("mean", [1e-5, 0.03, 0.4, 1.3, 8.0, 49.0, 51.0, 700.0])
def test_expected_deviance_is_the_mean_over_the_distribution(mean: float) -> None:
    counts = np.arange(2000)
    deviance = poisson_deviance(counts, np.full(counts.size, mean))
    expected = (poisson.pmf(counts, mean) * deviance).sum()
    found = expected_deviance(np.array([mean]))[0]
    assert found == pytest.approx(expected, abs=1e-4, rel=1e-3)


def test_expected_deviance_of_nothing_is_zero() -> None:
    assert expected_deviance(np.zeros((2, 3))).tolist() == [[0.0] * 3] * 2


def test_a_perfect_model_scores_what_noise_would() -> None:
    mean = _gradient(1.0)
    scores = [_score(mean, mean, seed) for seed in range(40)]
    excess = np.array([score.deviance - score.noise for score in scores])
    error = excess.std(axis=0) / np.sqrt(len(scores))
    assert (np.abs(excess.mean(axis=0)) < 3 * error).all()
    pulls = [(s.predicted - s.counts) / np.sqrt(s.predicted) for s in scores]
    assert np.std(pulls) == pytest.approx(1.0, abs=0.35)


def test_free_norms_take_away_what_they_should() -> None:
    mean = _gradient(1.0)
    factors = np.array([1.5, 0.7, 1.2])[:, np.newaxis, np.newaxis]
    plain, exact = _score(mean, mean, 1), _score(mean, mean * factors, 1)
    assert exact.deviance[0] > exact.deviance[1] > exact.deviance[2]
    assert exact.deviance[2] == pytest.approx(plain.deviance[2])
    assert exact.ratio == pytest.approx(
        (mean * factors).sum() / mean.sum() * plain.ratio, rel=1e-9
    )


def test_degrees_of_freedom_count_pixels_less_norms() -> None:
    score = _score(_gradient(1.0), _gradient(1.0), 1)
    n_bins = 3 * BINS.n_pixels**2
    assert score.dof.tolist() == [n_bins, n_bins - 1, n_bins - 3]


def test_kept_share_scales_the_prediction() -> None:
    mean = _gradient(2.0)
    score = _score_field(_field(np.ones(mean.shape, dtype=int), 0.25), _fine(mean))
    assert score.predicted == pytest.approx(0.25 * mean.sum())


def test_events_where_none_are_predicted_are_told() -> None:
    mean = _gradient(1.0)
    predicted = mean.copy()
    predicted[0, :2, :3] = 0.0
    score = _score_field(_field(np.ones(mean.shape, dtype=int)), _fine(predicted))
    assert score.n_unpredicted == 6
    assert np.isfinite(score.deviance).all()


def test_poor_runs_are_scored_as_one() -> None:
    mean = _gradient(1.0)
    counts = np.ones(mean.shape, dtype=int)
    first = replace(_field(counts), even=np.full(mean.shape, 0.1))
    is_seen = np.ones(mean.shape, dtype=bool)
    is_seen[0] = False  # another safe energy
    second = replace(_field(2 * counts), obs_id=7, is_seen=is_seen, even=first.even)
    matches = [match_field(each, _fine(mean)) for each in (second, first)]
    joined = join_matches(matches, min_counts=0.15)
    assert joined.obs_ids == (1, 7)
    assert joined.is_scored.all(axis=(1, 2)).tolist() == [False, True, True]
    score = score_match(joined)
    assert (score.obs_id, score.joined) == (1, (7,))
    n_pixels = BINS.n_pixels**2
    assert score.counts_energy.tolist() == [n_pixels, 3 * n_pixels, 3 * n_pixels]
    expected = np.array([1, 2, 2]) * mean.sum(axis=(1, 2))
    np.testing.assert_allclose(score.predicted_energy, expected)


def test_a_run_without_any_scored_pixel_scores_nothing() -> None:
    counts = np.zeros((3, BINS.n_pixels, BINS.n_pixels), dtype=int)
    nowhere = np.zeros(counts.shape, dtype=bool)
    empty = replace(_field(counts), is_seen=nowhere)
    score = _score_field(empty, _fine(_gradient(1.0)))
    assert score.counts == 0
    assert score.dof.tolist() == [0.0, 0.0, 0.0]


def test_a_prediction_of_another_shape_is_refused() -> None:
    with pytest.raises(BinningMismatchError, match=r"predicted: .*\[binning\]"):
        _score_field(_field(np.ones((3, 16, 16), dtype=int)), np.ones((3, 80, 79)))


def test_events_are_counted_where_they_are(make_run: MakeRun) -> None:
    run = make_run(dec=50.0)
    # fov_lon grows to the west, as the last axis does
    lon, lat = np.array([1.1, -0.6, 0.0, 1.9]), np.array([0.1, 1.4, 2.3, 1.9])
    events = _events(run, lon, lat, np.array([0.6, 5.0, 1.0, 1.0]))
    field = count_field(run, events, _no_mask(run), bins=BINS, safe_energy_min=0.5)
    assert np.argwhere(field.counts).tolist() == [[0, 8, 12], [2, 13, 5]]
    assert field.n_events == 2


def test_unsafe_energies_and_invalid_events_are_left_out(make_run: MakeRun) -> None:
    run = make_run()
    energy = np.array([0.6, 1.0, np.nan, 2.5, 100.0])
    events = _events(run, np.full(5, 0.3), np.zeros(5), energy)
    field = count_field(run, events, _no_mask(run), bins=BINS, safe_energy_min=0.6)
    assert field.counts.sum() == 3
    assert field.is_scored.any(axis=(1, 2)).tolist() == [False, True, True]
    assert field.n_events == 1


def test_the_safe_energy_may_be_an_edge(make_run: MakeRun) -> None:
    run = make_run()
    events = _events(run, np.zeros(1), np.zeros(1), np.ones(1))
    safe = float(BINS.energy_edges[1]) * (1 + 1e-12)
    field = count_field(run, events, _no_mask(run), bins=BINS, safe_energy_min=safe)
    assert field.is_scored.any(axis=(1, 2)).tolist() == [False, True, True]


def test_kept_share_is_that_of_the_disc_less_the_mask(make_run: MakeRun) -> None:
    run = make_run()
    region = ExclusionRegion(name="x", origin="x", ra=run.ra, dec=run.dec, radius=0.5)
    mask = make_exclusion_mask(run, (region,), nside=2048, search_radius=4.0)
    events = _events(run, np.array([0.2, 0.8]), np.zeros(2), np.ones(2))
    field = count_field(run, events, mask, bins=BINS, safe_energy_min=0.1)
    area = field.kept_share.sum() * BINS.fine_pixel**2
    assert area == pytest.approx(np.pi * (2.0**2 - 0.5**2), rel=2e-3)
    assert field.n_events == 1


def test_a_masked_run_has_nothing_to_score(make_run: MakeRun) -> None:
    run = make_run()
    region = ExclusionRegion(name="x", origin="x", ra=run.ra, dec=run.dec, radius=3.0)
    mask = make_exclusion_mask(run, (region,), nside=512, search_radius=4.0)
    events = _events(run, np.zeros(4), np.zeros(4), np.ones(4))
    field = count_field(run, events, mask, bins=BINS, safe_energy_min=0.1)
    assert field.n_events == 0
    assert not field.is_scored.any()


def test_pixels_with_little_are_chosen_by_the_run_alone(make_run: MakeRun) -> None:
    run = make_run()
    lon = np.zeros(200)
    energy = np.repeat([0.6, 3.0], [195, 5])
    events = _events(run, lon, lon, energy)
    bins = replace(BINS, min_counts=0.2)
    field = count_field(run, events, _no_mask(run), bins=bins, safe_energy_min=0.1)
    assert field.is_scored.any(axis=(1, 2)).tolist() == [True, False, False]
    # ratios still know of the others
    assert field.n_events == 200


def test_events_outside_good_time_are_not_scored(make_run: MakeRun) -> None:
    run = make_run()
    events = _events(run, np.full(4, 0.3), np.zeros(4), np.ones(4))
    seconds = np.array([-3.0, -1.0, 10.0, np.nan])
    events = replace(events, time=run.time_start + seconds / 86400.0)
    field = count_field(run, events, _no_mask(run), bins=BINS, safe_energy_min=0.1)
    assert field.n_events == 2
