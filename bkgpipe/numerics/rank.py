"""Order runs by how much their shape resembles that of a target run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bkgpipe.datamodel import MimicLimits, Ranking, RunShape
from bkgpipe.datamodel.checks import require_shape

__all__ = ["is_mimic", "kl_divergence", "mean_exposure", "rank_runs", "scaled_counts"]

_PSEUDO_COUNT = 0.5  # Jeffreys' prior for the mean of a Poisson distribution
_N_NEXT = 10  # listed beyond those taken: they show how sharp the choice was
_BLOCK = 256  # targets at once; against 10^4 candidates a block needs some 150 MB
_DECIMALS = 12  # beyond is rounding noise of the matrix products, which breaks ties


def rank_runs(
    targets: Sequence[RunShape],
    candidates: Sequence[RunShape],
    *,
    limits: MimicLimits,
    hours: float,
    own: bool,
    min_overlap: float,
) -> list[Ranking]:
    """Rank the candidates for each target by Kullback-Leibler divergence.

    A candidate must pass the mimic limits and see enough of what the target sees.
    The most alike are taken until their live times reach `hours`, the last one whole;
    a few of the next ones are listed, but not taken. Equal divergences are ordered by
    ``obs_id``.

    Parameters
    ----------
    targets : sequence of RunShape
        Runs that need others like them, ``n_targets``.
    candidates : sequence of RunShape
        Runs that may be taken, ``n_candidates``. Only they set the scale of the pseudo
        count, so the other targets do not change the ranking of one.
    limits : MimicLimits
        Largest differences of the conditions.
    hours : float
        Live time to reach [h].
    own : bool
        Let the target be its own candidate.
    min_overlap : float
        Least share of the target's shape in the bins that the candidate sees too.

    Returns
    -------
    list of Ranking
        One for each target, in their order; empty and short when no candidate is left.

    Raises
    ------
    BinningMismatchError
        If the runs do not have the same bins.
    """
    pool = sorted(candidates, key=lambda shape: shape.obs_id)
    _require_same_bins([*targets, *pool])
    exposure = mean_exposure(pool or targets)
    shapes = scaled_counts(pool, exposure)
    ids, livetime = _column(pool, "obs_id"), _column(pool, "livetime")
    rankings = []
    for start in range(0, len(targets), _BLOCK):
        block = targets[start : start + _BLOCK]
        divergence, overlap = kl_divergence(scaled_counts(block, exposure), shapes)
        is_alike = np.isfinite(divergence) & (overlap >= min_overlap)
        is_alike &= is_mimic(block, pool, limits=limits)
        for i, target in enumerate(block):
            is_open = (ids != target.obs_id) | own
            ranking = _take(
                target.obs_id,
                np.flatnonzero(is_open & is_alike[i]),
                ids=ids,
                divergence=divergence[i],
                livetime=livetime,
                needed=hours * 3600.0,
                n_refused=int((is_open & ~is_alike[i]).sum()),
            )
            rankings.append(ranking)
    return rankings


def mean_exposure(runs: Sequence[RunShape]) -> np.ndarray:
    """Average the exposure of each bin over the runs that see it.

    Parameters
    ----------
    runs : sequence of RunShape
        Runs with the same bins, ``n_runs``.

    Returns
    -------
    np.ndarray
        Mean exposure, shape ``(n_energy * n_offset,)``; zero where no run sees the
        bin [s sr].
    """
    exposure = np.array([run.exposure_2d.ravel() for run in runs])
    n_seen = np.count_nonzero(exposure > 0, axis=0)
    mean: np.ndarray = exposure.sum(axis=0) / np.maximum(n_seen, 1)
    return mean


def scaled_counts(runs: Sequence[RunShape], exposure: np.ndarray) -> np.ndarray:
    """Scale the counts of each run to a common exposure, plus Jeffreys' pseudo count.

    p = counts * common exposure / exposure + 1/2. Both terms are the same for a run
    with k times the counts and k times the exposure, so its shape is the same too.

    Parameters
    ----------
    runs : sequence of RunShape
        Runs with the same bins, ``n_runs``.
    exposure : np.ndarray
        Common exposure, shape ``(n_bins,)``; where it is zero, counts stay as they
        are [s sr].

    Returns
    -------
    np.ndarray
        Positive where a run sees the bin, zero elsewhere, ``(n_runs, n_bins)``.
    """
    if not runs:
        return np.zeros((0, exposure.size))
    counts = np.array([run.counts_2d.ravel() for run in runs], dtype=np.float64)
    own = np.array([run.exposure_2d.ravel() for run in runs])
    is_seen = own > 0
    scale = np.ones(own.shape)
    np.divide(exposure, own, out=scale, where=is_seen & (exposure > 0))
    return np.where(is_seen, counts * scale + _PSEUDO_COUNT, 0.0)


def kl_divergence(p: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divergence of each row of `p` from each row of `q`, over their common bins.

    KL(P||Q) = sum P log(P / Q), with P = p / sum p and Q = q / sum q over the bins
    where both p and q are positive. Four matrix products serve all pairs.

    Parameters
    ----------
    p, q : np.ndarray
        Shapes, zero in bins that a run does not see, ``(n_targets, n_bins)`` and
        ``(n_candidates, n_bins)``; of any norm.

    Returns
    -------
    divergence : np.ndarray
        Divergence, shape ``(n_targets, n_candidates)``; infinite without common bins,
        zero below the rounding noise of 1e-12 [nat].
    overlap : np.ndarray
        Share of p in the common bins, shape ``(n_targets, n_candidates)``.

    References
    ----------
    Kullback & Leibler 1951, Ann. Math. Statist. 22, 79, equation 2.4.
    """
    p, q = _normalised(p), _normalised(q)
    seen_by_q = (q > 0).astype(np.float64)
    sum_p = p @ seen_by_q.T
    sum_q = (p > 0).astype(np.float64) @ q.T
    excess = (p * _log(p)) @ seen_by_q.T - p @ _log(q).T
    divergence = np.full(sum_p.shape, np.inf)
    is_common = sum_p > 0
    in_p, in_q = sum_p[is_common], sum_q[is_common]
    nats = excess[is_common] / in_p + np.log(in_q) - np.log(in_p)
    divergence[is_common] = np.maximum(np.round(nats, _DECIMALS), 0.0)
    return divergence, sum_p


