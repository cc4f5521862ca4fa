"""Fill bins of a model that hold no events, or were not seen."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_filter1d

from bkgpipe.stages.smooth.radial import fit_profile

__all__ = ["fill_holes"]

_PSEUDO_COUNT = 0.5  # Jeffreys' prior of a Poisson mean, as in `rank`
_MIN_EXPECTED = 1.0  # events per bin, in the mean over a neighbourhood, to trust it
_HOLE = 0.01  # of what is expected: less is no rate, but the tail of a smoothed event
_FEW = 5.0  # events expected: with more, a bin is hardly ever empty by chance
_REACH = 2.0  # in energy [bins]
_REACHES = (0.0, 1.0, 2.0, 4.0)  # in the field [bins], best first
_DECADE = np.log(10)
_STEEPEST, _FLATTEST, _USUAL = (
    -5.0,
    -1.0,
    -3.0,
)  # spectral index of cosmic-ray background


def fill_holes(
    rate: np.ndarray,
    exposure: np.ndarray,
    energy_edges: np.ndarray,
    *,
    squared_offset: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Give bins without counts or exposure the rate to expect there.

    Expected is m = R P S: R the norm at that energy, from the part of the field that
    was seen, P the radial profile of that energy (`fit_profile`), and S what the
    neighbours have of it: (n + 1/2) / (sum of R x P x exposure x energy width + 1/2)
    for n counts of the bin at the energies around, or, where it has too few there, of
    the bins around it, at the least distance that holds enough.
    At energies without counts R is continued from the others as a power law, in both
    directions: a step there would reach into the nodes of the energy next to it.

    A bin with less than a hundredth of what the bins around it have is a hole. Where
    it has been seen with exposure x width = w, it gets the mean of the posterior for no
    event and a prior of 1/2 event and mean m: 1/2 / (w + 1/2 / m), which is m when w is
    0, and at most 1/2 / w. Other bins with few events expected get their posterior
    mean as well, (n + 1/2) / (w + 1/2 / m) for n counts: otherwise the rate would be
    too high in the mean, and a single event would stand out a thousandfold. Then all
    bins seen at an energy that has counts are rescaled so that their sum is kept.

    Parameters
    ----------
    rate : np.ndarray
        Mean rate, zero in holes, ``(n_energy, n_first, n_second)`` [s-1 TeV-1 sr-1].
    exposure : np.ndarray
        Exposure, same shape [s sr].
    energy_edges : np.ndarray
        Edges in energy, shape ``(n_energy + 1,)`` [TeV].
    squared_offset : np.ndarray
        Mean squared offset of the bins, shape ``(n_first, n_second)`` [deg2].

    Returns
    -------
    filled : np.ndarray
        Rate, larger than zero, same shape and unit; a rate without holes as it is.
    is_hole : np.ndarray
        True for the holes, same shape.

    References
    ----------
    Gelman et al. 2013, Bayesian Data Analysis, section 2.6 (Poisson with gamma prior).
    """
    seen = exposure * np.diff(energy_edges)[:, np.newaxis, np.newaxis]
    counts = rate * seen
    flat = np.ones(rate.shape)
    is_hole = rate < _HOLE * _expected_rate(counts, seen, energy_edges, profile=flat)
    if not is_hole.any():
        return rate, is_hole
    profile = fit_profile(counts, seen, squared_offset).profile
    mean = _expected_rate(counts, seen, energy_edges, profile=profile)
    is_poor = is_hole | (mean * seen < _FEW)
    filled = np.where(is_poor, _posterior_mean(counts, seen, mean), rate)
    wanted = counts.sum(axis=(1, 2), keepdims=True)
    found = (filled * seen).sum(axis=(1, 2), keepdims=True)
    factor = np.ones(wanted.shape)
    np.divide(wanted, found, out=factor, where=wanted > 0)
    filled = np.where(seen > 0, filled * factor, filled)
    return filled, is_hole


def _expected_rate(
    counts: np.ndarray,
    seen: np.ndarray,
    energy_edges: np.ndarray,
    *,
    profile: np.ndarray,
) -> np.ndarray:
    norm = _spectrum(counts, profile * seen, energy_edges)
    shape = profile * _local_ratio(counts, norm * profile * seen)
    rate: np.ndarray = _spectrum(counts, shape * seen, energy_edges) * shape
    return rate


def _posterior_mean(
    counts: np.ndarray | float, seen: np.ndarray, mean: np.ndarray
) -> np.ndarray:
    posterior: np.ndarray = (counts + _PSEUDO_COUNT) / (seen + _PSEUDO_COUNT / mean)
    return posterior


def _spectrum(
    counts: np.ndarray, seen: np.ndarray, energy_edges: np.ndarray
) -> np.ndarray:
    """Return the norm of the rate at each energy, shape ``(n_energy, 1, 1)``."""
    counts, seen = counts.sum(axis=(1, 2)), seen.sum(axis=(1, 2))
    has_counts = counts > 0
    log_energy = np.log(energy_edges[1:] * energy_edges[:-1]) / 2
    known = log_energy[has_counts]
    log_rate = np.log(counts[has_counts] / seen[has_counts])
    continued = np.interp(log_energy, known, log_rate)
    weight = np.sqrt(counts[has_counts])
    above = np.maximum(log_energy - known[-1], 0)
    below = np.minimum(log_energy - known[0], 0)
    last, first = known >= known[-1] - _DECADE, known <= known[0] + _DECADE
    continued += above * _slope(known[last], log_rate[last], weight[last])
    continued += below * _slope(known[first], log_rate[first], weight[first])
    # an energy seen without any event has a lower rate than the others suggest
    norm = np.where(
        has_counts, np.exp(continued), _posterior_mean(0.0, seen, np.exp(continued))
    )
    return norm[:, np.newaxis, np.newaxis]


def _slope(log_energy: np.ndarray, log_rate: np.ndarray, weight: np.ndarray) -> float:
    """Return the spectral index of a straight line through some energies."""
    if log_energy.size < 2:
        return _USUAL
    slope = np.polyfit(log_energy, log_rate, 1, w=weight)[0]
    return float(np.clip(slope, _STEEPEST, _FLATTEST))


def _local_ratio(counts: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return counts over those expected, from the neighbourhood of each bin."""
    local = np.ones(counts.shape)
    is_known = np.zeros(counts.shape, dtype=bool)
    in_energy = [
        gaussian_filter1d(values, _REACH, axis=0, mode="constant")
        for values in (counts, expected)
    ]
    for reach in _REACHES:
        near, near_expected = (
            gaussian_filter(values, reach, axes=(1, 2), mode="constant")
            for values in in_energy
        )
        is_new = ~is_known & (near_expected >= _MIN_EXPECTED)
        ratio = (near + _PSEUDO_COUNT) / (near_expected + _PSEUDO_COUNT)
        local[is_new] = ratio[is_new]
        is_known |= is_new
        if is_known.all():
            return local
    if not is_known.any():
        return local
    nearest = distance_transform_edt(
        ~is_known, return_distances=False, return_indices=True
    )
    filled: np.ndarray = local[tuple(nearest)]
    return filled
