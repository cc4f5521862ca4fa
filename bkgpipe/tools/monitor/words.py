"""What the rate monitor saw, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.time import Time

from bkgpipe.tools.monitor.data import Change, Monitor, RunLevel

__all__ = ["describe_monitor"]

_CHANGE_HEADINGS = (
    "run",
    "target",
    "UTC",
    "minutes",
    "change",
    "sigma",
    "p",
    "most pronounced",
)
_LEVEL_HEADINGS = (
    "run",
    "target",
    "start (UTC)",
    "zenith",
    "rate",
    "expected",
    "change",
    "sigma",
)
_MAX_ROWS = 200  # of each table: nobody reads more on a screen
_LONG_BURST = 0.25  # of the run, from which a burst may be a drop of the rest
_FEW_RUNS = 10
_TINY = 1e-99
_ZENITHS = (20.0, 45.0)


def describe_monitor(monitor: Monitor) -> str:
    """Say which runs drop or rise, when, and by how much.

    Parameters
    ----------
    monitor : Monitor
        What was seen.

    Returns
    -------
    str
        What was looked at, a table of changes inside runs, one of runs that are out
        of the ordinary as a whole, and a summary; without a final line break.
    """
    lines = [*_what(monitor), "", *_changes(monitor), "", *_levels(monitor), ""]
    return "\n".join([*lines, *_summary(monitor)])


def _what(monitor: Monitor) -> list[str]:
    bins, law = monitor.bins, monitor.law
    n_events = sum(rates.n_events for rates in monitor.rates)
    n_energy, n_offset = bins.shape
    exponents = " and ".join(
        f"{law.exponents(zenith)[0]:.2f} at {zenith:g} deg" for zenith in _ZENITHS
    )
    seen = (
        f"Rate of {_number(len(monitor.rates), 'run')}, {n_events} events, "
        f"time bins of about {bins.time_bin / 60:g} min, "
        f"{_range(bins.energy_edges)} TeV in {_number(n_energy, 'bin')}, "
        f"{_range(bins.offset_edges)} deg in {_number(n_offset, 'bin')}"
    )
    followed = (
        f"Inside runs the rate goes as cos(zenith) to the power of {exponents}, from "
        f"{_number(law.n_runs, 'quiet run')}"
    )
    return [seen, followed]


def _changes(monitor: Monitor) -> list[str]:
    changes = monitor.changes
    if not changes:
        return ["No run changes inside"]
    rows = [_change_row(change) for change in changes[:_MAX_ROWS]]
    lines = ["Changes inside runs", *_align([_CHANGE_HEADINGS, *rows])]
    if len(changes) > _MAX_ROWS:
        lines.append(f"and {len(changes) - _MAX_ROWS} more: ask for --table")
    if any(_is_long_burst(monitor, change) for change in changes):
        lines.append(
            "A burst over more than a quarter of a run is more often a drop of the rest"
        )
    return lines


def _is_long_burst(monitor: Monitor, change: Change) -> bool:
    if change.kind != "burst":
        return False
    length = next(
        curve.rates.minutes[-1]
        for curve in monitor.curves
        if curve.rates.obs_id == change.obs_id
    )
    return bool(change.stop_minute - change.start_minute > _LONG_BURST * length)


def _change_row(change: Change) -> tuple[str, ...]:
    start, stop = (_utc(time) for time in (change.start, change.stop))
    told = "no event" if change.kind == "gap" else _percent(change.change, change.error)
    band = "all bins alike" if change.kind != "gap" else ""
    if change.band:
        band = f"{change.band}: {_percent(change.band_change, change.band_error)}"
    return (
        str(change.obs_id),
        change.target,
        f"{start} - {stop.partition(' ')[2]}",
        f"{change.start_minute:.1f} - {change.stop_minute:.1f}",
        told,
        f"{change.significance:.1f}",
        f"{change.p_value:.1g}" if change.p_value > _TINY else f"< {_TINY:.0e}",
        band,
    )


def _levels(monitor: Monitor) -> list[str]:
    limits = monitor.limits
    if not monitor.levels:
        return ["Whole runs are not compared: fewer than 5 with known zenith angle"]
    neighbours = min(limits.neighbours, len(monitor.levels))
    head = (
        f"Whole runs against {neighbours} runs near in time, rate as cos(zenith) to "
        f"the power of {monitor.level_exponent:.2f}, scatter "
        f"{100 * monitor.scatter:.1f} %"
    )
    if not monitor.outliers:
        return [head, f"No run is off by {limits.outlier:g} times the scatter or more"]
    worst = sorted(monitor.outliers, key=lambda level: -abs(level.significance))
    rows = [_level_row(level) for level in worst[:_MAX_ROWS]]
    lines = [head, *_align([_LEVEL_HEADINGS, *rows])]
    if len(worst) > _MAX_ROWS:
        lines.append(f"and {len(worst) - _MAX_ROWS} more: ask for --table")
    return lines


def _level_row(level: RunLevel) -> tuple[str, ...]:
    return (
        str(level.obs_id),
        level.target,
        _utc(level.time),
        f"{level.zenith:.1f} deg",
        f"{level.rate:.3g} /s",
        f"{level.expected:.3g} /s",
        _percent(level.change, (1 + level.change) * level.error),
        f"{level.significance:+.1f}",
    )


def _summary(monitor: Monitor) -> list[str]:
    kinds = {"drop": set[int](), "burst": set[int](), "gap": set[int]()}
    for change in monitor.changes:
        kinds[change.kind].add(change.obs_id)
    told = ", ".join(
        f"{_number(len(runs), 'run')} with {kind}s" for kind, runs in kinds.items()
    )
    n_low = sum(level.change < 0 for level in monitor.outliers)
    by_chance = monitor.limits.alarm_rate * len(monitor.rates)
    whole = f"{n_low} too low and {len(monitor.outliers) - n_low} too high as a whole"
    lines = [
        f"Summary: {told}; {whole}",
        f"Chance alone would make drops or bursts in {by_chance:.2g} quiet runs",
        *_notes(monitor),
    ]
    if monitor.left_out:
        lines.append(f"Left out: {_number(len(monitor.left_out), 'run')}")
        pairs = sorted(monitor.left_out.items())[:_MAX_ROWS]
        lines += [f"  {obs_id}: {reason}" for obs_id, reason in pairs]
    return lines


def _notes(monitor: Monitor) -> list[str]:
    notes = []
    if monitor.law.n_runs < _FEW_RUNS:
        notes.append(
            f"The zenith law comes from {_number(monitor.law.n_runs, 'quiet run')} "
            "alone: it may take a slow cloud for it"
        )
    n_fixed = sum(not rates.is_tracked for rates in monitor.rates)
    if n_fixed:
        notes.append(
            f"{_number(n_fixed, 'run')} without a zenith angle from place and time: "
            "that of the observation table is taken all over the run"
        )
    n_outside = sum(rates.n_outside_gti for rates in monitor.rates)
    if n_outside:
        notes.append(f"{n_outside} events are outside the good time intervals")
    return notes


def _align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def _utc(time: float) -> str:
    found = Time(time, format="mjd", scale="tt").utc
    return str(found.strftime("%Y-%m-%d %H:%M:%S"))


def _percent(change: float, error: float) -> str:
    return f"{100 * change:+.0f} +- {100 * error:.0f} %"


def _range(edges: np.ndarray) -> str:
    return f"{edges[0]:g} to {edges[-1]:g}"


def _number(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