def is_mimic(
    targets: Sequence[RunShape], candidates: Sequence[RunShape], *, limits: MimicLimits
) -> np.ndarray:
    """Tell which candidates were taken under conditions like those of each target.

    Parameters
    ----------
    targets, candidates : sequence of RunShape
        Runs, ``n_targets`` and ``n_candidates``.
    limits : MimicLimits
        Largest differences; a difference from an unknown value passes.

    Returns
    -------
    np.ndarray
        True where it passes all limits, shape ``(n_targets, n_candidates)``.
    """
    zenith, azimuth, time, muons, nsb = (
        np.abs(
            np.subtract.outer(_condition(targets, name), _condition(candidates, name))
        )
        for name in ("zenith", "azimuth", "time_start", "muon_efficiency", "nsb")
    )
    azimuth = np.minimum(azimuth % 360.0, -azimuth % 360.0)
    # "not larger" rather than "smaller": NaN passes
    passes: np.ndarray = ~(zenith > limits.zenith) & ~(azimuth > limits.azimuth)
    passes &= ~(time > limits.time) & ~(muons > limits.muon_efficiency)
    passes &= ~(nsb > limits.nsb)
    if limits.same_telescopes:
        theirs = _condition(candidates, "telescopes")
        ours = _condition(targets, "telescopes")[:, np.newaxis]
        passes &= (ours == theirs) | (ours == "") | (theirs == "")
    return passes


def _take(
    obs_id: int,
    usable: np.ndarray,
    *,
    ids: np.ndarray,
    divergence: np.ndarray,
    livetime: np.ndarray,
    needed: float,
    n_refused: int,
) -> Ranking:
    # the candidates come in order of obs_id, and a stable sort keeps it for ties
    order = usable[np.argsort(divergence[usable], kind="stable")]
    reached = np.cumsum(livetime[order])
    n_taken = int(np.count_nonzero(reached - livetime[order] < needed))
    order = order[: n_taken + _N_NEXT]
    return Ranking(
        obs_id=obs_id,
        obs_ids=ids[order],
        divergence=divergence[order],
        livetime=livetime[order],
        is_taken=np.arange(order.size) < n_taken,
        n_refused=n_refused,
        is_short=n_taken == 0 or bool(reached[-1] < needed),
    )


def _require_same_bins(runs: Sequence[RunShape]) -> None:
    for run in runs:
        expected = runs[0].counts_2d.shape
        require_shape(f"counts of run {run.obs_id}", run.counts_2d, expected)
        require_shape(f"exposure of run {run.obs_id}", run.exposure_2d, expected)


def _column(runs: Sequence[RunShape], name: str) -> np.ndarray:
    return np.array([getattr(run, name) for run in runs])


def _condition(runs: Sequence[RunShape], name: str) -> np.ndarray:
    return np.array([getattr(shape.run, name) for shape in runs])


def _normalised(shapes: np.ndarray) -> np.ndarray:
    total = shapes.sum(axis=1, keepdims=True)
    normalised: np.ndarray = shapes / np.where(total > 0, total, 1.0)
    return normalised


def _log(shapes: np.ndarray) -> np.ndarray:
    # zero outside the bins seen, where it is multiplied by zero
    logarithm = np.zeros(shapes.shape)
    np.log(shapes, out=logarithm, where=shapes > 0)
    return logarithm
