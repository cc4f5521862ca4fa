"""Measure how long simulated archives of short runs take, and what is on disk.

Usage: python benchmarks/bench_simulate.py FOLDER [N_RUNS ...] [--workers N]

Each number of runs of 20 s gets a store of its own in FOLDER. Killed, and started
again, it goes on with the runs that are missing; time is then that of the rest.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

from bkgpipe.simulate.archive.make import simulate_archive
from bkgpipe.simulate.settings import read_simulate_settings
from bkgpipe.store.store import read_runs

_SETTINGS = (
    "simulation.duration=20 s",
    "simulation.seed=1",
    "truth.run_scatter=0.05",
    "source:point.rate=0.05 s-1",
)


def main() -> None:
    """Simulate, and print a line for each archive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("n_runs", type=int, nargs="*", default=[1000, 10_000])
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    print("runs  wall [s]  CPU [s]  CPU per run [ms]  files  MB  peak [MiB]  index [s]")
    for n_runs in arguments.n_runs:
        print(_measure(arguments.folder, n_runs, arguments.workers), flush=True)


def _measure(folder: Path, n_runs: int, workers: int) -> str:
    store = folder / f"runs-{n_runs}"
    settings = read_simulate_settings(None, [*_SETTINGS, f"simulation.runs={n_runs}"])
    started, busy = time.monotonic(), _cpu_seconds()
    simulate_archive(store, settings=settings, workers=workers)
    wall, cpu = time.monotonic() - started, _cpu_seconds() - busy
    files = [path.stat().st_size for path in store.rglob("*") if path.is_file()]
    started = time.monotonic()
    read_runs(store)
    index = time.monotonic() - started
    peak = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return (
        f"{n_runs}  {wall:.1f}  {cpu:.1f}  {1000 * cpu / n_runs:.2f}  {len(files)}"
        f"  {sum(files) / 1e6:.1f}  {peak / 1024:.0f}  {index:.2f}"
    )


def _cpu_seconds() -> float:
    """CPU time of this process and of workers that have ended."""
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(who) for who in both]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


if __name__ == "__main__":
    main()
