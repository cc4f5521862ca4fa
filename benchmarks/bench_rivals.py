"""CPU time of a model by bkgpipe, beside that of BAccMod from the same runs.

BAccMod wants other versions of its libraries than bkgpipe, so give it an environment
of its own, and this script the interpreter of that::

    python -m venv rival
    rival/bin/pip install BAccMod==0.4.1
    python benchmarks/bench_rivals.py --python rival/bin/python

Both make models of the same runs of H.E.S.S. DL3 DR1, spread evenly over the store, one
after the other, in one process each, in the alignment to the zenith and with bins as
many; the time of imports does not count. bkgpipe makes both models at once, each with
its errors, and its time is that of both: mask, count, stack, smooth, nodes, and files.
BAccMod is given the regions in the field of each run; with those of all runs of the
store, as one object for all of them has, it takes so long that it is given few runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

from bench_count import AXES, NSIDE, SEARCH_RADIUS, read_regions

from bkgpipe.core.product import ProductHeader
from bkgpipe.core.run import Run
from bkgpipe.geometry.frames import load_earth_orientation
from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.count.histograms import count_run
from bkgpipe.stages.export.gadf import Origin, write_bkg_2d, write_bkg_3d
from bkgpipe.stages.export.nodes import make_node_model, node_model_for_run
from bkgpipe.stages.mask.data import ExclusionMask, ExclusionRegion
from bkgpipe.stages.mask.pixels import make_exclusion_mask
from bkgpipe.stages.smooth.methods import smooth_stack
from bkgpipe.stages.stack.groups import stack_runs
from bkgpipe.store.store import read_events, read_runs

_HEADER = ProductHeader(
    stage="export", fingerprint="000000", inputs="", seconds=0.0, version="0"
)
_Regions = tuple[ExclusionRegion, ...]


def main(data: Path, python: str, n_runs: int, n_runs_all: int) -> None:
    """Print the CPU time of a run by both, and the ratios."""
    store = data / "hess-dl3-dr1"
    whole = read_runs(store).runs
    runs = whole[:: max(1, len(whole) // n_runs)][:n_runs]
    regions = _touching(read_regions(data), whole)
    load_earth_orientation()
    _our_seconds(store, runs[0], regions)  # what is made once for all runs
    ours = mean(_our_seconds(store, run, regions) for run in runs)
    print(f"{len(runs)} runs, {len(regions)} regions, CPU time")
    print(f"bkgpipe, 2D and 3D, all regions           {ours:8.3f} s a run")
    theirs = _ask_rival(python, _job(store, runs, regions, n_runs_all))
    words = ", ".join(f"{name} {number}" for name, number in theirs["versions"].items())
    print(words)
    for key, name in (("field", "regions of the field"), ("all", "all regions")):
        for kind, seconds in theirs[key].items():
            cost = mean(seconds)
            print(
                f"BAccMod, {kind}, {name:<22} {len(seconds):3d} runs {cost:8.3f} s a "
                f"run = {cost / ours:.0f} x"
            )


def _touching(regions: _Regions, runs: tuple[Run, ...]) -> _Regions:
    """Leave out the regions that are in the field of no run of the store."""
    names = {name for run in runs for name in _mask(run, regions).region_names}
    return tuple(region for region in regions if region.name in names)


def _mask(run: Run, regions: _Regions) -> ExclusionMask:
    return make_exclusion_mask(run, regions, nside=NSIDE, search_radius=SEARCH_RADIUS)


def _our_seconds(store: Path, run: Run, regions: _Regions) -> float:
    started = time.process_time()
    stack = stack_runs([_count(store, run, regions)], stack_id=run.obs_id)
    model = smooth_stack(stack, method="gaussian", sigma=1.0)
    nodes = node_model_for_run(make_node_model(model, fov_alignment="ALTAZ"), run)
    with TemporaryDirectory() as folder:
        write_bkg_3d(Path(folder, "3d"), nodes, header=_HEADER, origin=Origin())
        write_bkg_2d(Path(folder, "2d"), nodes, header=_HEADER, origin=Origin())
    return time.process_time() - started


def _count(store: Path, run: Run, regions: _Regions) -> RunCounts:
    events, checksum = read_events(store, run)
    return count_run(
        run,
        events,
        _mask(run, regions),
        binning=AXES,
        fov_alignment="ALTAZ",
        safe_energy=(0.0, "none"),
        control_offset=4.0,
        checksum=checksum,
    )


def _job(
    store: Path, runs: tuple[Run, ...], regions: _Regions, n_runs_all: int
) -> dict[str, Any]:
    """Tell the rival what to do: runs, with the circles to exclude from each."""
    field = {
        run.obs_id: _mask(run, regions).region_circles[:, :3].tolist() for run in runs
    }
    circles = [[region.ra, region.dec, region.radius] for region in regions]
    return {
        "store": str(store),
        "energy_edges": AXES.energy_edges.tolist(),
        "offset_max": AXES.offset_max,
        "field": field,
        "all": {run.obs_id: circles for run in runs[:n_runs_all]},
    }


def _ask_rival(python: str, job: dict[str, Any]) -> dict[str, Any]:
    script = Path(__file__).with_name("rival_baccmod.py")
    with TemporaryDirectory() as folder:
        path = Path(folder, "job.json")
        path.write_text(json.dumps(job), encoding="utf-8")
        command = [python, str(script), str(path)]
        found = subprocess.run(  # noqa: S603 - the interpreter that the user named
            command, check=True, stdout=subprocess.PIPE, text=True
        )
    answer: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return answer


if __name__ == "__main__":
    if "GAMMAPY_DATA" not in os.environ:
        sys.exit("Set GAMMAPY_DATA to a folder with hess-dl3-dr1")
    parser = argparse.ArgumentParser(description="Time bkgpipe beside BAccMod.")
    parser.add_argument("--python", required=True, help="interpreter with BAccMod")
    parser.add_argument("--runs", type=int, default=10, help="number of runs")
    parser.add_argument("--runs-all", type=int, default=1, help="with all regions")
    asked = parser.parse_args()
    main(Path(os.environ["GAMMAPY_DATA"]), asked.python, asked.runs, asked.runs_all)
