"""Cost of chunk files of counts: to write and to read them, and how large they are.

A hundred runs of simulated counts in the default bins, with some 10,000 events each as
in H.E.S.S. DL3 DR1, are written under as many numbers as there are runs, a hundred in a
file, and read in several ways. All is CPU time of this process.
Usage: ``python benchmarks/bench_chunks.py [runs ...]``; 100 and 10,000 without it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from bench_count import AXES

from bkgpipe.core.product import Chunk, ProductHeader
from bkgpipe.core.run import Run
from bkgpipe.product.hdf5 import read_header
from bkgpipe.stages.count.data import Conservation, ControlEvents, MaskEffect, RunCounts
from bkgpipe.stages.count.files import COUNTS, read_heads, read_shapes, read_tallies

_SIZE, _EVENTS = 100, 10_000
_HEADER = ProductHeader(
    stage="count", fingerprint="000000", inputs="", seconds=0.0, version=""
)
_READERS: dict[str, Callable[[Path], object]] = {
    "header": read_header,
    "tallies": read_tallies,
    "shapes": read_shapes,
    "heads": read_heads,
    "a run": lambda path: COUNTS.read_one(path, _number(path) * _SIZE + 50),
    "all runs": COUNTS.read,
}


def main(sizes: list[int]) -> None:
    """Print a row for each number of runs."""
    runs = [_make_counts(number) for number in range(_SIZE)]
    print(f"CPU time [ms], of {_SIZE} runs in a file (of one where it is a run)")
    print("| runs | KB a run | write |", " | ".join(_READERS), "|")
    print("|---" * (3 + len(_READERS)) + "|")
    for n_runs in sizes:
        _print(runs, n_runs // _SIZE)


def _print(runs: list[RunCounts], n_files: int) -> None:
    spent = dict.fromkeys(("write", *_READERS), 0.0)
    n_bytes = 0
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"count_{number}.h5") for number in range(n_files)]
        for path in paths:
            chunk = _renumbered(runs, _SIZE * _number(path))
            with _timed(spent, "write"):
                COUNTS.write(path, _HEADER, chunk)
            n_bytes += path.stat().st_size
        for name, read in _READERS.items():
            for path in paths:
                with _timed(spent, name):
                    read(path)
    cells = [f"{1e3 * seconds / n_files:.2f}" for seconds in spent.values()]
    size = n_bytes / n_files / _SIZE / 1e3
    print(f"| {n_files * _SIZE} | {size:.1f} | {' | '.join(cells)} |", flush=True)


@contextmanager
def _timed(spent: dict[str, float], name: str) -> Iterator[None]:
    started = time.process_time()
    yield
    spent[name] += time.process_time() - started


def _number(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])


def _renumbered(runs: list[RunCounts], first: int) -> Chunk[RunCounts]:
    records = {
        first + i: replace(counts, run=replace(counts.run, obs_id=first + i))
        for i, counts in enumerate(runs)
    }
    return Chunk(records=records)


def _make_counts(number: int) -> RunCounts:
    """Make counts that fall steeply with energy, in a field with holes."""
    rng = np.random.default_rng(number)
    weight = AXES.energy_edges[:-1] ** -1.7
    expected = _EVENTS * weight / weight.sum()
    n_energy, n_lon, n_lat = AXES.shape_3d
    counts_3d = rng.poisson(expected[:, None, None] / (n_lon * n_lat), AXES.shape_3d)
    counts_2d = rng.poisson(expected[:, None] / AXES.shape_2d[1], AXES.shape_2d)
    kept = np.where(rng.random((n_lon, n_lat)) < 0.9, AXES.solid_angle_3d, 0.0)
    return RunCounts(
        run=_make_run(number, rng),
        binning=AXES,
        counts_3d=counts_3d,
        counts_2d=counts_2d,
        solid_angle_3d=kept,
        solid_angle_2d=AXES.solid_angle_2d * rng.random(AXES.shape_2d[1]),
        is_safe=np.arange(n_energy) > 3,
        safe_energy_min=float(rng.random()),
        safe_energy_origin="aeff",
        ontime=1680.0,
        livetime=1560.0,
        position_angle=float(rng.random()),
        conservation=Conservation(n_read=_EVENTS, n_kept=_EVENTS),
        control=ControlEvents(
            counts_outer=number,
            exposure_outer=float(rng.random()),
            counts_low=number,
            exposure_low=float(rng.random()),
        ),
        checksum=rng.bytes(32).hex(),
        mask_effect=MaskEffect(
            events_3d=counts_3d.sum(axis=0),
            events_2d=counts_2d.sum(axis=0),
            solid_angle_2d=AXES.solid_angle_2d,
        ),
    )


def _make_run(number: int, rng: np.random.Generator) -> Run:
    ra, dec, zenith, azimuth, efficiency = rng.random(5) * (360, 90, 60, 360, 1)
    return Run(
        obs_id=number,
        target=f"Field {number}",
        ra=ra,
        dec=dec,
        zenith=zenith,
        azimuth=azimuth,
        ontime=1680.0,
        livetime=1560.0,
        deadc=0.93,
        time_start=53343.9 + number,
        time_stop=53343.92 + number,
        muon_efficiency=efficiency,
        nsb=float("nan"),
        telescopes="1,2,3,4",
        quality=0,
        safe_energy_min=float("nan"),
        longitude=16.5,
        latitude=-23.3,
        altitude=1800.0,
        events_file=f"data/run_{number}.fits.gz",
        events_hdu="EVENTS",
        file_size=1_000_000,
        file_time=0,
        selected=True,
        exported=True,
        reason="",
        checksum=rng.bytes(32).hex(),
    )


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [_SIZE, 100 * _SIZE])
