"""Turn counts and exposure into a background rate."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.ndimage import correlate1d, gaussian_filter
from scipy.special import i0e

from bkgpipe.errors import SettingsError
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.stages.smooth.gaussian import Blur, blurred_rate
from bkgpipe.stages.smooth.radial import squared_offset_2d, squared_offset_3d
from bkgpipe.stages.stack.data import Stack
from bkgpipe.stages.stack.uncertainty import HOLE_ERROR, poisson_error

__all__ = ["SMOOTH_METHODS", "annulus_kernel", "mean_rate", "smooth_stack"]

Rates = tuple[np.ndarray, np.ndarray]  # and their relative errors
_MIN_SIGMA = 0.05  # of the widest annulus: a narrower Gaussian moves next to nothing


def smooth_stack(stack: Stack, *, method: str, **values: Any) -> RateModel:
    """Make the background rate of a stack, and its statistical error.

    The error is that of Poisson noise, passed through the smoothing: a rate that is
    proportional to the sum of K x counts has the relative error
    sqrt(sum of K^2 x counts) / (sum of K x counts). Smoothing correlates neighbours,
    and what it does to the shape is not in the error. Where there is no rate, the error
    is that of Jeffreys' prior.

    Parameters
    ----------
    stack : Stack
        Counts and exposure.
    method : str
        ``none`` divides counts by exposure. ``gaussian`` smooths counts and what the
        radial profile expects for the exposure, each energy by itself, takes their
        ratio times the profile, and keeps the counts of each energy.
    **values : object
        What the method looks at, and no more: ``gaussian`` needs ``sigma``, the width
        of the Gaussian in bins; in two dimensions in mean bins of offset.

    Returns
    -------
    RateModel
        Rate per live time.

    Raises
    ------
    SettingsError
        If the method is unknown or the width is negative.
    """
    if method not in SMOOTH_METHODS:
        raise SettingsError(
            what=f"there is no smoothing method {method!r}",
            where="section [smooth]",
            fix=f"Choose one of {', '.join(SMOOTH_METHODS)}",
        )
    smooth = SMOOTH_METHODS[method]
    (rate_3d, error_3d), (rate_2d, error_2d) = smooth(stack, **values)
    return RateModel(
        stack_id=stack.stack_id,
        binning=stack.binning,
        method=method,
        rate_3d=rate_3d,
        exposure_3d=stack.exposure_3d,
        rate_2d=rate_2d,
        exposure_2d=stack.exposure_2d,
        n_runs=stack.obs_ids.size,
        livetime=stack.livetime,
        conditions=stack.conditions,
        error_3d=np.where(rate_3d > 0, error_3d, HOLE_ERROR),
        error_2d=np.where(rate_2d > 0, error_2d, HOLE_ERROR),
        systematic=stack.systematic,
        is_fitted=_has_events(stack),
    )


def _has_events(stack: Stack) -> np.ndarray:
    """Tell the energies from the first to the last one with an event."""
    counted = np.flatnonzero(stack.counts_2d.sum(axis=1))
    has_events = np.zeros(stack.binning.n_energy, dtype=bool)
    if counted.size:
        has_events[counted[0] : counted[-1] + 1] = True
    return has_events


def mean_rate(
    counts: np.ndarray, exposure: np.ndarray, energy_width: np.ndarray
) -> np.ndarray:
    """Divide counts by exposure and energy width.

    Parameters
    ----------
    counts, exposure : np.ndarray
        Counts and exposure, shape ``(n_energy, ...)`` [1, s sr].
    energy_width : np.ndarray
        Width of the energy bins, shape ``(n_energy,)`` [TeV].

    Returns
    -------
    np.ndarray
        Rate, same shape as `counts`; zero where unseen [s-1 TeV-1 sr-1].

    Examples
    --------
    >>> counts, exposure = np.array([[6, 0]]), np.array([[2.0, 0.0]])
    >>> mean_rate(counts, exposure, np.array([3.0]))
    array([[1., 0.]])
    """
    width = energy_width.reshape(-1, *[1] * (counts.ndim - 1))
    rate = np.zeros(counts.shape)
    np.divide(counts, exposure * width, out=rate, where=exposure > 0)
    return rate


def annulus_kernel(offset_edges: np.ndarray, sigma: float) -> np.ndarray:
    """Share of each annulus that a Gaussian in two dimensions moves to each other.

    What is spread evenly over an annulus and smoothed as an image is summed over
    annuli again. From radius r it arrives at r' with the density of Rice,
    r' / sigma^2 exp(-(r^2 + r'^2) / (2 sigma^2)) I_0(r r' / sigma^2), so that no
    image is needed.

    Parameters
    ----------
    offset_edges : np.ndarray
        Edges of the annuli, shape ``(n_offset + 1,)`` [deg].
    sigma : float
        Width of the Gaussian, larger than zero; below 1/20 of the widest annulus it
        moves nothing [deg].

    Returns
    -------
    np.ndarray
        Shares, shape ``(n_offset, n_offset)``: to (rows), from (columns); a column
        sums to less than one by what leaves the field.

    References
    ----------
    Rice 1945, Bell System Technical Journal 24, 46, equation 3.10-11.

    Examples
    --------
    >>> annulus_kernel(np.array([0.0, 1.0, 2.0]), 0.5).round(2)
    array([[0.61, 0.12],
           [0.37, 0.62]])
    """
    widths = np.diff(offset_edges)
    if sigma < _MIN_SIGMA * widths.max():
        return np.eye(widths.size)
    n_points = max(8, int(np.ceil(3 * widths.max() / sigma)))
    nodes, weights = np.polynomial.legendre.leggauss(n_points)
    radii = offset_edges[:-1, np.newaxis] + np.outer(widths, (nodes + 1) / 2)
    area = radii * np.outer(widths, weights / 2)
    share = area / area.sum(axis=1, keepdims=True)
    r, r_to = radii.ravel(), radii.ravel()[:, np.newaxis]
    # i0e(x) = I_0(x) exp(-x) keeps the product from overflowing
    density = np.exp(-((r_to - r) ** 2) / (2 * sigma**2)) * i0e(r * r_to / sigma**2)
    moved = area.reshape(-1, 1) / sigma**2 * density * share.ravel()
    n = widths.size
    kernel: np.ndarray = moved.reshape(n, n_points, n, n_points).sum(axis=(1, 3))
    return kernel


def _plain(stack: Stack) -> tuple[Rates, Rates]:
    width = stack.binning.energy_width
    rate_3d = mean_rate(stack.counts_3d, stack.exposure_3d, width)
    rate_2d = mean_rate(stack.counts_2d, stack.exposure_2d, width)
    return (
        (rate_3d, poisson_error(stack.counts_3d)),
        (rate_2d, poisson_error(stack.counts_2d)),
    )


def _gaussian(stack: Stack, *, sigma: float) -> tuple[Rates, Rates]:
    if not sigma >= 0:
        raise SettingsError(
            what=f"cannot smooth with sigma {sigma}",
            where="section [smooth]",
            fix="Choose a sigma of at least 0",
        )
    if sigma == 0:
        return _plain(stack)
    binning, kernel = stack.binning, _annuli(stack, sigma)
    image = Blur(
        mean=lambda cube: _blur_image(cube, sigma),
        squared=lambda cube: _blur_squared(cube, sigma),
    )
    annuli = Blur(
        mean=lambda cube: cube @ kernel.T, squared=lambda cube: cube @ kernel.T**2
    )
    in_3d = blurred_rate(
        stack.counts_3d,
        stack.exposure_3d,
        binning.energy_width,
        squared_offset=squared_offset_3d(binning),
        blur=image,
    )
    rate_2d, error_2d = blurred_rate(
        stack.counts_2d[:, np.newaxis],
        stack.exposure_2d[:, np.newaxis],
        binning.energy_width,
        squared_offset=squared_offset_2d(binning)[np.newaxis],
        blur=annuli,
    )
    return in_3d, (rate_2d[:, 0], error_2d[:, 0])


def _annuli(stack: Stack, sigma: float) -> np.ndarray:
    edges = stack.binning.offset_edges
    return annulus_kernel(edges, sigma * float(np.diff(edges).mean()))


def _blur_image(cube: np.ndarray, sigma: float) -> np.ndarray:
    blurred: np.ndarray = gaussian_filter(cube, (0.0, sigma, sigma), mode="constant")
    return blurred


def _blur_squared(cube: np.ndarray, sigma: float) -> np.ndarray:
    """Sum with the squares of the weights of `_blur_image`, also a product of two."""
    reach = int(4 * sigma + 0.5)
    point = np.zeros(2 * reach + 1)
    point[reach] = 1.0
    weights = gaussian_filter(point, sigma, mode="constant") ** 2
    for axis in (1, 2):
        cube = correlate1d(cube, weights, axis=axis, mode="constant")
    return cube


# Each takes as keywords the keys that it has in the table of stages, and no others
SMOOTH_METHODS: MappingProxyType[str, Callable[..., tuple[Rates, Rates]]] = (
    MappingProxyType({"none": _plain, "gaussian": _gaussian})
)
