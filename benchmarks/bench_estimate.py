"""Time, memory and disk of different productions, estimated and measured.

Each production works in a process of its own, with one worker; CPU time and the largest
memory of each stage are those that the operating system counted while its tasks ran.
What was measured is kept in FOLDER/measured, and is not measured again. Needs Linux,
and ``$GAMMAPY_DATA`` with H.E.S.S. DL3 DR1, FACT and MAGIC data. Usage:
``python benchmarks/bench_estimate.py FOLDER [--fit] [name ...]``
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import luigi
import numpy as np
from scipy.optimize import nnls

from bkgpipe.chain.cost import COEFFICIENTS, find_sizes
from bkgpipe.chain.inputs import choose_runs
from bkgpipe.cli.run import run_production
from bkgpipe.flow import Fit, StageTask
from bkgpipe.settings import read_settings

_Rows = Mapping[str, Mapping[str, float]]
_Table = Mapping[str, Mapping[str, Mapping[str, float]]]

_SMALL = {"seconds": 0.5, "memory": 1e7, "disk": 1e6}
_HESS, _FACT, _MAGIC = "hess-dl3-dr1", "fact-open-crab", "magic-rad-max"
_COARSE = ("binning.per_decade=4", "binning.fov_bins=10", "binning.offset_bins=8")
_FINE = ("binning.per_decade=16", "binning.fov_bins=60", "binning.offset_bins=50")
_FINEST = ("binning.per_decade=40", "binning.fov_bins=200", "binning.offset_bins=100")
_FINER = ("binning.per_decade=20", "binning.fov_bins=100", "binning.offset_bins=60")
_FIELD = ("binning.per_decade=4", "binning.fov_bins=100", "binning.offset_bins=60")
_TWO, _FOR_ONE = "select.obs_ids=20136,20137", "export.obs_ids=20136"
_SIX = "select.obs_ids=20136,20137,20151,20282,20283,20301"
_SUMS = ("smooth.method=gaussian", "stack.min_hours=0.01 h", "stack.min_counts=0")
_RANKED = ("stack.strategy=ranked", "rank.hours=2 h", "rank.allow_short=true")


@dataclass(frozen=True, kw_only=True)
class _Production:
    """A store and the settings that differ from those that init proposes.

    What is not fitted shows how good the estimates are elsewhere.
    """

    store: str
    settings: tuple[str, ...] = ()
    simulated: tuple[str, ...] = ()
    is_fitted: bool = True


_SHORT = ("--runs", "1000", "--minutes", "0.4")
_BIG = ("--runs", "4", "--set", "truth.norm=300000 s-1 TeV-1 sr-1")
_CTA = ("--runs", "20", "--layout", "cta-like", "--seed", "2")
PRODUCTIONS = {
    "hess": _Production(store=_HESS),
    "coarse": _Production(store=_HESS, settings=_COARSE),
    "fine": _Production(store=_HESS, settings=(*_FINE, _SIX)),
    "finer": _Production(store=_HESS, settings=(*_FINER, _SIX, _FOR_ONE)),
    "finest": _Production(store=_HESS, settings=(*_FINEST, _TWO, _FOR_ONE)),
    "field": _Production(store=_HESS, settings=(*_FIELD, _FOR_ONE)),
    "own": _Production(store=_HESS, settings=(*_SUMS, "stack.strategy=own")),
    "groups": _Production(store=_HESS, settings=(*_SUMS, "stack.strategy=groups")),
    "ranked": _Production(store=_HESS, settings=(*_SUMS, *_RANKED)),
    "index": _Production(
        store=_HESS, settings=("export.store=index", "export.format=bkg_2d")
    ),
    "fact": _Production(store=_FACT, is_fitted=False),
    "magic": _Production(store=_MAGIC),
    "cta": _Production(store="cta", simulated=_CTA, is_fitted=False),
    "big": _Production(store="big", simulated=_BIG),
    "short": _Production(
        store="short", simulated=_SHORT, settings=(*_COARSE, "select.min_livetime=1 s")
    ),
}


def main(folder: Path, names: list[str], *, fit: bool) -> None:
    """Measure what is not measured yet, and compare it with what is estimated."""
    measured = {name: _recall(folder, name) for name in names}
    sizes = {name: _find_sizes(folder / name, PRODUCTIONS[name]) for name in names}
    coefficients = COEFFICIENTS
    if fit:
        coefficients = _fit(measured, sizes)
        print(json.dumps(coefficients, indent=4))
    print("| | CPU [s] | | memory [MB] | | disk [MB] | |")
    print("|---|---|---|---|---|---|---|")
    for name in names:
        _compare(name, measured[name], _estimate(sizes[name], coefficients))


def _recall(folder: Path, name: str) -> _Rows:
    path = folder / "measured" / f"{name}.json"
    if not path.exists():
        rows = _measure(folder / name, PRODUCTIONS[name], stores=folder / "stores")
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    found: _Rows = json.loads(path.read_text(encoding="utf-8"))
    return found


def _find_sizes(place: Path, production: _Production) -> dict[str, float]:
    settings = read_settings(place / "luigi.cfg", production.settings)
    return find_sizes(settings, choose_runs(settings))


def _compare(name: str, measured: _Rows, estimated: _Rows) -> None:
    """Print the sums of all stages, and for memory the largest."""
    cells = []
    for what, total in (("seconds", sum), ("memory", max), ("disk", sum)):
        found = total(row[what] for row in measured.values())
        said = total(estimated[stage][what] for stage in measured)
        unit = 1.0 if what == "seconds" else 1e6
        is_off = not 0.5 <= said / found <= 2.0
        mark = "**" * is_off
        cells += [f"{found / unit:.0f}", f"{mark}{said / unit:.0f}{mark}"]
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _estimate(sizes: dict[str, float], coefficients: _Table) -> _Rows:
    return {
        stage: {
            what: sum(factor * sizes[size] for size, factor in factors.items())
            for what, factors in whats.items()
        }
        for stage, whats in coefficients.items()
    }


def _fit(measured: dict[str, _Rows], sizes: dict[str, dict[str, float]]) -> _Table:
    """Fit the coefficients of the sizes that the table names, none below zero."""
    fitted: dict[str, dict[str, dict[str, float]]] = {}
    names = [name for name in measured if PRODUCTIONS[name].is_fitted]
    for stage, whats in COEFFICIENTS.items():
        having = [name for name in names if stage in measured[name]]
        fitted[stage] = {}
        for what, factors in whats.items():
            found = np.array([measured[name][stage][what] for name in having])
            columns = [[sizes[name][size] for size in factors] for name in having]
            # a small stage may be off by half a second, 10 MB of memory, 1 MB of disk
            weight = 1 / (np.maximum(found, 0) + _SMALL[what])
            design = np.array(columns) * weight[:, np.newaxis]
            scale = design.max(axis=0)
            values, _ = nnls(design / scale, found * weight)
            pairs = zip(factors, values / scale, strict=True)
            fitted[stage][what] = {name: float(f"{value:.2g}") for name, value in pairs}
    return fitted


def _measure(place: Path, production: _Production, *, stores: Path) -> _Rows:
    """Run a production in an empty folder, in a process of its own."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    store = _find_store(production, stores)
    command = [sys.executable, "-m", "bkgpipe", "init", "--data", str(store)]
    subprocess.run([*command, "--output", "out"], cwd=place, check=True)  # noqa: S603
    command = [sys.executable, __file__, str(place), "--one", *production.settings]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    shutil.rmtree(place / "out")
    rows: _Rows = json.loads(told.stdout.strip().splitlines()[-1])
    return rows


