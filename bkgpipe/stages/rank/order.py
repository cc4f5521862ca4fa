"""Order runs by how much their shape resembles that of a target run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bkgpipe.core.checks import require_shape
from bkgpipe.core.criteria import RankCriteria
from bkgpipe.stages.count.data import RunShape
from bkgpipe.stages.rank.data import REASONS, Ranking
from bkgpipe.stages.rank.divergence import DIVERGENCES, Shapes, make_shapes
from bkgpipe.stages.rank.mimic import control_scale, log_control_rates, mimic_excess

__all__ = [
    "join_bins",
    "mean_exposure",
    "rank_runs",
    "scaled_counts",
]

_PSEUDO_COUNT = 0.5  # Jeffreys' prior for the mean of a Poisson distribution
_N_NEXT = 10  # listed beyond those taken: they show how sharp the choice was
_RUNS = 1000  # whose bins are joined at once
_BLOCK = 64  # targets at once: against 10^4 candidates a matrix of 5 MB stays in cache

_TAKEN, _BEYOND, _OWN, _UNFIT, _OVERLAP = (
    REASONS.index(reason)
    for reason in ("taken", "beyond the hours", "own run", "unfit", "overlap")
)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pool:
    """The candidates in order of ``obs_id``, and what all targets need of them."""

    runs: list[RunShape]
    ids: np.ndarray
    livetime: np.ndarray
    rates: np.ndarray
    is_unfit: np.ndarray
    exposure: np.ndarray
    shapes: Shapes


@dataclass(frozen=True, kw_only=True, eq=False)
class _Row:
    """The candidates as one target sees them, each of shape ``(n_candidates,)``."""

    divergence: np.ndarray
    reason: np.ndarray
    excess: dict[str, np.ndarray]
    widened: float = 1.0


def rank_runs(
    targets: Sequence[RunShape],
    candidates: Sequence[RunShape],
    *,
    criteria: RankCriteria,
    unfit: Collection[int] = (),
    list_all: bool = False,
) -> list[Ranking]:
    """Rank the candidates for each target by the divergence of their shapes.

    A candidate must pass the mimic limits and see enough of what the target sees.
    The most alike are taken until their live times reach the hours asked for, the last
    one whole. Equal divergences are ordered by ``obs_id``. When too few pass, the
    limits are widened, all by the least factor that reaches the hours.

    Parameters
    ----------
    targets : sequence of RunShape
        Runs that need others like them, ``n_targets``.
    candidates : sequence of RunShape
        Runs that may be taken, ``n_candidates``. Only they set the scale of the pseudo
        count, so the other targets do not change the ranking of one.
    criteria : RankCriteria
        What is compared, and how many are taken.
    unfit : collection of int
        Candidates that may not be stacked.
    list_all : bool
        List all candidates in each ranking, not only those taken and a few of the next.

    Returns
    -------
    list of Ranking
        One for each target, in their order; short when too few candidates are left.

    Raises
    ------
    BinningMismatchError
        If the runs do not have the same bins.
    """
    if not targets:
        return []
    _require_same_bins([*targets, *candidates])
    pool = _make_pool(candidates, targets, criteria=criteria, unfit=unfit)
    rankings = []
    for start in range(0, len(targets), _BLOCK):
        block = targets[start : start + _BLOCK]
        rows = _judge(block, pool, criteria)
        for target, rate, row in zip(
            block, log_control_rates(block), rows, strict=True
        ):
            ranking = _take(
                target.obs_id, row, pool, criteria=criteria, list_all=list_all
            )
            if criteria.scale == "control":
                listed = np.searchsorted(pool.ids, ranking.obs_ids)
                scale = control_scale(rate, pool.rates[listed])
                ranking = replace(ranking, scale=scale)
            rankings.append(ranking)
    return rankings


def join_bins(
    runs: Sequence[RunShape], *, energy_bins: int, offset_bins: int
) -> tuple[np.ndarray, np.ndarray]:
    """Join neighbouring bins, so that shapes are about physics more than about noise.

    A joined bin is seen where all its parts are: below the safe energy of a run a part
    of it would bend the shape.

    Parameters
    ----------
    runs : sequence of RunShape
        Runs with the same bins, ``n_runs``.
    energy_bins, offset_bins : int
        Bins that are left, at most.

    Returns
    -------
    counts, exposure : np.ndarray
        Sums where a run sees the bin, zero elsewhere, shape ``(n_runs, n_joined)``
        [1, s sr].
    """
    # all bins of 10^5 runs at once are two gigabytes
    blocks = [
        _join_block(runs[start : start + _RUNS], energy_bins, offset_bins)
        for start in range(0, max(1, len(runs)), _RUNS)
    ]
    counts, exposure = zip(*blocks, strict=True)
    return np.concatenate(counts), np.concatenate(exposure)


def _join_block(
    runs: Sequence[RunShape], energy_bins: int, offset_bins: int
) -> tuple[np.ndarray, np.ndarray]:
    counts = np.array([run.counts_2d for run in runs], dtype=np.float64)
    exposure = np.array([run.exposure_2d for run in runs], dtype=np.float64)
    n_unseen = (exposure <= 0).astype(np.float64)
    for axis, n_bins in ((1, energy_bins), (2, offset_bins)):
        starts = _starts(counts.shape[axis], n_bins)
        counts, exposure, n_unseen = (
            np.add.reduceat(values, starts, axis=axis)
            for values in (counts, exposure, n_unseen)
        )
    is_seen = (n_unseen == 0).reshape(len(runs), -1)
    joined = (values.reshape(len(runs), -1) * is_seen for values in (counts, exposure))
    return next(joined), next(joined)


def mean_exposure(exposure: np.ndarray) -> np.ndarray:
    """Average the exposure of each bin over the runs that see it.

    Parameters
    ----------
    exposure : np.ndarray
        Exposure of each run, shape ``(n_runs, n_bins)`` [s sr].

    Returns
    -------
    np.ndarray
        Mean exposure, shape ``(n_bins,)``; zero where no run sees the bin [s sr].
    """
    n_seen = np.count_nonzero(exposure > 0, axis=0)
    mean: np.ndarray = exposure.sum(axis=0) / np.maximum(n_seen, 1)
    return mean


def scaled_counts(
    counts: np.ndarray, exposure: np.ndarray, common: np.ndarray
) -> np.ndarray:
    """Scale the counts of each run to a common exposure, plus Jeffreys' pseudo count.

    p = counts * common exposure / exposure + 1/2. Both terms are the same for a run
    with k times the counts and k times the exposure, so its shape is the same too.

    Parameters
    ----------
    counts, exposure : np.ndarray
        Counts and exposure of each run, shape ``(n_runs, n_bins)`` [1, s sr].
    common : np.ndarray
        Common exposure, shape ``(n_bins,)``; where it is zero, counts stay as they
        are [s sr].

    Returns
    -------
    np.ndarray
        Positive where a run sees the bin, zero elsewhere, ``(n_runs, n_bins)``.

    Examples
    --------
    >>> counts, exposure = np.array([[4.0, 0.0, 6.0]]), np.array([[2.0, 2.0, 0.0]])
    >>> scaled_counts(counts, exposure, np.array([1.0, 1.0, 1.0]))
    array([[2.5, 0.5, 0. ]])
    """
    is_seen = exposure > 0
    scale = np.ones(exposure.shape)
    np.divide(common, exposure, out=scale, where=is_seen & (common > 0))
    return np.where(is_seen, counts * scale + _PSEUDO_COUNT, 0.0)


def _make_pool(
    candidates: Sequence[RunShape],
    targets: Sequence[RunShape],
    *,
    criteria: RankCriteria,
    unfit: Collection[int],
) -> _Pool:
    runs = sorted(candidates, key=lambda shape: shape.obs_id)
    is_unfit = np.array([run.obs_id in unfit for run in runs], dtype=bool)
    counts, exposure = _joined(runs or targets[:1], criteria)
    is_usable = ~is_unfit if runs else np.ones(len(counts), dtype=bool)
    common = mean_exposure(exposure[is_usable])
    values = scaled_counts(counts, exposure, common) * is_usable[:, np.newaxis]
    return _Pool(
        runs=runs,
        ids=np.array([run.obs_id for run in runs], dtype=np.int64),
        livetime=np.array([run.livetime for run in runs]),
        rates=log_control_rates(runs),
        is_unfit=is_unfit,
        exposure=common,
        shapes=make_shapes(values[: len(runs)]),
    )


def _joined(
    runs: Sequence[RunShape], criteria: RankCriteria
) -> tuple[np.ndarray, np.ndarray]:
    if not runs:
        return np.zeros((0, 1)), np.zeros((0, 1))
    return join_bins(
        runs, energy_bins=criteria.energy_bins, offset_bins=criteria.offset_bins
    )


def _judge(
    block: Sequence[RunShape], pool: _Pool, criteria: RankCriteria
) -> Iterator[_Row]:
    """Compare each target of a block with all candidates."""
    shapes = make_shapes(scaled_counts(*_joined(block, criteria), pool.exposure))
    divergence, overlap = DIVERGENCES[criteria.divergence](shapes, pool.shapes)
    excess = mimic_excess(block, pool.runs, limits=criteria.limits)
    reason = _refused_by(excess, 1.0, shape=divergence.shape)
    np.copyto(reason, _OVERLAP, where=~(overlap >= criteria.min_overlap))
    np.copyto(reason, _OVERLAP, where=np.isinf(divergence))
    reason[:, pool.is_unfit] = _UNFIT
    for i, target in enumerate(block):
        if not criteria.own:
            reason[i, pool.ids == target.obs_id] = _OWN
        yield _Row(
            divergence=divergence[i],
            reason=reason[i],
            excess={name: values[i] for name, values in excess.items()},
        )


def _refused_by(
    excess: dict[str, np.ndarray], factor: float, *, shape: tuple[int, ...]
) -> np.ndarray:
    """Find the first limit that each candidate is beyond, when widened by a factor."""
    reason = np.full(shape, _BEYOND, dtype=np.int8)
    for name in reversed(excess):
        np.copyto(reason, REASONS.index(name), where=excess[name] > factor)
    return reason


def _take(
    obs_id: int, row: _Row, pool: _Pool, *, criteria: RankCriteria, list_all: bool
) -> Ranking:
    needed = criteria.hours * 3600.0
    is_open = row.reason == _BEYOND
    if criteria.widen and row.excess and pool.livetime[is_open].sum() < needed:
        row = _widened(row, pool.livetime, needed)
        is_open = row.reason == _BEYOND
    order, reached = _first(
        np.flatnonzero(is_open), row.divergence, pool.livetime, needed=needed
    )
    n_taken = int(np.count_nonzero(reached - pool.livetime[order] < needed))
    reason = row.reason.copy()
    reason[order[:n_taken]] = _TAKEN
    listed = order[: n_taken + _N_NEXT]
    if list_all:
        listed = _all_in_order(reason, row.divergence)
    return Ranking(
        obs_id=obs_id,
        obs_ids=pool.ids[listed],
        divergence=row.divergence[listed],
        livetime=pool.livetime[listed],
        scale=np.ones(listed.size),
        reason=reason[listed].astype(np.int64),
        n_by_reason=np.bincount(reason, minlength=len(REASONS)),
        widened=row.widened,
        is_short=n_taken == 0 or bool(reached[n_taken - 1] < needed),
    )


def _widened(row: _Row, livetime: np.ndarray, needed: float) -> _Row:
    """Widen all limits by the least factor that reaches the time needed."""
    worst = np.nan_to_num(np.fmax.reduce(list(row.excess.values())), posinf=np.inf)
    is_fixed = np.isin(row.reason, (_OWN, _UNFIT, _OVERLAP))
    usable = np.flatnonzero(~is_fixed & np.isfinite(worst))
    if not usable.size:
        return row
    order = usable[np.argsort(worst[usable], kind="stable")]
    reached = np.cumsum(livetime[order])
    last = min(int(np.searchsorted(reached, needed)), order.size - 1)
    factor = max(1.0, float(worst[order[last]]))
    reason = _refused_by(row.excess, factor, shape=livetime.shape)
    return replace(row, reason=np.where(is_fixed, row.reason, reason), widened=factor)


def _first(
    usable: np.ndarray, divergence: np.ndarray, livetime: np.ndarray, *, needed: float
) -> tuple[np.ndarray, np.ndarray]:
    """Order the most alike, as many as reach the time needed and the next ones.

    Returned are their positions and the live times so far, each ``(n_ordered,)``.
    Sorting all candidates of all targets would take longer than the divergences.
    """
    distance = divergence[usable]
    n_ordered = 4 * _N_NEXT
    while True:
        is_last = n_ordered >= usable.size
        near = np.arange(usable.size)
        if not is_last:
            limit = np.partition(distance, n_ordered)[n_ordered]
            near = np.flatnonzero(distance <= limit)
        # the candidates come in order of obs_id, and a stable sort keeps it for ties
        order = usable[near[np.argsort(distance[near], kind="stable")]]
        reached = np.cumsum(livetime[order])
        if is_last or reached[-_N_NEXT - 1] >= needed:
            return order, reached
        n_ordered *= 4


def _all_in_order(reason: np.ndarray, divergence: np.ndarray) -> np.ndarray:
    """Those taken, then the next ones, then the others, each by divergence."""
    rank = np.where(reason == _TAKEN, 0, np.where(reason == _BEYOND, 1, 2))
    return np.lexsort((divergence, rank))


def _starts(n_bins: int, n_joined: int) -> np.ndarray:
    sizes = [part.size for part in np.array_split(np.arange(n_bins), n_joined)]
    starts: np.ndarray = np.cumsum([0, *[size for size in sizes if size]])[:-1]
    return starts


def _require_same_bins(runs: Sequence[RunShape]) -> None:
    for run in runs:
        expected = runs[0].counts_2d.shape
        require_shape(f"counts of run {run.obs_id}", run.counts_2d, expected)
        require_shape(f"exposure of run {run.obs_id}", run.exposure_2d, expected)
