"""How often the rate monitor raises an alarm in quiet simulated runs.

Run it as ``python benchmarks/monitor_false_alarms.py [N_RUNS]``. Each row has runs of
one length and number of events; the last columns are the share of runs with a drop or
burst, and what was asked for.
"""

from __future__ import annotations

import sys
from itertools import product

import numpy as np

from bkgpipe.tools.monitor.data import MonitorBins, RunRates, SearchLimits, ZenithLaw
from bkgpipe.tools.monitor.scan import find_changes

_BINS = MonitorBins(
    time_bin=120.0,
    energy_edges=np.array([0.01, 0.5, 200.0]),
    offset_edges=np.array([0.0, 1.0, 1.8, 2.5]),
)
_LAW = ZenithLaw(coefficients=np.zeros((3, 2)), errors=np.zeros((3, 2)), n_runs=1)


def main(n_runs: int) -> None:
    """Print the share of quiet runs with an alarm."""
    rng = np.random.default_rng(1)
    print("time bins  events  good time  alarms   asked for")
    cases = product((5, 14, 56), (30, 300, 9000), ("all", "partly"), (0.05, 0.01))
    for n_time, n_events, good, alarm_rate in cases:
        livetime = np.full(n_time, 100.0)
        if good == "partly":
            livetime[1::3] = 20.0
        limits = SearchLimits(alarm_rate=alarm_rate, min_change=0.0)
        runs = (_quiet_run(rng, livetime, n_events) for _ in range(n_runs))
        found = [find_changes(run, _LAW, bins=_BINS, limits=limits) for run in runs]
        share, error = np.mean([bool(item) for item in found]), alarm_rate / n_runs
        print(
            f"{n_time:9d} {n_events:7d}  {good:9s}  {share:.4f}   "
            f"{alarm_rate:.3f} +- {np.sqrt(error):.4f}"
        )


def _quiet_run(
    rng: np.random.Generator, livetime: np.ndarray, n_events: int
) -> RunRates:
    mean = livetime[:, np.newaxis, np.newaxis] * np.ones((1, *_BINS.shape))
    return RunRates(
        obs_id=1,
        target="quiet",
        time_edges=53000.0 + np.arange(livetime.size + 1) / 720.0,
        livetime=livetime,
        zenith=np.full(livetime.size, 20.0),
        counts=rng.poisson(n_events * mean / mean.sum()),
        gaps=np.empty((0, 2)),
        gap_log_p=np.empty(0),
        n_read=n_events,
        n_invalid=0,
        n_outside_gti=0,
        n_outside_bins=0,
        is_tracked=True,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
