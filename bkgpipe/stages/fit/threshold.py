"""How the background turns over near and below the safe energy of each run.

The safe energy says where the energy of a gamma ray is biased; background is as real
below. Where its spectrum turns over follows the safe energy, but not exactly: so it is
fitted as a function of u = log10(energy / safe energy), by splines that end above the
safe energy, and the norm of each run at each energy below has a variance of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.stages.fit.count_arrays import LowEnergies
from bkgpipe.stages.fit.data import FitPoints, RunConditions
from bkgpipe.stages.fit.splines import difference_penalty, spline_basis, spline_knots
from bkgpipe.stages.fit.terms import TermInputs

__all__ = [
    "LOW_PARTS",
    "LOW_SCATTER",
    "Energies",
    "find_energies",
    "low_energies",
    "threshold_basis",
    "threshold_design",
    "threshold_distance",
    "threshold_knots",
    "threshold_penalty",
]

LOW_PARTS = (
    "low_norm",
    "low_offset2",
    "low_offset4",
    "low_zenith",
    "low_gradient",
)
# Of the norm of single runs at one energy below the safe energy: 0.3 next to it and 1.3
# at half of it on H.E.S.S. DL3 DR1. Scores hardly change from 0.3 to 1.
LOW_SCATTER = 0.6

_HIGHEST = 0.2  # u at which the splines have ended
_SPACING = 1 / 16  # of the knots in u
# Events of all runs below the lowest u, and their share: too few to fit anything
_FEW, _FEW_SHARE = 30, 0.01
_PENALTY = 1.0  # on second differences along u
_RIDGE = 0.01  # on all coefficients
_EDGE = 1e-9  # a safe energy that is an edge but for rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class Energies:
    """Which energies of the points are fitted.

    Attributes
    ----------
    distance : np.ndarray
        Mean u of the runs of each point, shape ``(n_points, n_energy)``.
    unsafe_share : np.ndarray
        Share of the runs of each point for which an energy bin is not safe as a whole,
        same shape.
    is_used : np.ndarray
        True where the fit looks, same shape.
    lowest : float
        Least u that is used.
    """

    distance: np.ndarray
    unsafe_share: np.ndarray
    is_used: np.ndarray
    lowest: float

    @property
    def has_low(self) -> bool:
        """Whether some energies below the safe energy are used."""
        return bool((self.is_used & (self.unsafe_share > 0)).any())


def threshold_distance(
    conditions: Sequence[RunConditions], binning: Binning
) -> np.ndarray:
    """Return u = log10(energy / safe energy) at the centres of the energy bins.

    Parameters
    ----------
    conditions : sequence of RunConditions
        Conditions of runs.
    binning : Binning
        Axes.

    Returns
    -------
    np.ndarray
        Distances, shape ``(n_runs, n_energy)``.
    """
    safe_energy = np.array([one.safe_energy for one in conditions])
    edges = binning.energy_edges
    distance: np.ndarray = (
        np.log10(edges[1:] * edges[:-1]) / 2 - np.log10(safe_energy)[:, np.newaxis]
    )
    return distance


def find_energies(points: FitPoints) -> Energies:
    """Find the energies that have events.

    Parameters
    ----------
    points : FitPoints
        Counts, and the conditions of the runs.

    Returns
    -------
    Energies
        From the least u that has some events in all runs together.
    """
    distance = threshold_distance(points.conditions, points.binning)
    safe_energy = np.array([one.safe_energy for one in points.conditions])
    low_edges = points.binning.energy_edges[:-1]
    is_unsafe = low_edges < safe_energy[:, np.newaxis] * (1 - _EDGE)
    mean_distance = _mean(distance, points)
    lowest = _lowest(mean_distance, points.counts.sum(axis=(2, 3)))
    return Energies(
        distance=mean_distance,
        unsafe_share=_mean(is_unsafe.astype(np.float64), points),
        is_used=mean_distance >= lowest,
        lowest=lowest,
    )


def threshold_knots(lowest: float) -> np.ndarray:
    """Place the knots of the splines in u.

    Parameters
    ----------
    lowest : float
        Least u that is fitted.

    Returns
    -------
    np.ndarray
        Knots, shape ``(n_low + 7,)``: the last three splines are left out.
    """
    # bins may be so wide that those with an unsafe part lie beyond
    lowest = min(lowest, _HIGHEST - _SPACING)
    n_pieces = max(1, int(np.ceil((_HIGHEST - lowest) / _SPACING)))
    return spline_knots(lowest, _HIGHEST, n_splines=n_pieces + 3)


def threshold_basis(distance: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Evaluate the splines in u that end with value, slope and curvature zero.

    Parameters
    ----------
    distance : np.ndarray
        Values of u, any shape.
    knots : np.ndarray
        Of `threshold_knots`.

    Returns
    -------
    np.ndarray
        Values, shape ``(..., n_low)``.
    """
    basis = spline_basis(distance.ravel(), knots)[:, :-3]
    basis[distance.ravel() >= _HIGHEST] = 0.0
    return basis.reshape(*distance.shape, -1)


