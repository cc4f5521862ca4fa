"""How significant an excess over a known background is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve
from scipy.stats import norm

__all__ = [
    "Chance",
    "add_in_discs",
    "false_alarms",
    "least_significance",
    "simulate_chance",
    "sqrt_ts",
]

_N_SIMULATIONS = 10
# the Fourier transform leaves about 1e-13 of the largest sum where there is nothing
_ROUNDING = 1e-9


def sqrt_ts(counts: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return the significance of counts over a known background.

    Parameters
    ----------
    counts : np.ndarray
        Events, any shape.
    background : np.ndarray
        Events expected without a source, same shape.

    Returns
    -------
    np.ndarray
        Standard deviations, negative for a deficit, same shape; NaN where nothing is
        expected.

    References
    ----------
    Li & Ma 1983, ApJ 272, 317, equation 17 for a known background (alpha to zero);
    gammapy, ``CashCountsStatistic.sqrt_ts``.

    Examples
    --------
    >>> sqrt_ts(np.array([10, 2]), np.array([5.0, 5.0])).round(3)
    array([ 1.965, -1.528])
    """
    is_open = background > 0
    expected = np.where(is_open, background, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_term = np.where(counts > 0, counts * np.log(counts / expected), 0.0)
    statistic = 2.0 * (log_term - (counts - expected))
    signed = np.sign(counts - expected) * np.sqrt(np.maximum(statistic, 0.0))
    return np.where(is_open, signed, np.nan)


def add_in_discs(image: np.ndarray, *, radius: float, pixel: float) -> np.ndarray:
    """Add up an image within a radius of each of its pixels.

    Parameters
    ----------
    image : np.ndarray
        Values, none negative, shape ``(n, n)``.
    radius : float
        Radius of the disc, which holds pixels that have their centre in it [deg].
    pixel : float
        Size of a pixel [deg].

    Returns
    -------
    np.ndarray
        Sums, shape ``(n, n)``.
    """
    reach = int(radius / pixel * (1 + 1e-9))
    place = np.arange(-reach, reach + 1) * pixel
    distance = np.hypot(place[:, np.newaxis], place)
    disc = (distance <= radius * (1 + 1e-9)).astype(float)
    total = fftconvolve(image, disc, mode="same")
    floor = _ROUNDING * max(float(image.max(initial=0.0)), 0.0)
    added: np.ndarray = np.where(total > floor, total, 0.0)
    return added


@dataclass(frozen=True, kw_only=True)
class Chance:
    """What background alone does.

    Attributes
    ----------
    mean, width : float
        Mean and standard deviation of the significance in the smallest discs; NaN if
        nothing is expected.
    trials : float
        Number of independent discs that would have as large a maximum.
    """

    mean: float
    width: float
    trials: float


def simulate_chance(
    background: np.ndarray,
    *,
    radii: Sequence[float],
    pixel: float,
    rng: np.random.Generator,
) -> Chance:
    """Tell how significance is distributed when there is nothing but background.

    Of n independent discs, the smallest chance probability is 1 / (n + 1) on average;
    so n follows from that of ten simulations.

    Parameters
    ----------
    background : np.ndarray
        Events expected, zero where the mask excludes, shape ``(n, n)``.
    radii : sequence of float
        Radii of the discs, the smallest first [deg].
    pixel : float
        Size of a pixel [deg].
    rng : np.random.Generator
        Source of random numbers.

    Returns
    -------
    Chance
        What ten simulations show.
    """
    is_open = background > 0
    if not is_open.any():
        return Chance(mean=float("nan"), width=float("nan"), trials=0.0)
    expected = [add_in_discs(background, radius=r, pixel=pixel) for r in radii]
    first, highest = [], []
    for _ in range(_N_SIMULATIONS):
        counts = rng.poisson(background).astype(float)
        found = [
            sqrt_ts(np.rint(add_in_discs(counts, radius=r, pixel=pixel)), each)[is_open]
            for r, each in zip(radii, expected, strict=True)
        ]
        first.append(found[0])
        highest.append(max(each.max() for each in found))
    values = np.concatenate(first)
    return Chance(
        mean=float(values.mean()),
        width=float(values.std()),
        trials=float(max(1.0 / norm.sf(highest).mean() - 1.0, 1.0)),
    )


def false_alarms(significance: np.ndarray | float, trials: float) -> np.ndarray:
    """Tell how often chance makes such an excess.

    Parameters
    ----------
    significance : np.ndarray or float
        Standard deviations, any shape.
    trials : float
        Number of independent discs.

    Returns
    -------
    np.ndarray
        Number of excesses as large or larger, on average, same shape.

    Examples
    --------
    >>> print(false_alarms(5.0, 1e4).round(5))
    0.00287
    """
    expected: np.ndarray = trials * norm.sf(significance)
    return expected


def least_significance(false_alarms: float, trials: float) -> float:
    """Tell which significance chance reaches no more often than asked for.

    Parameters
    ----------
    false_alarms : float
        Excesses that chance may make, on average.
    trials : float
        Number of independent discs.

    Returns
    -------
    float
        Standard deviations; infinite when no false alarm is allowed.

    Examples
    --------
    >>> round(least_significance(0.001, 264_000), 2)
    5.78
    """
    return float(norm.isf(min(false_alarms / max(trials, 1.0), 1.0)))
