"""Time, memory and disk of different productions, estimated and measured.

Each stage of a production works in a process of its own, with one worker; its CPU time
and the largest memory that it held are those of the operating system. What was measured
is kept in FOLDER/measured, and is not measured again. Needs ``$GAMMAPY_DATA`` with
H.E.S.S. DL3 DR1, FACT and MAGIC data. Usage:
``python benchmarks/bench_estimate.py FOLDER [--fit] [name ...]``
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from bkgpipe.cli.check import preview_selection
from bkgpipe.production.cost import COEFFICIENTS, find_sizes
from bkgpipe.settings import read_settings

_Rows = Mapping[str, Mapping[str, float]]
_Table = Mapping[str, Mapping[str, Mapping[str, float]]]

_SMALL = {"seconds": 0.5, "memory": 1e7, "disk": 1e6}
_HESS, _FACT, _MAGIC = "hess-dl3-dr1", "fact-open-crab", "magic-rad-max"
_COARSE = ("binning.per_decade=4", "binning.fov_bins=10", "binning.offset_bins=8")
_FINE = ("binning.per_decade=16", "binning.fov_bins=60", "binning.offset_bins=50")
_FINEST = ("binning.per_decade=40", "binning.fov_bins=200", "binning.offset_bins=100")
_FINER = ("binning.per_decade=20", "binning.fov_bins=100", "binning.offset_bins=60")
_THREE = "select.obs_ids=20136,20137,20151"
_FOR_FIVE = "export.obs_ids=20136,20137,20151,20282,20283"
_FOR_TWO, _FOR_ONE = "export.obs_ids=20136,20137", "export.obs_ids=20136"
_SUMS = ("smooth.method=gaussian", "stack.min_hours=0.01 h", "stack.min_counts=0")
_RANKED = ("stack.strategy=ranked", "rank.hours=2 h", "rank.allow_short=true")


@dataclass(frozen=True, kw_only=True)
class _Production:
    """A store and the settings that differ from those that init proposes."""

    store: str
    settings: tuple[str, ...] = ()
    simulated: tuple[str, ...] = ()
    stages: tuple[str, ...] = ("mask", "count", "fit", "smooth", "export", "report")
    is_fitted: bool = True


_STACKED = ("mask", "count", "stack", "smooth", "export", "report")
_RANKING = ("mask", "count", "rank", "stack", "smooth", "export", "report")
_SHORT = ("--runs", "1000", "--minutes", "0.4")
_BIG = ("--runs", "4", "--set", "truth.norm=300000 s-1 TeV-1 sr-1")
_CTA = ("--runs", "20", "--layout", "cta-like", "--seed", "2")
PRODUCTIONS = {
    "hess": _Production(store=_HESS),
    "coarse": _Production(store=_HESS, settings=_COARSE),
    "fine": _Production(store=_HESS, settings=(*_FINE, _FOR_FIVE)),
    "finer": _Production(store=_HESS, settings=(*_FINER, _FOR_TWO)),
    "finest": _Production(store=_HESS, settings=(*_FINEST, _THREE, _FOR_ONE)),
    "own": _Production(
        store=_HESS, settings=(*_SUMS, "stack.strategy=own"), stages=_STACKED
    ),
    "groups": _Production(
        store=_HESS, settings=(*_SUMS, "stack.strategy=groups"), stages=_STACKED
    ),
    "ranked": _Production(store=_HESS, settings=(*_SUMS, *_RANKED), stages=_RANKING),
    "index": _Production(
        store=_HESS, settings=("export.store=index", "export.format=bkg_2d")
    ),
    "fact": _Production(store=_FACT),
    "magic": _Production(store=_MAGIC),
    "cta": _Production(store="cta", simulated=_CTA),
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
    return find_sizes(settings, preview_selection(settings))


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
    """Run a production stage by stage in an empty folder."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    store = _find_store(production, stores)
    given = [word for pair in production.settings for word in ("--set", pair)]
    _call(["init", "--data", str(store), "--output", "out"], place)
    start = _call(["run", "select", *given], place)
    rows = {"start": start | {"disk": _disk(place / "out")}}
    for stage in production.stages:
        before = _disk(place / "out")
        row = _call(_words(stage, given, place), place)
        row["seconds"] -= start["seconds"]
        rows[stage] = row | {"disk": _disk(place / "out") - before}
    shutil.rmtree(place / "out")
    return rows


def _words(stage: str, given: list[str], place: Path) -> list[str]:
    """Put together the command that makes a stage, but for those before it."""
    if stage == "fit":
        (kept,) = (place / "out" / "settings").glob("*.cfg")
        return ["job", "fit", "0", "--config", str(kept)]
    return ["run", *([] if stage == "report" else [stage]), *given]


def _find_store(production: _Production, stores: Path) -> Path:
    if not production.simulated:
        return Path(os.environ["GAMMAPY_DATA"]) / production.store
    store = stores / production.store
    _call(["simulate", "store", str(store), *production.simulated], Path.cwd())
    return store


def _call(words: list[str], place: Path) -> dict[str, float]:
    """Run a command; return the CPU time [s] and largest memory [bytes] it took."""
    with (place / "told.txt").open("a", encoding="utf-8") as told:
        command = [sys.executable, "-m", "bkgpipe", *words]
        child = subprocess.Popen(command, cwd=place, stdout=told, stderr=told)  # noqa: S603
        _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{' '.join(words)} failed: see {place / 'told.txt'}")
    return {
        "seconds": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss * 1024.0,
    }


def _disk(folder: Path) -> float:
    """Size of all files in a folder [bytes]."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fit", action="store_true", help="print new coefficients")
    parser.add_argument("names", nargs="*", default=list(PRODUCTIONS))
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    asked = _parse()
    main(asked.folder.resolve(), asked.names, fit=asked.fit)
