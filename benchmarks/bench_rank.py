"""Cost of ranking all runs for all runs, beside NumPy's own matrix product.

By definition each divergence needs four sums over bins, so four matrix products of all
targets with all candidates. Three of them are over the bins that are seen, and are
done once for each distinct set of bins. The floor is one product of the same size, in
the same blocks, and what is left are passes over all pairs and the choice of runs.
Simulated runs of 10 x 20 bins with eight safe energies; on as many threads as
OMP_NUM_THREADS or OPENBLAS_NUM_THREADS says.
Usage: ``python benchmarks/bench_rank.py [runs] [rounds] [divergence]``
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from bkgpipe.core.criteria import MimicLimits, RankCriteria
from bkgpipe.core.run import Run
from bkgpipe.stages.count.data import RunShape
from bkgpipe.stages.rank.order import rank_runs

_N_ENERGY, _N_OFFSET = 10, 20
_BLOCK = 64  # targets at once, as in `rank_runs`
_LIMITS = MimicLimits(zenith=15.0, muon_efficiency=0.2)


def main(n_runs: int, n_rounds: int, divergence: str) -> None:
    """Print the cost of a ranking, the floor, and their ratio."""
    runs = _simulate(n_runs)
    criteria = RankCriteria(
        divergence=divergence,
        energy_bins=_N_ENERGY,
        offset_bins=_N_OFFSET,
        limits=_LIMITS,
    )
    shapes = np.array([run.counts_2d.ravel() for run in runs], dtype=np.float64)
    at_start = _peak()
    jobs = {
        "floor": lambda: _multiply(shapes),
        "ranking": lambda: rank_runs(runs, runs, criteria=criteria),
    }
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(n_rounds):
        for name, work in jobs.items():
            times[name].append(_seconds(work))
    cost = {name: median(seconds) for name, seconds in times.items()}
    product = 2e-9 * n_runs**2 * _N_ENERGY * _N_OFFSET
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    print(f"{n_runs} x {n_runs} runs, {_N_ENERGY * _N_OFFSET} bins, {divergence}")
    print(f"median of {n_rounds} rounds, threads: {threads}")
    for name, seconds in cost.items():
        ratio = seconds / cost["floor"]
        print(
            f"{name:8} {seconds:7.2f} s = {ratio:.2f} x one product, "
            f"{ratio / 4:.2f} x four; {product / seconds:.1f} GFLOP/s of one, "
            f"{4 * product / seconds:.1f} of four"
        )
    print(f"peak memory {_peak():.0f} MiB, of which before ranking {at_start:.0f} MiB")


def _simulate(n_runs: int) -> list[RunShape]:
    """Make runs whose rate depends on the zenith angle and the muon efficiency."""
    rng = np.random.default_rng(1)
    zenith = rng.uniform(0.0, 60.0, n_runs)
    muon = rng.uniform(0.5, 1.0, n_runs)
    n_unsafe = rng.integers(0, 8, n_runs)
    energy = np.geomspace(1.0, 1e-3, _N_ENERGY)[:, np.newaxis]
    offset = np.linspace(1.0, 0.2, _N_OFFSET)
    return [
        _make_shape(
            _make_run(i, float(zenith[i]), float(muon[i])),
            energy ** np.cos(np.radians(zenith[i])) * offset ** muon[i],
            int(n_unsafe[i]),
            rng,
        )
        for i in range(n_runs)
    ]


def _make_shape(
    run: Run, rate: np.ndarray, n_unsafe: int, rng: np.random.Generator
) -> RunShape:
    exposure = np.full(rate.shape, 10.0)
    exposure[:n_unsafe] = 0.0
    return RunShape(
        run=run,
        counts_2d=rng.poisson(200 * rate) * (exposure > 0),
        exposure_2d=exposure,
        livetime=run.livetime,
        kept_fraction=1.0,
    )


def _make_run(obs_id: int, zenith: float, muon_efficiency: float) -> Run:
    nan = float("nan")
    return Run(
        obs_id=obs_id,
        target="",
        ra=0.0,
        dec=0.0,
        zenith=zenith,
        azimuth=180.0,
        ontime=1680.0,
        livetime=1600.0,
        deadc=1600 / 1680,
        time_start=53000.0,
        time_stop=53000.02,
        muon_efficiency=muon_efficiency,
        nsb=nan,
        telescopes="",
        quality=0,
        safe_energy_min=nan,
        longitude=nan,
        latitude=nan,
        altitude=nan,
        events_file="",
        events_hdu="",
        file_size=0,
        file_time=0,
    )


def _multiply(shapes: np.ndarray) -> None:
    other = np.log(shapes + 0.5)
    for start in range(0, len(shapes), _BLOCK):
        shapes[start : start + _BLOCK] @ other.T


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if sys.argv[1:] else 10_000,
        int(sys.argv[2]) if sys.argv[2:] else 3,
        sys.argv[3] if sys.argv[3:] else "kullback_leibler",
    )
