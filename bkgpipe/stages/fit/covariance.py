"""Covariance of the coefficients of a penalised Poisson fit.

The sandwich covariance of Poisson noise alone is too small on two counts: the rates of
the points of a fit scatter about their conditions, so that the residuals of all bins of
a point go together, and the penalty pulls coefficients away from the truth.

References
----------
Nychka 1988, Journal of the American Statistical Association 83, 1134; Wood 2017,
Generalized Additive Models, 2nd ed., section 6.10; Liang & Zeger 1986, Biometrika 73,
13; Wood & Fasiolo 2017, Biometrics 73, 1071; Efron & Hinkley 1978, Biometrika 65, 457
(the observed information, as at the end of the fit).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.stages.fit.array_fit import ArrayFit
from bkgpipe.stages.fit.count_arrays import CountsArrays, expected_counts

__all__ = ["estimate_covariance"]

_LEAST_EDF = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class _Points:
    """What points with rates higher by a trend in energy would differ in.

    Attributes
    ----------
    residual : np.ndarray
        Counts less means, summed with the trends, shape ``(n_points, n_trends)``.
    slope : np.ndarray
        Change of that with the strength of each trend, ``(n_points, n_trends,
        n_trends)``.
    score : np.ndarray
        Change of the score, shape ``(n_points, n_trends, n)``.
    """

    residual: np.ndarray
    slope: np.ndarray
    score: np.ndarray


def estimate_covariance(
    arrays: CountsArrays,
    fit: ArrayFit,
    *,
    basis: np.ndarray,
    field: np.ndarray,
    penalty: np.ndarray,
    labels: tuple[str, ...],
    trends: np.ndarray,
) -> np.ndarray:
    """Estimate the covariance from noise, scatter of the points, and shrinkage.

    With the observed information H, the penalty P and A = (H + P)^-1 it is
    A (H + R + B) A. R is the variance of the score by a scatter of the points' rates
    along the trends, of which the covariance is estimated by moments. B is what the
    penalty of each term may have taken from the truth: P of the term times the mean
    square of its coefficients in units of the width that P stands for. With that
    mean square at one and R at zero this is the Bayesian covariance A.

    Parameters
    ----------
    arrays : CountsArrays
        Counts, base and design of the fit.
    fit : ArrayFit
        The fit.
    basis, field, penalty : np.ndarray
        As in `fit_arrays`.
    labels : tuple of str
        Term that each coefficient belongs to, of length n.
    trends : np.ndarray
        Functions of energy along which the logarithm of a point's rate may scatter,
        the first one constant, shape ``(n_energy, n_trends)``.

    Returns
    -------
    np.ndarray
        Covariance of all coefficients, ``(n, n)``.
    """
    inverse = fit.inverse
    points = _gather(arrays, fit, basis=basis, field=field, trends=trends)
    spread = _scatter_root(points, fit.normal, inverse)
    scores = np.einsum("gtn,ts->gsn", points.score, spread).reshape(-1, len(penalty))
    middle = fit.normal + scores.T @ scores
    middle += _shrinkage(fit, inverse, penalty, labels)
    covariance: np.ndarray = inverse @ middle @ inverse
    return covariance


def _gather(
    arrays: CountsArrays,
    fit: ArrayFit,
    *,
    basis: np.ndarray,
    field: np.ndarray,
    trends: np.ndarray,
) -> _Points:
    residual, slope, score = [], [], []
    along = basis[:, :, np.newaxis] * trends[:, np.newaxis, :]
    squares = trends[:, :, np.newaxis] * trends[:, np.newaxis, :]
    for block in arrays.blocks():
        mean = expected_counts(
            block, fit.coefficients, fit.low_coefficients, basis=basis, field=field
        )
        spectrum = mean.sum(axis=2)
        # norms that scatter at each energy by themselves have no trend
        firm = np.ones(spectrum.shape)
        if block.low:
            firm -= block.low.variance > 0
        excess = (block.counts.sum(axis=2) - spectrum) * firm
        residual.append(excess @ trends)
        slope.append(np.tensordot(spectrum * firm, squares, axes=1))
        first = (mean @ field) * firm[:, :, np.newaxis]
        moments = first @ block.design.swapaxes(1, 2)
        part = np.einsum("gek,ejt->gtjk", moments, along, optimize=True)
        part = part.reshape(*part.shape[:2], -1)
        if block.low:
            moments = first @ block.low.design.swapaxes(1, 2)
            low = np.einsum(
                "gek,gej,et->gtjk", moments, block.low.basis, trends, optimize=True
            )
            part = np.concatenate([part, low.reshape(*low.shape[:2], -1)], axis=2)
        score.append(part)
    return _Points(
        residual=np.concatenate(residual),
        slope=np.concatenate(slope),
        score=np.concatenate(score),
    )


def _scatter_root(
    points: _Points, normal: np.ndarray, inverse: np.ndarray
) -> np.ndarray:
    """Return a root of the covariance S of the points' strengths of each trend.

    The fit follows a part of what it is to be compared with. To first order strengths s
    and noise e of the points leave residuals r_i = sum_j C_ij s_j + e_i - N_i^T A sum_j
    X_j^T e_j with C_ij = K_i if i = j, less N_i^T A N_j, where K are the slopes and N
    the scores. So the expectation of r r^T is linear in S. Negative variances are those
    of too little scatter, and zero.
    """
    n_points, n_trends, _ = points.score.shape
    scores = points.score.reshape(n_points * n_trends, -1)
    rows = scores @ inverse
    shape = (n_points, n_trends, n_points, n_trends)
    follow = -(rows @ scores.T).reshape(shape)
    spread = (rows @ normal @ rows.T).reshape(shape)
    noise = points.slope.sum(axis=0)
    noise = noise + np.einsum("itiu->tu", 2 * follow + spread)
    excess = points.residual.T @ points.residual - noise
    number = np.arange(n_points)
    follow[number, :, number] += points.slope
    system = np.zeros((n_trends**2, n_trends**2))
    for of_point in follow.swapaxes(2, 3):
        flat = np.einsum("acj,bdj->abcd", of_point, of_point, optimize=True)
        system += flat.reshape(system.shape)
    found = np.linalg.lstsq(system, excess.ravel())[0].reshape(n_trends, n_trends)
    variance, vectors = np.linalg.eigh((found + found.T) / 2)
    root: np.ndarray = vectors * np.sqrt(np.maximum(variance, 0.0))
    return root


def _shrinkage(
    fit: ArrayFit, inverse: np.ndarray, penalty: np.ndarray, labels: tuple[str, ...]
) -> np.ndarray:
    """Return the penalty, each term times the mean square of its coefficients."""
    gamma = np.concatenate([fit.coefficients.ravel(), fit.low_coefficients.ravel()])
    edf = np.sum(inverse * fit.normal, axis=1)
    scaled = np.zeros(penalty.shape)
    for term in dict.fromkeys(labels):
        index = np.flatnonzero([name == term for name in labels])
        block = penalty[np.ix_(index, index)]
        square = gamma[index] @ block @ gamma[index]
        block = block * square / max(edf[index].sum(), _LEAST_EDF)
        scaled[np.ix_(index, index)] = block
    return scaled