def _run_one(place: Path, overrides: list[str]) -> None:
    """Run a production, and print what each stage took as one line of JSON."""
    meter = _Meter()
    StageTask.event_handler(luigi.Event.START)(meter.start)
    StageTask.event_handler(luigi.Event.PROCESSING_TIME)(meter.stop)
    settings = read_settings(place / "luigi.cfg", overrides)
    is_done, _ = run_production(settings, stage=None)
    if not is_done:
        sys.exit("The production failed")
    rows = meter.rows
    spent = sum(row["seconds"] for row in rows.values())
    # what is between the tasks is counted among what every command takes
    rows["start"]["seconds"] += time.process_time() - spent
    for path in settings.data.output.rglob("*"):
        stage = path.relative_to(settings.data.output).parts[0].partition("-")[0]
        stage = "fit" if path.name == "fit.h5" else stage
        row = rows[stage if stage in rows else "start"]
        row["disk"] += path.stat().st_size if path.is_file() else 0
    print(json.dumps(rows))


class _Meter:
    """CPU time and largest memory of the tasks of each stage."""

    def __init__(self) -> None:
        self.rows = {"start": _no_cost()}
        self._started = 0.0

    def start(self, _task: StageTask) -> None:
        """Begin to look at a task."""
        if not self._started:
            self.rows["start"]["memory"] = _largest_memory()
        # 5 sets the largest memory back to what is held now: see proc(5)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self._started = time.process_time()

    def stop(self, task: StageTask, _seconds: float) -> None:
        """Add up what a task took."""
        row = self.rows.setdefault(_stage_of(task), _no_cost())
        row["seconds"] += time.process_time() - self._started
        row["memory"] = max(row["memory"], _largest_memory())


def _stage_of(task: StageTask) -> str:
    name = "fit" if isinstance(task, Fit) else task.stage
    return name if name in COEFFICIENTS else "start"


def _no_cost() -> dict[str, float]:
    return {"seconds": 0.0, "memory": 0.0, "disk": 0.0}


def _largest_memory() -> float:
    """Return the largest memory since it was set back [bytes]."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return float(line.split()[1]) * 1024


def _find_store(production: _Production, stores: Path) -> Path:
    if not production.simulated:
        return Path(os.environ["GAMMAPY_DATA"]) / production.store
    store = stores / production.store
    command = [sys.executable, "-m", "bkgpipe", "simulate", "store", str(store)]
    subprocess.run([*command, *production.simulated], check=True)  # noqa: S603
    return store


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fit", action="store_true", help="print new coefficients")
    parser.add_argument("--one", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", default=list(PRODUCTIONS))
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    asked = _parse()
    if asked.one is not None:
        _run_one(asked.folder, asked.one)
    else:
        main(asked.folder.resolve(), asked.names, fit=asked.fit)
