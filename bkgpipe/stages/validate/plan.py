"""Choose energies for a validation, and what is scored together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bkgpipe.core.run import Events, Run
from bkgpipe.errors import NoEventsError
from bkgpipe.geometry.frames import fov_matrix, offset_angle, pointing_of, unit_vectors
from bkgpipe.stages.validate.folds import nights
from bkgpipe.stages.validate.plan_data import RunGlance, ScoredEnergies, Shares

__all__ = ["choose_energies", "count_in_range", "glance_at_run", "share_nights"]

# Steps of energy in which events are counted first, 40 a decade from 1 GeV to 1 PeV
_STEPS = np.geomspace(1e-3, 1e3, 241)
_PEAK_STEPS = 5  # of them, in each of which the peak is looked for

_COMMON = 0.75  # share of the runs that are safe at the lowest energy
_BEYOND = 0.003  # share of the events above the highest energy,
_MIN_BEYOND = 20  # or so many, whichever is more
_PER_DECADE = 4
_ROUND = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)


def glance_at_run(
    run: Run, events: Events, *, offset_max: float, safe_energy_min: float
) -> RunGlance:
    """Count the events of a run in its field by their energy.

    Parameters
    ----------
    run : Run
        The run.
    events : Events
        Its events.
    offset_max : float
        Largest offset [deg].
    safe_energy_min : float
        Its safe energy [TeV].

    Returns
    -------
    RunGlance
        Events, sources among them.

    Raises
    ------
    InputError
        If the pointing is not known.
    """
    good = events.keep(events.is_valid & events.is_in_good_time)
    sky = unit_vectors(good.ra, good.dec)
    is_near = offset_angle(sky @ fov_matrix(*pointing_of(run)).T) <= offset_max
    counts, _ = np.histogram(good.energy[is_near], _STEPS)
    return RunGlance(obs_id=run.obs_id, counts=counts, safe_energy_min=safe_energy_min)


def choose_energies(
    glances: Sequence[RunGlance], *, energy_min: float, energy_max: float
) -> ScoredEnergies:
    """Choose the energies in which an archive is scored.

    They begin where three quarters of the runs are safe, or where events peak when
    that is not known, and end where events end.

    Parameters
    ----------
    glances : sequence of RunGlance
        Runs.
    energy_min, energy_max : float
        Energies of the models [TeV].

    Returns
    -------
    ScoredEnergies
        Energies in round numbers, and four bins a decade.

    Raises
    ------
    NoEventsError
        If no run has events at energies of the models.
    """
    is_inside = (_STEPS[1:] > energy_min) & (_STEPS[:-1] < energy_max)
    total = np.sum([each.counts for each in glances], axis=0) * is_inside
    if not total.any():
        raise NoEventsError(
            what=f"no run has events from {energy_min:g} to {energy_max:g} TeV",
            where="validate",
            fix="Check the energies of [binning], and the runs of [select]",
        )
    safe = [each.safe_energy_min for each in glances]
    common = float(np.quantile(safe, _COMMON, method="inverted_cdf"))
    low = float(np.clip(_round_up(common or _peak(total)), energy_min, energy_max))
    above = total * (_STEPS[1:] > low)
    n_beyond = max(_BEYOND * above.sum(), _MIN_BEYOND)
    is_beyond = np.cumsum(above[::-1])[::-1] <= n_beyond
    last = float(_STEPS[int(np.argmax(is_beyond))])
    # one bin at least
    high = min(max(_round_up(last), low * 10 ** (1 / _PER_DECADE)), energy_max)
    low = min(low, high / 10 ** (1 / _PER_DECADE))
    start = "three quarters of the runs are safe" if common else "events peak"
    return ScoredEnergies(
        low=low,
        high=high,
        n_bins=max(1, round(_PER_DECADE * np.log10(high / low))),
        reason=f"from where {start} to where events end",
    )


def _peak(counts: np.ndarray) -> float:
    """Lower edge of the eighth of a decade with most events [TeV]."""
    coarse = counts.reshape(-1, _PEAK_STEPS).sum(axis=1)
    return float(_STEPS[int(np.argmax(coarse)) * _PEAK_STEPS])


def _round_up(value: float) -> float:
    power = 10.0 ** np.floor(np.log10(value) + 1e-9)
    return float(min(step for step in _ROUND if step * power >= value * 0.999) * power)


def count_in_range(
    glances: Sequence[RunGlance], low: float, high: float
) -> dict[int, int]:
    """Estimate how many events of each run are scored.

    Parameters
    ----------
    glances : sequence of RunGlance
        Runs.
    low, high : float
        Energies that are scored [TeV].

    Returns
    -------
    dict of int to int
        Events of each run above its safe energy.
    """
    centers = np.sqrt(_STEPS[1:] * _STEPS[:-1])
    return {
        each.obs_id: int(
            each.counts[
                (centers >= max(low, each.safe_energy_min)) & (centers < high)
            ].sum()
        )
        for each in glances
    }


def share_nights(
    runs: Sequence[Run], n_events: Mapping[int, int], *, min_events: int
) -> Shares:
    """Join runs that are too poor to be scored alone by their night.

    Parameters
    ----------
    runs : sequence of Run
        Runs.
    n_events : mapping of int to int
        Events of each run; runs that are not in it are not looked at.
    min_events : int
        Least number of events of what is scored.

    Returns
    -------
    Shares
        Runs alone, runs joined, and reasons for those left out.
    """
    known = sorted((r for r in runs if r.obs_id in n_events), key=lambda r: r.obs_id)
    poor = [run for run in known if n_events[run.obs_id] < min_events]
    blocks: dict[float, list[int]] = {}
    for run, night in zip(poor, nights(poor).tolist(), strict=True):
        blocks.setdefault(night, []).append(run.obs_id)
    totals = {
        tuple(block): sum(n_events[key] for key in block) for block in blocks.values()
    }
    left_out = {
        key: _too_few(n_events[key], total, block, min_events)
        for block, total in totals.items()
        if total < min_events
        for key in block
    }
    return Shares(
        alone=tuple(r.obs_id for r in known if n_events[r.obs_id] >= min_events),
        joined=tuple(block for block, n in totals.items() if n >= min_events),
        left_out=left_out,
    )


def _too_few(n_own: int, total: int, block: tuple[int, ...], min_events: int) -> str:
    night = f", {total} with {len(block) - 1} more of its night" if block[1:] else ""
    return f"{n_own} events to score{night}, fewer than {min_events}"
