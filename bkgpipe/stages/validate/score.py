"""Score what models predict for runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.special import xlogy
from scipy.stats import poisson

from bkgpipe.core.checks import require_shape
from bkgpipe.core.run import Events, Run
from bkgpipe.geometry.frames import fov_matrix, pointing_of, unit_vectors
from bkgpipe.stages.mask.data import ExclusionMask
from bkgpipe.stages.mask.pixels import is_kept_vectors
from bkgpipe.stages.validate.data import FieldCounts, RunScore, ScoreBins
from bkgpipe.stages.validate.field_match import FieldMatch

__all__ = [
    "count_field",
    "expected_deviance",
    "join_matches",
    "match_field",
    "poisson_deviance",
    "score_match",
]

_N_SAMPLES = 3  # along each side of a finer pixel, for the share that is kept

# An event where a model predicts none would be impossible: the deviance infinite
_LEAST_PREDICTED = 1e-6

# The expected deviance is tabulated; beyond, its expansion is good to 1e-4
_TABLE_MIN, _TABLE_MAX, _TABLE_SIZE = 1e-7, 50.0, 3000


def count_field(
    run: Run,
    events: Events,
    mask: ExclusionMask,
    *,
    bins: ScoreBins,
    safe_energy_min: float,
) -> FieldCounts:
    """Count the kept events of a run in good time in the bins of a score.

    Parameters
    ----------
    run : Run
        The run.
    events : Events
        Its events.
    mask : ExclusionMask
        Its exclusion mask.
    bins : ScoreBins
        Energies and pixels.
    safe_energy_min : float
        Lowest energy at which the run is scored [TeV].

    Returns
    -------
    FieldCounts
        Counts, and the share of the sky behind them.

    Raises
    ------
    InputError
        If the pointing is not known.
    """
    matrix = fov_matrix(*pointing_of(run))
    good = events.keep(events.is_valid & events.is_in_good_time)
    sky = unit_vectors(good.ra, good.dec)
    sample = (_is_near(sky @ matrix.T, bins) & is_kept_vectors(mask, sky)).nonzero()
    pixel_y, pixel_x = _pixels(sky[sample] @ matrix.T, bins)
    edges = np.arange(bins.n_pixels + 1)
    counts, _ = np.histogramdd(
        (good.energy[sample], pixel_y, pixel_x),
        bins=(bins.energy_edges, edges, edges),
    )
    # An edge that is the safe energy but for rounding counts as safe
    is_safe = bins.energy_edges[:-1] >= safe_energy_min * (1 - 1e-9)
    kept_share = _kept_share(matrix, mask, bins)
    area = _in_pixels(kept_share, bins)
    is_seen = (area > 0) & is_safe[:, np.newaxis, np.newaxis]
    return FieldCounts(
        obs_id=run.obs_id,
        bins=bins,
        counts=counts.astype(np.int64),
        kept_share=kept_share,
        is_seen=is_seen,
        even=_spread_evenly(counts, area),
    )


def _spread_evenly(counts: np.ndarray, area: np.ndarray) -> np.ndarray:
    density = counts.sum(axis=(1, 2)) / max(float(area.sum()), np.finfo(float).tiny)
    even: np.ndarray = np.multiply.outer(density, area)
    return even


def _is_near(vectors: np.ndarray, bins: ScoreBins) -> np.ndarray:
    """Tell which field-of-view vectors are within the largest offset."""
    is_near: np.ndarray = vectors[:, 0] >= np.cos(np.radians(bins.offset_max))
    return is_near


def _pixels(vectors: np.ndarray, bins: ScoreBins) -> tuple[np.ndarray, np.ndarray]:
    """Project vectors on the plane that touches the sky at the pointing [pixels]."""
    x, west, north = vectors.T
    scale, half = 180.0 / np.pi / bins.pixel, bins.n_pixels / 2
    return north / x * scale + half, west / x * scale + half


def _kept_share(matrix: np.ndarray, mask: ExclusionMask, bins: ScoreBins) -> np.ndarray:
    vectors = _sample_vectors(bins)
    is_kept = _is_near(vectors, bins) & is_kept_vectors(mask, vectors @ matrix)
    samples = is_kept.reshape(bins.n_fine, _N_SAMPLES, bins.n_fine, _N_SAMPLES)
    share: np.ndarray = samples.mean(axis=(1, 3))
    return share


@lru_cache(maxsize=2)
def _sample_vectors(bins: ScoreBins) -> np.ndarray:
    n_samples = bins.n_fine * _N_SAMPLES
    step = np.radians(bins.n_pixels * bins.pixel) / n_samples
    place = (np.arange(n_samples) + 0.5 - n_samples / 2) * step
    north, west = (axis.ravel() for axis in np.meshgrid(place, place, indexing="ij"))
    vectors = np.column_stack([np.ones(north.size), west, north])
    normed: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normed


def poisson_deviance(counts: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the Poisson deviance of each bin.

    Parameters
    ----------
    counts : np.ndarray
        Events counted, any shape.
    predicted : np.ndarray
        Events predicted, same shape.

    Returns
    -------
    np.ndarray
        2 (mu - n + n log(n / mu)), same shape; infinite for events where none are
        predicted.

    References
    ----------
    Baker & Cousins 1984, NIM 221, 437; McCullagh & Nelder 1989, section 2.3.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = xlogy(counts, counts / predicted)
    deviance: np.ndarray = 2.0 * (predicted - counts + np.where(counts, excess, 0.0))
    return deviance


def expected_deviance(predicted: np.ndarray) -> np.ndarray:
    """Return the mean deviance of Poisson noise about a prediction that is true.

    Parameters
    ----------
    predicted : np.ndarray
        Events predicted, any shape.

    Returns
    -------
    np.ndarray
        Mean over the Poisson distribution, same shape; good to 1e-4.

    References
    ----------
    Bonamente 2020, J. Appl. Stat. 47, 2044, for the limits.
    """
    log_predicted = np.log(np.clip(predicted, _TABLE_MIN, None))
    tabulated = np.interp(log_predicted, *_deviance_table())
    large = np.maximum(predicted, _TABLE_MAX)
    expansion = 1.0 + 1.0 / (6.0 * large) + 1.0 / (6.0 * large**2)
    expected: np.ndarray = np.where(predicted < _TABLE_MAX, tabulated, expansion)
    return np.where(predicted < _TABLE_MIN, 0.0, expected)


@lru_cache(maxsize=1)
def _deviance_table() -> tuple[np.ndarray, np.ndarray]:
    predicted = np.geomspace(_TABLE_MIN, _TABLE_MAX, _TABLE_SIZE)[:, np.newaxis]
    counts = np.arange(int(_TABLE_MAX + 12 * np.sqrt(_TABLE_MAX)))
    deviance = poisson_deviance(counts, predicted)
    mean = (poisson.pmf(counts, predicted) * deviance).sum(axis=1)
    return np.log(predicted[:, 0]), mean


def match_field(field: FieldCounts, predicted: np.ndarray) -> FieldMatch:
    """Put what a model predicts for a run beside what was counted.

    Parameters
    ----------
    field : FieldCounts
        Counts of the run.
    predicted : np.ndarray
        Events predicted in finer pixels without any mask, shape ``(n_energy, n_fine,
        n_fine)``.

    Returns
    -------
    FieldMatch
        Both in the pixels that are seen.

    Raises
    ------
    BinningMismatchError
        If the prediction has another shape.
    """
    bins, is_seen = field.bins, field.is_seen
    require_shape("predicted", predicted, (bins.n_energy, bins.n_fine, bins.n_fine))
    return FieldMatch(
        obs_ids=(field.obs_id,),
        counts=field.counts * is_seen,
        predicted=_in_pixels(predicted * field.kept_share, bins) * is_seen,
        is_scored=field.is_scored,
        even=field.even * is_seen,
    )


def join_matches(matches: Sequence[FieldMatch], *, min_counts: float) -> FieldMatch:
    """Join runs that are too poor to be scored alone.

    Parameters
    ----------
    matches : sequence of FieldMatch
        Runs; at least one.
    min_counts : float
        As in `ScoreBins`.

    Returns
    -------
    FieldMatch
        Their sum, in pixels about the pointing of each.
    """
    even = np.sum([match.even for match in matches], axis=0)
    return FieldMatch(
        obs_ids=tuple(sorted(obs_id for each in matches for obs_id in each.obs_ids)),
        counts=np.sum([match.counts for match in matches], axis=0),
        predicted=np.sum([match.predicted for match in matches], axis=0),
        is_scored=(even > 0) & (even >= min_counts),
        even=even,
    )


def score_match(match: FieldMatch) -> RunScore:
    """Score what a model predicts for a run, or for some that are joined.

    Parameters
    ----------
    match : FieldMatch
        Events counted and predicted.

    Returns
    -------
    RunScore
        Deviance as predicted, after a free norm, and after one for each energy bin.
    """
    energies = [
        (
            match.counts[e][scored],
            np.maximum(match.predicted[e][scored], _LEAST_PREDICTED),
        )
        for e, scored in enumerate(match.is_scored)
    ]
    counts, floored = (np.concatenate(part) for part in zip(*energies, strict=True))
    parts = [
        _as_predicted(counts, floored),
        _free_norm(counts, floored),
        tuple(np.sum([_free_norm(*pair) for pair in energies], axis=0)),
    ]
    deviance, noise, dof = np.array(parts).T
    is_floored = floored <= _LEAST_PREDICTED
    return RunScore(
        obs_id=match.obs_ids[0],
        joined=match.obs_ids[1:],
        counts_energy=match.counts.sum(axis=(1, 2)).astype(float),
        predicted_energy=match.predicted.sum(axis=(1, 2)),
        deviance=deviance,
        noise=noise,
        dof=dof,
        n_unpredicted=int(np.count_nonzero(is_floored & (counts > 0))),
    )


def _in_pixels(fine: np.ndarray, bins: ScoreBins) -> np.ndarray:
    """Sum finer pixels, the last two axes, into pixels."""
    split = (bins.n_pixels, bins.oversampling)
    total: np.ndarray = fine.reshape(*fine.shape[:-2], *split, *split).sum(
        axis=(-3, -1)
    )
    return total


def _as_predicted(counts: np.ndarray, mean: np.ndarray) -> tuple[float, float, float]:
    """Deviance, its expectation, degrees of freedom."""
    deviance = float(poisson_deviance(counts, mean).sum())
    return deviance, float(expected_deviance(mean).sum()), float(counts.size)


def _free_norm(counts: np.ndarray, mean: np.ndarray) -> tuple[float, float, float]:
    if not counts.size:
        return 0.0, 0.0, 0.0
    scaled = mean * (counts.sum() / mean.sum())
    deviance, noise, dof = _as_predicted(counts, scaled)
    # The deviance of a sum parts exactly into that of its total and that of the shares
    return deviance, noise - float(expected_deviance(scaled.sum())), dof - 1.0
