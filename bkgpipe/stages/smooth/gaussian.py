"""Smooth counts by a Gaussian, relative to what the radial profile expects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bkgpipe.stages.smooth.radial import RadialFit, fit_profile
from bkgpipe.stages.stack.uncertainty import HOLE_ERROR

__all__ = ["Blur", "blurred_rate"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Blur:
    """Sums of the bins around each bin, energy by energy.

    Attributes
    ----------
    mean : callable
        Takes and returns an array ``(n_energy, n_first, n_second)``.
    squared : callable
        The same with the squares of the weights.
    """

    mean: Callable[[np.ndarray], np.ndarray]
    squared: Callable[[np.ndarray], np.ndarray]


def blurred_rate(
    counts: np.ndarray,
    exposure: np.ndarray,
    energy_width: np.ndarray,
    *,
    squared_offset: np.ndarray,
    blur: Blur,
) -> tuple[np.ndarray, np.ndarray]:
    """Make the rate: the profile times blurred counts over blurred expectation.

    What is expected is the radial profile times exposure and energy width. Relative to
    it, neighbours are alike, so that it does not matter which of them were seen: those
    on all sides, on the inner side of the rim, or around a hole. Nor does blurring
    flatten a peaked field.

    The relative variance of bin b is sum(K^2 n) / sum(K n)^2 + 2 d A s + d C d: the
    noise of the n counts with weights K, that of the coefficients of the profile, with
    the covariance C and the splines at b less those around it, d = B_b - s, and
    what the two share, A being the response of the coefficients to the score.

    Parameters
    ----------
    counts, exposure : np.ndarray
        Counts and exposure, shape ``(n_energy, n_first, n_second)`` [1, s sr].
    energy_width : np.ndarray
        Width of the energy bins, shape ``(n_energy,)`` [TeV].
    squared_offset : np.ndarray
        Mean squared offset of the bins, shape ``(n_first, n_second)`` [deg2].
    blur : Blur
        The Gaussian.

    Returns
    -------
    rate : np.ndarray
        Rate, same shape; zero where unseen [s-1 TeV-1 sr-1].
    error : np.ndarray
        Relative statistical error, same shape.
    """
    counts = counts.astype(np.float64)
    seen = exposure * energy_width[:, np.newaxis, np.newaxis]
    fit = fit_profile(counts, seen, squared_offset)
    expected = fit.profile * seen
    near, near_expected = blur.mean(counts), blur.mean(expected)
    ratio = _ratio(near, near_expected, where=exposure > 0)
    total, wanted = (ratio * expected).sum(axis=(1, 2)), counts.sum(axis=(1, 2))
    factor = _ratio(wanted, total, where=total > 0)
    rate = ratio * fit.profile * factor[:, np.newaxis, np.newaxis]
    noise = _ratio(blur.squared(counts), near**2, where=near > 0)
    variance = noise + _profile_variance(fit, expected, near_expected, blur)
    return rate, np.where(near > 0, np.sqrt(np.maximum(variance, 0.0)), HOLE_ERROR)


def _profile_variance(
    fit: RadialFit, expected: np.ndarray, near_expected: np.ndarray, blur: Blur
) -> np.ndarray:
    n_splines = fit.splines.shape[-1]
    around = np.stack(
        [
            _ratio(
                blur.mean(expected * fit.splines[..., k]),
                near_expected,
                where=near_expected > 0,
            )
            for k in range(n_splines)
        ],
        axis=-1,
    )
    contrast = fit.splines - around
    shared = np.einsum("eijk,ekl,eijl->eij", contrast, fit.response, around)
    alone = np.einsum("eijk,ekl,eijl->eij", contrast, fit.covariance, contrast)
    variance: np.ndarray = 2 * shared + alone
    return variance


def _ratio(top: np.ndarray, bottom: np.ndarray, *, where: np.ndarray) -> np.ndarray:
    ratio: np.ndarray = np.divide(top, bottom, out=np.zeros(top.shape), where=where)
    return ratio
