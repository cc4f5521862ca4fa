"""Watch the rate of the runs of any store."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from bkgpipe._version import __version__
from bkgpipe.chain.runs import digest
from bkgpipe.core.product import ProductHeader
from bkgpipe.core.run import Run
from bkgpipe.core.run_list import RunList, find_listed
from bkgpipe.errors import BkgpipeError, InputError, NoRunsError, SettingsError
from bkgpipe.geometry.frames import load_earth_orientation
from bkgpipe.plot.images import save_figure
from bkgpipe.product.whole_file import write_file
from bkgpipe.settings.kinds import OBS_IDS, Kind, quantities, quantity
from bkgpipe.simulate.archive.pool import map_chunks
from bkgpipe.store.store import read_events, read_runs
from bkgpipe.tools.monitor.data import Monitor, MonitorBins, RunRates, SearchLimits
from bkgpipe.tools.monitor.files import write_changes, write_rates
from bkgpipe.tools.monitor.law import compare_runs, fit_zenith_law
from bkgpipe.tools.monitor.rates import make_rates
from bkgpipe.tools.monitor.scan import find_changes, make_curve
from bkgpipe.tools.monitor.view import figure_monitor
from bkgpipe.tools.monitor.words import describe_monitor

__all__ = ["MonitorOutputs", "monitor_store", "parse_bins", "parse_limits"]

_Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]

_MAX_CHUNK = 50  # runs that a worker takes at once


@dataclass(frozen=True, kw_only=True)
class MonitorOutputs:
    """Where to write what was seen.

    Attributes
    ----------
    table : Path or None
        ECSV file of the changes.
    rates : Path or None
        ECSV file of the rates in all bins.
    plot : Path or None
        PNG file of the figure.
    as_json : bool
        Answer in one line of JSON.
    """

    table: Path | None = None
    rates: Path | None = None
    plot: Path | None = None
    as_json: bool = False


def monitor_store(
    store: Path,
    *,
    runs: str,
    bins: MonitorBins,
    limits: SearchLimits,
    outputs: MonitorOutputs,
    workers: int | None,
) -> None:
    """Find the runs of a store whose rate drops or rises, and say so.

    Parameters
    ----------
    store : Path
        Folder of the store.
    runs : str
        Run numbers, or ``@`` and a file of them; empty for all.
    bins : MonitorBins
        Bins of time, energy and offset.
    limits : SearchLimits
        What counts as a change.
    outputs : MonitorOutputs
        Where to write what was seen.
    workers : int or None
        Worker processes; None for one on each core.

    Raises
    ------
    BkgpipeError
        If the store cannot be read, or none of the runs can be looked at.
    """
    started = time.monotonic()
    chosen = _choose(read_runs(store).runs, _parse("--runs", OBS_IDS, runs), store)
    # read once for all workers
    load_earth_orientation()
    each = _each(workers, len(chosen))
    found = _watch(store, chosen, each=each, bins=bins, limits=limits)
    seconds = time.monotonic() - started
    header = _header(bins, limits, chosen, seconds=seconds)
    _write(found, outputs, header)
    click.echo(
        json.dumps(_answer(found)) if outputs.as_json else describe_monitor(found)
    )


def parse_bins(time_bin: str, *, energy_edges: str, offset_edges: str) -> MonitorBins:
    """Make the bins from words.

    Parameters
    ----------
    time_bin : str
        Length of a time bin, such as ``2 min``.
    energy_edges, offset_edges : str
        Edges with a unit at the end.

    Returns
    -------
    MonitorBins
        The bins.

    Raises
    ------
    SettingsError
        If a word cannot be understood, or edges do not increase.
    """
    seconds = _parse("--time-bin", quantity("s"), time_bin)
    if not 0 < seconds < math.inf:
        raise _wrong("--time-bin", f"expected a time above zero, found {time_bin!r}")
    edges = {
        "--energy-edges": _parse("--energy-edges", quantities("TeV"), energy_edges),
        "--offset-edges": _parse("--offset-edges", quantities("deg"), offset_edges),
    }
    for name, values in edges.items():
        if len(values) < 2 or not (np.diff(values) > 0).all() or values[0] < 0:
            raise _wrong(name, "expected two or more edges that increase from zero on")
    energies, offsets = (np.array(values) for values in edges.values())
    return MonitorBins(time_bin=seconds, energy_edges=energies, offset_edges=offsets)


def parse_limits(min_gap: str, **limits: Any) -> SearchLimits:
    """Make the limits of the search from words.

    Parameters
    ----------
    min_gap : str
        Shortest time without events, such as ``5 s``.
    **limits : float or int
        Other fields of `SearchLimits`.

    Returns
    -------
    SearchLimits
        The limits.

    Raises
    ------
    SettingsError
        If a word cannot be understood.
    """
    seconds = _parse("--min-gap", quantity("s"), min_gap)
    return SearchLimits(min_gap=seconds, **limits)


def _parse(name: str, kind: Kind, text: str) -> Any:
    try:
        return kind.parse(text, Path())
    except ValueError as error:
        raise _wrong(name, str(error)) from error


def _wrong(name: str, what: str) -> SettingsError:
    return SettingsError(what=what, where=name, fix="See bkgpipe monitor --help")


def _choose(runs: tuple[Run, ...], wanted: RunList, store: Path) -> tuple[Run, ...]:
    if not wanted:
        return runs
    found, missing = find_listed(wanted, (run.obs_id for run in runs))
    if missing:
        raise InputError(
            what=f"runs {', '.join(missing[:5])} are not in the store",
            where=str(store),
            fix="Correct --runs",
        )
    return tuple(run for run in runs if run.obs_id in found)


def _each(workers: int | None, n_runs: int) -> _Each:
    """Return a map over runs, in order, in this process or in many."""
    n_workers = max(1, min(workers or len(os.sched_getaffinity(0)), n_runs))
    chunk = max(1, min(_MAX_CHUNK, n_runs // (4 * n_workers)))
    return partial(map_chunks, workers=n_workers, chunk_size=chunk)


def _watch(
    store: Path,
    runs: tuple[Run, ...],
    *,
    each: _Each,
    bins: MonitorBins,
    limits: SearchLimits,
) -> Monitor:
    look = partial(_look, store=store, bins=bins, min_gap=limits.min_gap)
    looked = list(zip(runs, each(look, runs), strict=True))
    rates = tuple(found for _, found in looked if isinstance(found, RunRates))
    left_out = {run.obs_id: found for run, found in looked if isinstance(found, str)}
    if not rates:
        reason = next(iter(left_out.values()), "the store has no runs")
        raise NoRunsError(
            what=f"no run can be looked at; the first one: {reason}",
            where=str(store),
            fix="Check the files of the store, --allow, --energy-edges and "
            "--offset-edges",
        )
    law = fit_zenith_law(rates)
    search = partial(find_changes, law=law, bins=bins, limits=limits)
    changes = zip(rates, each(search, rates), strict=True)
    levels, exponent, scatter = compare_runs(rates, limits)
    return Monitor(
        bins=bins,
        limits=limits,
        rates=rates,
        law=law,
        curves=tuple(make_curve(rate, law, found) for rate, found in changes if found),
        levels=levels,
        level_exponent=exponent,
        scatter=scatter,
        left_out=left_out,
    )


def _look(
    run: Run, *, store: Path, bins: MonitorBins, min_gap: float
) -> RunRates | str:
    try:
        events, _ = read_events(store, run)
        return make_rates(run, events, bins=bins, min_gap=min_gap)
    except BkgpipeError as error:
        return error.what


def _header(
    bins: MonitorBins, limits: SearchLimits, runs: tuple[Run, ...], *, seconds: float
) -> ProductHeader:
    settings = bins.time_bin, bins.energy_edges.tolist(), bins.offset_edges.tolist()
    return ProductHeader(
        stage="monitor",
        fingerprint=digest([*settings, limits]),
        inputs=digest(runs),
        seconds=seconds,
        version=__version__,
    )


def _write(monitor: Monitor, outputs: MonitorOutputs, header: ProductHeader) -> None:
    for path, write in ((outputs.table, write_changes), (outputs.rates, write_rates)):
        if path is not None:
            write_file(path, partial(write, header=header, monitor=monitor))
    if outputs.plot is not None:
        figure = figure_monitor(monitor)
        write_file(outputs.plot, lambda path: save_figure(figure, path))


def _answer(monitor: Monitor) -> dict[str, object]:
    law = monitor.law
    return {
        "runs": len(monitor.rates),
        "events": sum(rates.n_events for rates in monitor.rates),
        "zenith_law": {
            "coefficients": law.coefficients.tolist(),
            "quiet_runs": law.n_runs,
        },
        "changes": [_plain(asdict(change)) for change in monitor.changes],
        "levels": {
            "exponent": _number(monitor.level_exponent),
            "scatter": _number(monitor.scatter),
            "outliers": [
                _plain(asdict(level) | {"change": level.change})
                for level in monitor.outliers
            ],
        },
        "left_out": monitor.left_out,
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: Any) -> Any:
    """Return a value as JSON knows it, which has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
