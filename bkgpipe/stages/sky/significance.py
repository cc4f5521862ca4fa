"""How significant an excess over a known background is."""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve

__all__ = ["add_in_discs", "simulate_width", "sqrt_ts"]

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


def simulate_width(
    background: np.ndarray, *, radius: float, pixel: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Tell how significance is distributed when there is nothing but background.

    Parameters
    ----------
    background : np.ndarray
        Events expected, zero where the mask excludes, shape ``(n, n)``.
    radius : float
        Radius of the discs [deg].
    pixel : float
        Size of a pixel [deg].
    rng : np.random.Generator
        Source of random numbers.

    Returns
    -------
    tuple of float
        Mean and standard deviation over ten simulations; NaN if nothing is expected.
    """
    expected = add_in_discs(background, radius=radius, pixel=pixel)
    is_open = background > 0
    if not is_open.any():
        return float("nan"), float("nan")
    found = []
    for _ in range(_N_SIMULATIONS):
        counts = rng.poisson(background).astype(float)
        added = np.rint(add_in_discs(counts, radius=radius, pixel=pixel))
        found.append(sqrt_ts(added[is_open], expected[is_open]))
    values = np.concatenate(found)
    return float(values.mean()), float(values.std())