def threshold_design(inputs: TermInputs, offset_knots: np.ndarray) -> np.ndarray:
    """Return what the splines are multiplied by, in the order of `LOW_PARTS`.

    A norm, offset squared and its square over those of the rim, the zenith angle, and
    the gradient toward the zenith times its tangent.

    Parameters
    ----------
    inputs : TermInputs
        Conditions of runs.
    offset_knots : np.ndarray
        Knots in offset squared, shape ``(n_radial + 4,)`` [deg2].

    Returns
    -------
    np.ndarray
        Weights of the functions of the field, ``(n_runs, 5, n_radial + 4)``.

    References
    ----------
    de Boor 2001, A Practical Guide to Splines, chapter 9 (Marsden's identity, for the
    coefficients of a square).
    """
    inner = np.stack([offset_knots[1:-3], offset_knots[2:-2], offset_knots[3:-1]])
    limit = offset_knots[-4]
    linear = inner.mean(axis=0) / limit
    squares = inner[0] * inner[1] + inner[0] * inner[2] + inner[1] * inner[2]
    n_radial = inputs.n_radial
    design = np.zeros((len(inputs.conditions), len(LOW_PARTS), n_radial + 4))
    design[:, 0, :n_radial] = 1.0
    design[:, 1, :n_radial] = linear
    design[:, 2, :n_radial] = squares / 3 / limit**2
    design[:, 3, :n_radial] = inputs.condition("zenith")[:, np.newaxis]
    place = slice(n_radial, n_radial + 2)
    design[:, 4, place] = inputs.tan_zenith[:, np.newaxis] * inputs.upward
    return design


def low_energies(
    points: FitPoints, energies: Energies, *, knots: np.ndarray, design: np.ndarray
) -> LowEnergies:
    """Put together what is fitted near the thresholds.

    Parameters
    ----------
    points : FitPoints
        Points.
    energies : Energies
        Their energies.
    knots : np.ndarray
        Of `threshold_knots`.
    design : np.ndarray
        Of `threshold_design`, as mean over the runs of each point.

    Returns
    -------
    LowEnergies
        Splines, design and variance.
    """
    distance = threshold_distance(points.conditions, points.binning)
    basis = threshold_basis(distance, knots)
    return LowEnergies(
        basis=_mean(basis, points) * energies.is_used[..., np.newaxis],
        design=design,
        variance=LOW_SCATTER**2 * energies.unsafe_share,
    )


def threshold_penalty(n_low: int) -> np.ndarray:
    """Return the penalty on the coefficients (n_low, parts) in C order.

    Parameters
    ----------
    n_low : int
        Number of splines in u.

    Returns
    -------
    np.ndarray
        Matrix, shape ``(n_low * 5, n_low * 5)``.
    """
    bends = _PENALTY * difference_penalty(n_low, order=2) if n_low > 2 else 0.0
    along = bends + _RIDGE * np.eye(n_low)
    penalty: np.ndarray = np.kron(along, np.eye(len(LOW_PARTS)))
    return penalty


def _mean(values: np.ndarray, points: FitPoints) -> np.ndarray:
    """Average over the runs of each point."""
    shares = points.share.reshape(-1, *[1] * (values.ndim - 1))
    mean = np.zeros((points.n_points, *values.shape[1:]))
    np.add.at(mean, points.point, shares * values)
    return mean


def _lowest(distance: np.ndarray, counts: np.ndarray) -> float:
    """Return the least u below which there are no more than a few events."""
    order = np.argsort(distance, axis=None)
    below = np.cumsum(counts.ravel()[order])
    few = min(_FEW, _FEW_SHARE * below[-1])
    first = np.searchsorted(below, few, side="left")
    return float(distance.ravel()[order[first]])
