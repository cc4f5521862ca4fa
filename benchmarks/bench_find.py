"""How many sources ``[mask] find`` invents, and how many it finds.

Run it as ``python benchmarks/bench_find.py N_ARCHIVES [FALSE_ALARMS]``. Each archive
has 20 simulated runs of ten minutes, each with a field of its own. Quiet ones have no
source: the first lines tell false regions an archive, and what was asked for. Others
have five point sources of random strength in five fields; the next lines tell the share
that was found, by the significance that is expected within 0.1 deg.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from astropy.io import fits

from bkgpipe.geometry.frames import fov_matrix, from_fov, offset_angle, unit_vectors
from bkgpipe.simulate.archive.data import Simulation
from bkgpipe.simulate.archive.make import write_simulated_store
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.stages.sky.found import FoundRegion
from bkgpipe.stages.sky.found_files import read_found
from bkgpipe.stages.sky.significance import sqrt_ts

_N_RUNS, _N_SOURCES = 20, 5
_WIDTH = 0.06  # of a point source [deg]
_RADIUS = 0.1  # of the disc in which its significance is told [deg]
_STEPS = (0.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, np.inf)
_SETTINGS = """[data]
store = store
output = out
[mask]
catalogs =
find = true
[select]
min_livetime = 1 min
[sky]
false_alarms = {}
"""


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A source that no catalogue has, and its significance as it is expected."""

    ra: float
    dec: float
    significance: float


def main(n_archives: int, false_alarms: float) -> None:
    """Print what is found in archives without and with sources."""
    n_false, judged = 0, list[tuple[float, bool]]()
    for seed in range(1, n_archives + 1):
        with tempfile.TemporaryDirectory() as name:
            _simulate(Path(name), seed)
            n_false += len(_find(Path(name), false_alarms))
        with tempfile.TemporaryDirectory() as name:
            rng = np.random.default_rng(seed)
            sources = _hide_sources(_simulate(Path(name), seed), rng)
            found = _find(Path(name), false_alarms)
            judged += [(each.significance, _is_in(each, found)) for each in sources]
            n_others = len(found) - sum(
                is_found for _, is_found in judged[-_N_SOURCES:]
            )
            print(f"archive {seed}: {n_others} regions without a source", flush=True)
    error = np.sqrt(max(n_false, 1)) / n_archives
    print(f"false regions a quiet archive: {n_false / n_archives:.4f} +- {error:.4f}")
    print(f"asked for: {false_alarms}")
    _print_efficiency(np.array(judged, dtype=float))


def _simulate(folder: Path, seed: int) -> Path:
    write_simulated_store(
        folder / "store",
        simulation=Simulation(n_runs=_N_RUNS, duration=600, seed=seed, sources=()),
        truth=Truth(),
    )
    return folder / "store"


def _hide_sources(store: Path, rng: np.random.Generator) -> list[_Source]:
    """Add the events of a source to some runs."""
    files = sorted((store / "data").glob("run_*.fits.gz"))
    chosen = rng.choice(len(files), _N_SOURCES, replace=False)
    return [_hide_source(files[i], rng) for i in chosen]


def _hide_source(path: Path, rng: np.random.Generator) -> _Source:
    with fits.open(path, memmap=False) as hdus:
        events, header = hdus["EVENTS"].data, hdus["EVENTS"].header
        pointing = header["RA_PNT"], header["DEC_PNT"]
        (ra,), (dec,) = from_fov(*rng.uniform(-1.2, 1.2, (2, 1)), pointing=pointing)
        distance = _distance(events["RA"], events["DEC"], ra, dec)
        background = (distance < 5 * _RADIUS).sum() / 25
        n_events = int(rng.uniform(10, 150))
        more = events[rng.integers(0, len(events), n_events)].copy()
        north, west = rng.normal(0.0, _WIDTH, (2, n_events))
        more["RA"], more["DEC"] = from_fov(west, north, pointing=(ra, dec))
        joined = np.concatenate([events, more])
        joined = joined[np.argsort(joined["TIME"])]
        hdus["EVENTS"] = fits.BinTableHDU(joined, header=header, name="EVENTS")
        hdus.writeto(path, overwrite=True, checksum=True)
    near = n_events * (1 - np.exp(-0.5 * (_RADIUS / _WIDTH) ** 2))
    expected = sqrt_ts(np.array([background + near]), np.array([background]))[0]
    return _Source(ra=float(ra), dec=float(dec), significance=float(expected))


def _distance(ra: np.ndarray, dec: np.ndarray, ra_0: float, dec_0: float) -> np.ndarray:
    return offset_angle(unit_vectors(ra, dec) @ fov_matrix(ra_0, dec_0).T)


def _find(folder: Path, false_alarms: float) -> tuple[FoundRegion, ...]:
    """Run a production, and read which regions it found."""
    (folder / "luigi.cfg").write_text(_SETTINGS.format(false_alarms))
    command = [sys.executable, "-m", "bkgpipe", "run", "export"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: S603
    (path,) = (folder / "out" / "found").glob("found-*.ecsv")
    return read_found(path)


def _is_in(source: _Source, regions: tuple[FoundRegion, ...]) -> bool:
    here = np.array([source.ra]), np.array([source.dec])
    return any(_distance(*here, each.ra, each.dec)[0] < each.radius for each in regions)


def _print_efficiency(judged: np.ndarray) -> None:
    print("expected significance  sources  found")
    for low, high in pairwise(_STEPS):
        is_in = (judged[:, 0] >= low) & (judged[:, 0] < high)
        if is_in.any():
            share = judged[is_in, 1].mean()
            print(f"{low:8g} to {high:8g}  {is_in.sum():9d}  {share:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.001)
