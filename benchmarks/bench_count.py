"""Cost of `mask` and `count` of one run, beside the floor of reading its file.

Floor: astropy opens the compressed file and reads the three columns that are needed.
Both go over all runs of H.E.S.S. DL3 DR1 in turns, in this process, on one core.
Usage: ``GAMMAPY_DATA=... python benchmarks/bench_count.py [rounds]``
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from astropy.io import fits

from bkgpipe.datamodel import ExclusionRegion, Run
from bkgpipe.io.catalogs import read_catalog
from bkgpipe.io.store import read_events, read_runs
from bkgpipe.numerics.count import count_run
from bkgpipe.numerics.geometry import load_earth_orientation
from bkgpipe.numerics.mask import make_exclusion_mask, size_regions
from bkgpipe.settings.sections import BinningSettings

_AXES = BinningSettings(
    energy_edges=(),
    energy_min=0.1,
    energy_max=100.0,
    per_decade=8,
    offset_max=2.5,
    fov_bins=20,
    offset_bins=20,
).axes


def main(data: Path, n_rounds: int) -> None:
    """Print the cost of a run, the floor, and their ratio."""
    store = data / "hess-dl3-dr1"
    runs = read_runs(store).runs
    names = ("gammacat", "3hwc")
    found = [
        region for name in names for region in read_catalog(name, gammapy_data=data)
    ]
    regions = size_regions(found, radius=0.35, extension_factor=3.0, max_radius=1.5)
    load_earth_orientation()

    def floor(run: Run) -> None:
        _read_columns(store / run.events_file)

    def radec(run: Run) -> None:
        _mask_and_count(store, run, regions, fov_alignment="RADEC")

    def altaz(run: Run) -> None:
        _mask_and_count(store, run, regions, fov_alignment="ALTAZ")

    times: dict[str, list[float]] = {"floor": [], "RADEC": [], "ALTAZ": []}
    for _ in range(n_rounds):
        times["floor"].append(_seconds_per_run(floor, runs))
        times["RADEC"].append(_seconds_per_run(radec, runs))
        times["ALTAZ"].append(_seconds_per_run(altaz, runs))
    base = median(times["floor"])
    print(f"{len(runs)} runs, median of {n_rounds} rounds")
    print(f"floor (astropy reads three columns)  {1e3 * base:6.1f} ms a run")
    for name in ("RADEC", "ALTAZ"):
        cost = median(times[name])
        ratio = cost / base
        print(
            f"read + mask + count, {name}           {1e3 * cost:6.1f} ms a run", end=""
        )
        print(f"  = {ratio:.2f} x floor")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB")


def _seconds_per_run(work: Callable[[Run], None], runs: tuple[Run, ...]) -> float:
    started = time.perf_counter()
    for run in runs:
        work(run)
    return (time.perf_counter() - started) / len(runs)


def _read_columns(path: Path) -> None:
    with fits.open(path, memmap=False) as hdus:
        for name in ("RA", "DEC", "ENERGY"):
            np.asarray(hdus["EVENTS"].data[name], dtype=float)


def _mask_and_count(
    store: Path,
    run: Run,
    regions: tuple[ExclusionRegion, ...],
    *,
    fov_alignment: str,
) -> None:
    mask = make_exclusion_mask(run, regions, nside=2048, search_radius=4.0)
    events, checksum = read_events(store, run)
    count_run(
        run,
        events,
        mask,
        binning=_AXES,
        fov_alignment=fov_alignment,
        safe_energy=(run.safe_energy_min, "table"),
        control_offset=4.0,
        checksum=checksum,
    )


if __name__ == "__main__":
    if "GAMMAPY_DATA" not in os.environ:
        sys.exit("Set GAMMAPY_DATA to a folder with hess-dl3-dr1")
    main(Path(os.environ["GAMMAPY_DATA"]), int(sys.argv[1]) if sys.argv[1:] else 3)
