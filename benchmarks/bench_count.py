"""Cost of `mask` and `count` of one run, beside the floor of reading its file.

Two floors: gzip inflates the whole file and astropy reads the three columns that are
needed (bkgpipe reads the whole file too, since a checksum of half a file says nothing
of the other half); and astropy alone, which inflates no further than the last column.
All go over all runs of H.E.S.S. DL3 DR1 in turns, in this process; all is CPU time.
Usage: ``GAMMAPY_DATA=... python benchmarks/bench_count.py [rounds]``
"""

from __future__ import annotations

import gzip
import os
import resource
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from statistics import median

import numpy as np
from astropy.io import fits

from bkgpipe.core.run import Run
from bkgpipe.geometry.frames import load_earth_orientation
from bkgpipe.settings.sections import BinningSettings
from bkgpipe.stages.count.histograms import count_run
from bkgpipe.stages.mask.catalogs import read_catalog
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.mask.pixels import make_exclusion_mask, size_regions
from bkgpipe.store.store import read_events, read_runs

AXES = BinningSettings(
    energy_edges=(),
    energy_min=0.1,
    energy_max=100.0,
    per_decade=8,
    offset_max=2.5,
    fov_bins=20,
    offset_bins=20,
).axes
NSIDE, SEARCH_RADIUS = 2048, 4.0


def read_regions(data: Path) -> tuple[ExclusionRegion, ...]:
    """Read the regions that a production excludes unless told otherwise."""
    names = ("gammacat", "3hwc")
    found = [
        region for name in names for region in read_catalog(name, gammapy_data=data)
    ]
    return size_regions(found, radius=0.35, extension_factor=3.0, max_radius=1.5)


def main(data: Path, n_rounds: int) -> None:
    """Print the cost of a run, the floor, and their ratio."""
    store = data / "hess-dl3-dr1"
    runs = read_runs(store).runs
    regions = read_regions(data)
    load_earth_orientation()

    def whole(run: Run) -> None:
        with gzip.open(store / run.events_file) as file:
            _read_columns(BytesIO(file.read()))

    def head(run: Run) -> None:
        _read_columns(store / run.events_file)

    def radec(run: Run) -> None:
        _mask_and_count(store, run, regions, fov_alignment="RADEC")

    def altaz(run: Run) -> None:
        _mask_and_count(store, run, regions, fov_alignment="ALTAZ")

    jobs = {"whole": whole, "head": head, "RADEC": radec, "ALTAZ": altaz}
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(n_rounds):
        for name, work in jobs.items():
            times[name].append(_seconds_per_run(work, runs))
    cost = {name: 1e3 * median(seconds) for name, seconds in times.items()}
    print(f"{len(runs)} runs, median of {n_rounds} rounds")
    print(f"floor, whole file inflated      {cost['whole']:5.1f} ms a run")
    print(f"floor, up to the last column    {cost['head']:5.1f} ms a run")
    for name in ("RADEC", "ALTAZ"):
        ratios = (
            f"{cost[name] / cost['whole']:.2f} x and {cost[name] / cost['head']:.2f}"
        )
        print(
            f"read + mask + count, {name}      {cost[name]:5.1f} ms a run = {ratios} x"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB")


def _seconds_per_run(work: Callable[[Run], None], runs: tuple[Run, ...]) -> float:
    started = time.process_time()
    for run in runs:
        work(run)
    return (time.process_time() - started) / len(runs)


def _read_columns(file: Path | BytesIO) -> None:
    with fits.open(file, memmap=False) as hdus:
        for name in ("RA", "DEC", "ENERGY"):
            np.asarray(hdus["EVENTS"].data[name], dtype=float)


def _mask_and_count(
    store: Path,
    run: Run,
    regions: tuple[ExclusionRegion, ...],
    *,
    fov_alignment: str,
) -> None:
    mask = make_exclusion_mask(run, regions, nside=NSIDE, search_radius=SEARCH_RADIUS)
    events, checksum = read_events(store, run)
    count_run(
        run,
        events,
        mask,
        binning=AXES,
        fov_alignment=fov_alignment,
        safe_energy=(run.safe_energy_min, "table"),
        control_offset=4.0,
        checksum=checksum,
    )


if __name__ == "__main__":
    if "GAMMAPY_DATA" not in os.environ:
        sys.exit("Set GAMMAPY_DATA to a folder with hess-dl3-dr1")
    main(Path(os.environ["GAMMAPY_DATA"]), int(sys.argv[1]) if sys.argv[1:] else 3)
