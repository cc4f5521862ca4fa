"""Draw the conditions of simulated runs from stated distributions."""

from __future__ import annotations

import numpy as np
from scipy.stats import truncnorm

from bkgpipe.simulate.archive.data import Distribution

__all__ = ["draw_values"]


def draw_values(
    rng: np.random.Generator,
    distribution: Distribution,
    shape: int | tuple[int, ...],
    *,
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> np.ndarray:
    """Draw values of a condition.

    Parameters
    ----------
    rng : np.random.Generator
        Source of randomness; a constant takes none of it.
    distribution : Distribution
        What to draw from.
    shape : int or tuple of int
        Shape of the answer.
    limits : tuple of float
        Least and largest value that the condition can have; a normal law is cut
        there, and keeps its shape in between.

    Returns
    -------
    np.ndarray
        Values, in the unit of the distribution.
    """
    first, last = distribution.values[0], distribution.values[-1]
    values: np.ndarray = np.full(shape, first)
    if distribution.law == "uniform":
        values = rng.uniform(first, last, shape)
    elif distribution.law == "sky":
        lowest, highest = np.cos(np.radians([last, first]))
        values = np.degrees(np.arccos(rng.uniform(lowest, highest, shape)))
    elif distribution.law == "normal" and last > 0:
        low, high = ((limit - first) / last for limit in limits)
        share = rng.uniform(size=shape)
        values = first + last * truncnorm.ppf(share, low, high)
    return values
