"""How much the shape of each run differs from that of each other, all pairs at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

__all__ = ["DIVERGENCES", "Shapes", "js_divergence", "kl_divergence", "make_shapes"]

_DECIMALS = 12  # beyond is rounding noise of the matrix products, which breaks ties
_TILE = 1 << 16  # pairs at once where there is no matrix product: they stay in cache
_TINY = 1e-300  # times its own logarithm it is zero


@dataclass(frozen=True, kw_only=True, eq=False)
class Shapes:
    """Shapes of several runs, and what the divergences of all pairs have in common.

    Attributes
    ----------
    values : np.ndarray
        Shapes, each of sum one, zero in bins that a run does not see, ``(n_runs,
        n_bins)``.
    logs : np.ndarray
        Their logarithms, zero where they are zero, same shape.
    seen : np.ndarray
        The distinct sets of bins that runs see, as 0 and 1, ``(n_sets, n_bins)``.
    seen_index : np.ndarray
        Which of them each run sees, shape ``(n_runs,)``.
    """

    values: np.ndarray
    logs: np.ndarray
    seen: np.ndarray
    seen_index: np.ndarray


def make_shapes(values: np.ndarray) -> Shapes:
    """Normalise shapes, and find the distinct sets of bins that they have.

    Parameters
    ----------
    values : np.ndarray
        Shapes of any norm, not negative, zero in bins that a run does not see,
        ``(n_runs, n_bins)``.

    Returns
    -------
    Shapes
        The same, ready to be compared.
    """
    total = values.sum(axis=1, keepdims=True)
    normalised = values / np.where(total > 0, total, 1.0)
    is_seen = normalised > 0
    logs = np.zeros(normalised.shape)
    np.log(normalised, out=logs, where=is_seen)
    packed = np.packbits(is_seen, axis=1)
    _, first, index = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    return Shapes(
        values=normalised,
        logs=logs,
        seen=is_seen[first].astype(np.float64),
        seen_index=index.reshape(-1),
    )


def kl_divergence(p: Shapes, q: Shapes) -> tuple[np.ndarray, np.ndarray]:
    """Divergence of each of `p` from each of `q`, over their common bins.

    KL(P||Q) = sum P log(P / Q), with P = p / sum p and Q = q / sum q over the bins
    where both p and q are positive. One matrix product serves all pairs, and three
    more the sums over common bins, of which there are as many as distinct sets.

    Parameters
    ----------
    p, q : Shapes
        Targets, ``n_targets``, and candidates, ``n_candidates``.

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

    Examples
    --------
    >>> runs = make_shapes(np.array([[3.0, 1.0], [1.0, 1.0], [0.0, 2.0]]))
    >>> divergence, overlap = kl_divergence(runs, runs)
    >>> divergence[0].round(3)
    array([0.   , 0.131, 0.   ])
    >>> overlap[0]
    array([1.  , 1.  , 0.25])
    """
    sum_p, own_p, log_q = _common_sums(p, q)
    overlap = sum_p.take(q.seen_index, axis=1)
    # in place, since a pass over all pairs costs as much as ten bins of the product
    nats = p.values @ q.logs.T
    np.divide(nats, -overlap, out=nats, where=overlap > 0)
    nats += (_divided(own_p, sum_p) - _log(sum_p)).take(q.seen_index, axis=1)
    nats += log_q[p.seen_index]
    return _rounded(nats, overlap), overlap


def js_divergence(p: Shapes, q: Shapes) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric divergence of each of `p` and each of `q`, over their common bins.

    JS(P, Q) = KL(P||M) / 2 + KL(Q||M) / 2 with M = (P + Q) / 2. The logarithm of M
    belongs to a pair, so this is no matrix product: it costs a logarithm for each pair
    and bin, ten to twenty times as much as `kl_divergence`, in little memory.

    Parameters
    ----------
    p, q : Shapes
        Targets, ``n_targets``, and candidates, ``n_candidates``.

    Returns
    -------
    divergence : np.ndarray
        Divergence, shape ``(n_targets, n_candidates)``, at most log 2; infinite
        without common bins, zero below the rounding noise of 1e-12 [nat].
    overlap : np.ndarray
        Share of p in the common bins, shape ``(n_targets, n_candidates)``.

    References
    ----------
    Lin 1991, IEEE Trans. Inf. Theory 37, 145, equation 4.1.

    Examples
    --------
    >>> runs = make_shapes(np.array([[3.0, 1.0], [1.0, 1.0]]))
    >>> js_divergence(runs, runs)[0].round(3)
    array([[0.   , 0.034],
           [0.034, 0.   ]])
    """
    sum_p, own_p, _ = _common_sums(p, q)
    sum_q, own_q, _ = _common_sums(q, p)
    # sum P log P over the common bins, of each run with each set
    self_p = _divided(own_p, sum_p) - _log(sum_p)
    self_q = _divided(own_q, sum_q) - _log(sum_q)
    overlap = sum_p.take(q.seen_index, axis=1)
    nats = self_p[:, q.seen_index] + self_q[:, p.seen_index].T
    n_rows = max(1, _TILE // max(1, len(q.values)))
    for start in range(0, len(p.values), n_rows):
        rows = slice(start, start + n_rows)
        norm_p = _divided(1.0, overlap[rows])
        norm_q = _divided(1.0, sum_q.T[p.seen_index[rows]])
        nats[rows] -= _sum_of_logs(p.values[rows], q.values, norm_p, norm_q)
    return _rounded(nats / 2 + np.log(2), overlap), overlap


_Divergence = Callable[[Shapes, Shapes], tuple[np.ndarray, np.ndarray]]

DIVERGENCES: MappingProxyType[str, _Divergence] = MappingProxyType(
    {"kullback_leibler": kl_divergence, "jensen_shannon": js_divergence}
)


def _common_sums(p: Shapes, q: Shapes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sum over common bins: p and p log p for sets of q, and log of q for those of p.

    Of shapes ``(n_p, n_sets_q)``, the same, and ``(n_sets_p, n_q)``.
    """
    sum_p = p.values @ q.seen.T
    own_p = (p.values * p.logs) @ q.seen.T
    return sum_p, own_p, _log(p.seen @ q.values.T)


def _sum_of_logs(
    p: np.ndarray, q: np.ndarray, norm_p: np.ndarray, norm_q: np.ndarray
) -> np.ndarray:
    """Return the sum of (P + Q) log(P + Q) over the common bins of each pair."""
    total = np.zeros(norm_p.shape)
    for in_p, in_q in zip(p.T, q.T, strict=True):
        both = in_p[:, np.newaxis] * norm_p
        both += in_q * norm_q
        both *= np.multiply.outer(in_p > 0, in_q > 0)
        total += both * np.log(np.maximum(both, _TINY))
    return total


def _log(values: np.ndarray) -> np.ndarray:
    # zero where there are no common bins: the divergence is infinite there anyway
    logarithm = np.zeros(values.shape)
    np.log(values, out=logarithm, where=values > 0)
    return logarithm


def _divided(numerator: np.ndarray | float, denominator: np.ndarray) -> np.ndarray:
    quotient = np.zeros(denominator.shape)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient


def _rounded(nats: np.ndarray, overlap: np.ndarray) -> np.ndarray:
    np.round(nats, _DECIMALS, out=nats)
    np.maximum(nats, 0.0, out=nats)
    nats[overlap <= 0] = np.inf
    return nats
