"""Compare what a production recovered with the truth of a simulated archive."""

from __future__ import annotations

import numpy as np

from bkgpipe.core.checks import require_shape
from bkgpipe.errors import NoEventsError
from bkgpipe.simulate.archive.data import Closure
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.stages.stack.data import Stack

__all__ = ["counts_behind", "make_closure", "pulls"]


def pulls(
    recovered: np.ndarray, expected: np.ndarray, *, min_expected: float = 20.0
) -> np.ndarray:
    """Return the deviation of each bin in units of its Poisson error.

    Parameters
    ----------
    recovered : np.ndarray
        Counts found, or predicted by a model, any shape.
    expected : np.ndarray
        Counts expected from the truth, same shape.
    min_expected : float
        Counts expected below which a bin is left out.

    Returns
    -------
    np.ndarray
        (recovered - expected) / sqrt(expected), same shape; NaN in bins left out.

    Raises
    ------
    BinningMismatchError
        If the shapes differ.
    """
    require_shape("recovered", recovered, expected.shape)
    values = np.full(expected.shape, np.nan)
    is_used = expected >= min_expected
    used = expected[is_used]
    values[is_used] = (recovered[is_used] - used) / np.sqrt(used)
    return values


def make_closure(
    recovered: np.ndarray, expected: np.ndarray, *, min_expected: float = 20.0
) -> Closure:
    """Sum up how well counts agree with the truth.

    Parameters
    ----------
    recovered : np.ndarray
        Counts found, or predicted by a model, any shape.
    expected : np.ndarray
        Counts expected from the truth, same shape.
    min_expected : float
        Counts expected below which a bin is left out.

    Returns
    -------
    Closure
        Means and widths over the bins that are used.

    Raises
    ------
    BinningMismatchError
        If the shapes differ.
    NoEventsError
        If no bin is left.
    """
    values = pulls(recovered, expected, min_expected=min_expected)
    is_used = np.isfinite(values)
    if not is_used.any():
        raise NoEventsError(
            what=f"no bin has {min_expected:g} counts or more, at most"
            f" {expected.max(initial=0.0):.3g}",
            where="closure",
            fix="Simulate more or longer runs, or ask for fewer counts per bin",
        )
    ratio = recovered[is_used] / expected[is_used] - 1.0
    return Closure(
        n_bins=int(is_used.sum()),
        n_expected=float(expected[is_used].sum()),
        n_recovered=float(recovered[is_used].sum()),
        pull_mean=float(values[is_used].mean()),
        pull_width=float(values[is_used].std()),
        ratio_mean=float(ratio.mean()),
        ratio_rms=float(np.sqrt((ratio**2).mean())),
    )


def counts_behind(product: Stack | RateModel, rate: np.ndarray) -> np.ndarray:
    """Return the counts that a rate gives in the exposure of a product.

    Parameters
    ----------
    product : Stack or RateModel
        Its exposure is taken.
    rate : np.ndarray
        Mean rate of each bin, of the shape of either projection [s-1 TeV-1 sr-1].

    Returns
    -------
    np.ndarray
        Counts, same shape.

    Raises
    ------
    BinningMismatchError
        If the rate has the shape of neither projection.
    """
    is_3d = rate.ndim == 3
    exposure = product.exposure_3d if is_3d else product.exposure_2d
    require_shape("true_rate", rate, exposure.shape)
    width = product.binning.energy_width.reshape(-1, *[1] * (rate.ndim - 1))
    counts: np.ndarray = rate * width * exposure
    return counts
