"""In words, what a simulated archive holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.time import Time

from bkgpipe.core.run import Run

__all__ = ["describe_archive", "summarize_archive"]

_CONDITIONS = {
    "zenith": ("zenith angle", "deg"),
    "azimuth": ("azimuth", "deg"),
    "deadc": ("live time over on-time", ""),
    "muon_efficiency": ("muon efficiency", ""),
    "safe_energy_min": ("safe energy", "TeV"),
}


def summarize_archive(runs: Sequence[Run]) -> dict[str, object]:
    """Sum up the runs of an archive, for machines.

    Parameters
    ----------
    runs : sequence of Run
        The runs, one or more.

    Returns
    -------
    dict of str to object
        Number, hours, dates, and least and largest value of each condition; null
        where it is not known.
    """
    return {
        "runs": len(runs),
        "ontime_hours": sum(run.ontime for run in runs) / 3600.0,
        "livetime_hours": sum(run.livetime for run in runs) / 3600.0,
        "dates": [_date(time) for time in _limits(runs)],
        "targets": len({run.target for run in runs}),
    } | {name: _range(runs, name) for name in _CONDITIONS}


def describe_archive(runs: Sequence[Run]) -> str:
    """Say what the runs of an archive are.

    Parameters
    ----------
    runs : sequence of Run
        The runs, one or more.

    Returns
    -------
    str
        Lines, without a final line break.
    """
    summary = summarize_archive(runs)
    first, last = (_date(time) for time in _limits(runs))
    head = (
        f"{summary['runs']} runs of {summary['targets']} targets,"
        f" {summary['ontime_hours']:.1f} h on-time,"
        f" {summary['livetime_hours']:.1f} h live time, {first} to {last}"
    )
    lines = [head]
    for name, (words, unit) in _CONDITIONS.items():
        limits = _range(runs, name)
        if limits is None:
            text = "not known"
        elif limits[0] == limits[1]:
            text = f"{limits[0]:.4g} {unit}"
        else:
            text = f"{limits[0]:.4g} to {limits[1]:.4g} {unit}"
        lines.append(f"  {words}: {text}".rstrip())
    return "\n".join(lines)


def _range(runs: Sequence[Run], name: str) -> list[float] | None:
    values = np.array([getattr(run, name) for run in runs], dtype=float)
    known = values[np.isfinite(values)]
    return [float(known.min()), float(known.max())] if known.size else None


def _limits(runs: Sequence[Run]) -> tuple[float, float]:
    return min(run.time_start for run in runs), max(run.time_stop for run in runs)


def _date(time: float) -> str:
    return str(Time(time, format="mjd", scale="tt").utc.strftime("%Y-%m-%d"))
