"""How well a regression knows the total of what it predicts."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.stages.fit.data import RegressionFit, RunConditions
from bkgpipe.stages.fit.field import mean_functions
from bkgpipe.stages.fit.fitted import weight_slopes

__all__ = ["norm_error"]


def norm_error(
    fit: RegressionFit,
    conditions: RunConditions,
    binning: Binning,
    *,
    weight: np.ndarray,
) -> float:
    """Propagate the covariance of a regression to a weighted sum of its rates.

    Errors of bins alone do not tell it: neighbours are correlated, and distant bins
    are not.

    Parameters
    ----------
    fit : RegressionFit
        The fit.
    conditions : RunConditions
        Conditions of the run that is predicted.
    binning : Binning
        Axes.
    weight : np.ndarray
        Counts that are summed, ``(n_energy, n_fov_lon, n_fov_lat)``.

    Returns
    -------
    float
        Relative statistical error of the sum, that of the norm from run to run not
        included.
    """
    image = _image(binning, tuple(fit.offset_knots.tolist()))
    share = weight.reshape(weight.shape[0], -1) / weight.sum()
    gradient = weight_slopes(fit, conditions, share @ image, binning)
    variance = float(gradient @ fit.covariance @ gradient)
    return float(np.sqrt(max(variance, 0.0)))


@lru_cache(maxsize=2)
def _image(binning: Binning, knots: tuple[float, ...]) -> np.ndarray:
    return mean_functions(binning, offset_knots=np.array(knots))
