"""The rate beside a source, with the exposure from the mask and from the events.

Simulated runs with a source like the Crab nebula, whose true background is known, and
the runs of H.E.S.S. DL3 DR1 on the Crab nebula; both are counted in narrow annuli.
Usage: ``[GAMMAPY_DATA=...] python benchmarks/bench_exposure.py``
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.core.run import Events, Run
from bkgpipe.simulate.archive.data import PointSource, Simulation
from bkgpipe.simulate.archive.draw import (
    make_runs,
    run_generator,
    simulate_run,
    source_regions,
)
from bkgpipe.simulate.archive.truth import expected_counts_2d
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.count.exposure import with_event_exposure
from bkgpipe.stages.count.histograms import count_run
from bkgpipe.stages.mask.catalogs import read_catalog
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.mask.pixels import make_exclusion_mask, size_regions
from bkgpipe.store.store import read_events, read_runs

_AXES = Binning(
    energy_edges=np.geomspace(0.1, 100.0, 25),
    fov_lon_edges=np.linspace(-2.5, 2.5, 21),
    fov_lat_edges=np.linspace(-2.5, 2.5, 21),
    offset_edges=np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5]),
)
_SIZES = {"radius": 0.35, "extension_factor": 3.0, "max_radius": 1.5}
_CRAB_RA = 83.633  # deg
_CRAB = PointSource(fov_lon=0.5, fov_lat=0.0, rate=0.6)


def main() -> None:
    """Print one table for simulated runs, and one for the Crab nebula."""
    _simulated(Truth())
    data = os.environ.get("GAMMAPY_DATA")
    if data is None:
        print("\nGAMMAPY_DATA is not set: the real runs are skipped")
        return
    _real(Path(data))


def _simulated(truth: Truth) -> None:
    simulation = Simulation(n_runs=40, duration=1680.0, seed=7, sources=(_CRAB,))
    runs = make_runs(np.random.default_rng(simulation.seed), simulation)
    regions = size_regions(source_regions(runs, simulation.sources), **_SIZES)
    counted = [
        _count(run, _draw(run, truth, simulation), regions, safe_energy=0.56)
        for run in runs
    ]
    livetime = sum(run.livetime for run in counted)
    is_safe = counted[0].is_safe
    expected = expected_counts_2d(truth, _AXES, livetime=livetime)[is_safe].sum(axis=0)
    print(f"{len(runs)} simulated runs, source of {_CRAB.rate} s-1 at 0.5 deg")
    _print(counted, truth=expected / (livetime * _AXES.solid_angle_2d))


def _draw(run: Run, truth: Truth, simulation: Simulation) -> Events:
    rng = run_generator(simulation.seed, run.obs_id)
    return simulate_run(rng, truth, run, sources=simulation.sources).events


def _real(data: Path) -> None:
    store = data / "hess-dl3-dr1"
    found = [
        region
        for name in ("gammacat", "3hwc")
        for region in read_catalog(name, gammapy_data=data)
    ]
    regions = size_regions(found, **_SIZES)
    runs = [run for run in read_runs(store).runs if run.target.startswith("Crab")]
    # Two of the runs point half a degree from the nebula, two three times as far
    for name, is_near in (("0.5 deg", True), ("1.5 deg", False)):
        counted = [
            _count(
                run,
                read_events(store, run)[0],
                regions,
                safe_energy=run.safe_energy_min,
            )
            for run in runs
            if (abs(run.ra - _CRAB_RA) < 0.1) == is_near
        ]
        names = ", ".join(str(run.obs_id) for run in counted)
        print(f"\nCrab nebula at {name}, H.E.S.S. DL3 DR1, runs {names}")
        _print(counted, truth=None)


def _count(
    run: Run,
    events: Events,
    regions: Sequence[ExclusionRegion],
    *,
    safe_energy: float,
) -> RunCounts:
    return count_run(
        run,
        events,
        make_exclusion_mask(run, regions, nside=2048, search_radius=4.0),
        binning=_AXES,
        fov_alignment="RADEC",
        safe_energy=(safe_energy, "table"),
        control_offset=4.0,
        checksum="",
    )


def _print(runs: Sequence[RunCounts], *, truth: np.ndarray | None) -> None:
    by_events = [with_event_exposure(run) for run in runs]
    geometry, events = _rate(runs), _rate(by_events)
    kept = [_kept(each) for each in (runs, by_events)]
    head = "offset [deg]  kept: geometry events  rate [1/s/sr]: geometry events   ratio"
    print(head + ("   geometry/truth events/truth" if truth is not None else ""))
    for i in range(_AXES.offset_edges.size - 1):
        low, high = _AXES.offset_edges[i : i + 2]
        line = (
            f"{low:4.2f} to {high:4.2f}         {kept[0][i]:.3f}  {kept[1][i]:.3f}  "
            f"              {geometry[i]:6.1f} {events[i]:6.1f}   "
            f"{events[i] / geometry[i] - 1:+6.1%}"
        )
        if truth is not None:
            line += f"   {geometry[i] / truth[i]:13.3f} {events[i] / truth[i]:12.3f}"
        print(line)
    n_kept = sum(run.counts_2d.sum() for run in runs)
    pairs = zip(by_events, runs, strict=True)
    highest = max((_rate([other]) / _rate([run])).max() for other, run in pairs)
    print(f"{n_kept} events kept; most in one annulus of one run: {highest - 1:+.1%}")


def _rate(runs: Sequence[RunCounts]) -> np.ndarray:
    """Sum of counts over sum of live time x kept solid angle."""
    counts = sum(run.counts_2d.sum(axis=0) for run in runs)
    exposure = sum(run.livetime * run.solid_angle_2d for run in runs)
    rate: np.ndarray = counts / exposure
    return rate


def _kept(runs: Sequence[RunCounts]) -> np.ndarray:
    angle = np.mean([run.solid_angle_2d for run in runs], axis=0)
    kept: np.ndarray = angle / _AXES.solid_angle_2d
    return kept


if __name__ == "__main__":
    main()
