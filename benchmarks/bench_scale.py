"""Time, memory and files of whole productions, from small to large archives.

Runs of 20 s are simulated, and copied under other numbers where there are more than
200, so that all that grows with the number of runs shows, and not with their events.
The last 100 runs get a model. Each production works in a process of its own, with one
worker, then once more with nothing to do. Usage:
``python benchmarks/bench_scale.py FOLDER [--method regression|gaussian] [runs ...]``
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import luigi
import numpy as np

from bkgpipe.cli.run import run_production
from bkgpipe.core.run import Run
from bkgpipe.flow import StageTask
from bkgpipe.product.whole_file import write_file
from bkgpipe.settings import read_settings, settings_template
from bkgpipe.simulate.archive.data import PointSource, Simulation
from bkgpipe.simulate.archive.index import write_simulated_index
from bkgpipe.simulate.archive.make import write_simulated_store
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.store.fits_sums import with_sums
from bkgpipe.store.store import read_runs

_SIMULATED = 200
_MODELS = 100
_FIRST = 100001
_COLUMNS = (
    ("runs", "{:d}"),
    ("wall_s", "{:.1f}"),
    ("ms_per_run", "{:.1f}"),
    ("cpu_s", "{:.1f}"),
    ("overhead_percent", "{:.1f}"),
    ("peak_mib", "{:.0f}"),
    ("files", "{:d}"),
    ("mb", "{:.1f}"),
    ("again_s", "{:.2f}"),
    ("status_s", "{:.2f}"),
)


def main(folder: Path, sizes: list[int], *, method: str) -> None:
    """Print a row for each size, and how fast the time grows."""
    print("| " + " | ".join(name for name, _ in _COLUMNS) + " |")
    print("|---" * len(_COLUMNS) + "|")
    rows = []
    for n_runs in sizes:
        row = _measure(folder, n_runs, method=method)
        rows.append(row)
        cells = (form.format(row[name]) for name, form in _COLUMNS)
        print("| " + " | ".join(cells) + " |", flush=True)
    if len(rows) > 1:
        runs, cpu = (np.log([row[name] for row in rows]) for name in ("runs", "cpu_s"))
        steps = np.diff(cpu) / np.diff(runs)
        words = ", ".join(f"{step:.2f}" for step in steps)
        print("Exponents of the CPU time from size to size:", words)


def _measure(folder: Path, n_runs: int, *, method: str) -> dict[str, float]:
    place = folder / str(n_runs)
    if not (place / "store" / "hdu-index.fits.gz").exists():
        write_store(place / "store", n_runs)
    output = f"out-{method}"
    given = {
        "data.store": "store",
        "data.output": output,
        "mask.catalogs": "store/sources.ecsv",
        "select.min_livetime": "1 s",
        "stack.min_hours": "0.01 h",
        "stack.min_counts": "0",
        "smooth.method": method,
        "export.store": "index",
        "export.format": "bkg_3d",
        "export.obs_ids": ", ".join(map(str, _numbers(n_runs)[-_MODELS:])),
    }
    config = place / f"{method}.cfg"
    config.write_text(settings_template(given), encoding="utf-8")
    shutil.rmtree(place / output, ignore_errors=True)
    first = _call([sys.executable, __file__, "--one", str(config)])
    command = [sys.executable, "-m", "bkgpipe"]
    again = _call([*command, "run", "--config", str(config)])
    status = _call([*command, "status", "--json", "--config", str(config)])
    sizes = [path.stat().st_size for path in (place / output).rglob("*.*")]
    return first | {
        "runs": n_runs,
        "ms_per_run": 1e3 * first["wall_s"] / n_runs,
        "overhead_percent": 100 * (1 - first["tasks_s"] / first["luigi_s"]),
        "files": len(sizes),
        "mb": sum(sizes) / 1e6,
        "again_s": again["wall_s"],
        "status_s": status["wall_s"],
    }


def _call(command: list[str]) -> dict[str, float]:
    """Run a command; return what it used, and what its last line says in JSON."""
    started = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    found = {"wall_s": time.perf_counter() - started}
    last = done.stdout.strip().splitlines()[-1]
    return found | (json.loads(last) if last.startswith('{"cpu_s"') else {})


def _run_one(config: Path) -> None:
    """Run a production, and print what it used as one line of JSON."""
    seconds: list[float] = []
    StageTask.event_handler(luigi.Event.PROCESSING_TIME)(
        lambda _task, spent: seconds.append(spent)
    )
    started = time.perf_counter()
    is_done, _ = run_production(read_settings(config), stage=None)
    if not is_done:
        sys.exit("The production failed")
    used = resource.getrusage(resource.RUSAGE_SELF)
    answer = {
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mib": used.ru_maxrss / 1024,
        "luigi_s": time.perf_counter() - started,
        "tasks_s": sum(seconds),
    }
    print(json.dumps(answer))


def _numbers(n_runs: int) -> range:
    return range(_FIRST, _FIRST + n_runs)


def write_store(store: Path, n_runs: int) -> None:
    """Simulate some runs, and copy them until there are enough."""
    simulation = Simulation(
        n_runs=min(n_runs, _SIMULATED),
        first_obs_id=_FIRST,
        duration=20,
        seed=1,
        sources=(PointSource(fov_lon=0.5, fov_lat=0.3, rate=0.05),),
    )
    write_simulated_store(store, simulation=simulation, truth=Truth())
    runs = read_runs(store).runs
    content = [gzip.decompress((store / run.events_file).read_bytes()) for run in runs]
    copies = [
        _copy_run(store, runs[i % len(runs)], content[i % len(runs)], obs_id)
        for i, obs_id in enumerate(_numbers(n_runs))
        if i >= len(runs)
    ]
    write_simulated_index(store, [*runs, *copies])


def _copy_run(store: Path, run: Run, content: bytes, obs_id: int) -> Run:
    old, new = (f"OBS_ID  = {number:20d}".encode() for number in (run.obs_id, obs_id))
    if old not in content:
        sys.exit(f"Run {run.obs_id} does not name itself")
    name = run.events_file.replace(str(run.obs_id), str(obs_id))
    renamed = with_sums(content.replace(old, new))
    packed = gzip.compress(renamed, compresslevel=1, mtime=0)
    write_file(store / name, partial(_write_bytes, content=packed))
    return replace(run, obs_id=obs_id, events_file=name)


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("runs", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--method", default="regression")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    asked = _parse()
    if asked.one:
        _run_one(asked.one)
    elif asked.folder:
        main(asked.folder.resolve(), asked.runs, method=asked.method)
    else:
        sys.exit("Name a folder to work in")
