"""How well a regression follows the counts of each energy, in words."""

from __future__ import annotations

import numpy as np

from bkgpipe.stages.fit.data import RegressionFit

__all__ = ["misfit_words", "residual_lines"]

_SIGNIFICANT = 3.0  # standard deviations


def residual_lines(fit: RegressionFit) -> list[str]:
    """Compare counts and fit of each energy that is safe for some run.

    Parameters
    ----------
    fit : RegressionFit
        The fit.

    Returns
    -------
    list of str
        One line for each energy where events are expected.
    """
    return [
        f"{_energies(fit, int(index))}: {fit.residual[0, index]:.0f} counted, "
        f"{fit.residual[1, index]:.1f} in the fit, {fit.pulls[index]:+.1f} sigma"
        for index in np.flatnonzero(np.isfinite(fit.pulls))
    ]


def misfit_words(fit: RegressionFit) -> str:
    """Name the energies that the fit does not follow within three sigma.

    Parameters
    ----------
    fit : RegressionFit
        The fit.

    Returns
    -------
    str
        Energies, counted over expected and its significance; empty without any.
    """
    far = np.abs(np.nan_to_num(fit.pulls)) > _SIGNIFICANT
    return ", ".join(
        f"{_energies(fit, int(index))} (counted/expected "
        f"{fit.residual[0, index] / fit.residual[1, index]:.3f}, "
        f"{fit.pulls[index]:+.1f} sigma)"
        for index in np.flatnonzero(far)
    )


def _energies(fit: RegressionFit, index: int) -> str:
    low, high = fit.energy_edges[index : index + 2]
    return f"{low:.3g} to {high:.3g} TeV"
