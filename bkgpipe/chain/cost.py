"""What the stages of a production take: time, memory and disk, known beforehand.

Each is a sum of sizes of the production times coefficients. These were measured by
``benchmarks/bench_estimate.py`` on one core of an AMD EPYC of 2024, with one thread;
other machines are faster or slower by their own factor. The same script fits them anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import ceil, prod

from bkgpipe.chain.runs import chunk_numbers
from bkgpipe.core.run import Run, RunTable
from bkgpipe.settings import Settings
from bkgpipe.stages.table import has_stage, list_chain
from bkgpipe.store.event_size import read_event_size

__all__ = [
    "COEFFICIENTS",
    "Cost",
    "count_cells",
    "find_costs",
    "find_sizes",
    "job_cost",
]

_WHATS = ("seconds", "memory", "disk")
_COLUMNS = 20  # of the regression: splines in offset, and terms

# A job makes first what its chunks need and no other job has made
_STAGES_OF = {
    "count": ("mask", "count"),
    "candidates": ("rank",),
    "smooth": ("stack", "smooth"),
    "nodes": ("stack", "smooth", "export"),
    "export": ("stack", "smooth", "export"),
}

COEFFICIENTS: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    "start": {
        "seconds": {"one": 2.4, "stored": 7.3e-4},
        "memory": {"one": 2.8e8, "stored": 3800.0},
        "disk": {"one": 7000.0, "stored": 590.0},
    },
    "mask": {
        "seconds": {"run": 4.1e-4},
        "memory": {"one": 2.3e8},
        "disk": {"run": 750.0},
    },
    "count": {
        "seconds": {"run": 0.0057, "event": 4.8e-7, "run_bin": 2.5e-7},
        "memory": {"one": 2.1e8, "largest": 150.0, "chunk_run_bin": 31.0},
        "disk": {"run": 5300.0, "run_bin": 0.052},
    },
    "rank": {
        "seconds": {"model": 0.0018},
        "memory": {"one": 2.5e8},
        "disk": {"model": 1500.0},
    },
    "fit": {
        "seconds": {"run": 0.0026, "point_bin": 2.9e-7, "coefficient_cube": 7.4e-10},
        "memory": {"one": 2.5e8, "point_bin": 44.0, "coefficient_square": 120.0},
        "disk": {"coefficient_square": 24.0},
    },
    "stack": {
        "seconds": {"summed_bin": 2.0e-7, "sum_bin": 2.0e-7},
        "memory": {"one": 2.2e8, "chunk_sum_bin": 61.0},
        "disk": {"sum_bin": 0.72},
    },
    "smooth": {
        "seconds": {"sum": 0.0013, "sum_bin": 3.9e-7},
        "memory": {"one": 2.3e8, "chunk_sum_bin": 130.0},
        "disk": {"sum_bin": 16.0},
    },
    "export": {
        "seconds": {"model": 0.0078, "model_bin": 1.4e-6, "copied_byte": 7.9e-9},
        "memory": {"one": 2.2e8, "chunk_sum_bin": 120.0, "copied_largest": 4.2},
        "disk": {"model": 5.8e4, "model_bin": 26.0, "copied_byte": 0.97},
    },
    "report": {
        "seconds": {"one": 0.95, "run": 6.8e-5, "model_bin": 4.9e-7},
        "memory": {"one": 2.8e8},
        "disk": {"one": 6.0e5, "run": 1100.0},
    },
}
"""By stage and by what it takes: coefficient of each size."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a stage takes.

    Attributes
    ----------
    seconds : float
        CPU time of all its tasks [s].
    memory : float
        Largest memory of a process that makes one of them [bytes].
    disk : float
        Size of its products [bytes].
    n_tasks : int
        Tasks that can be made at the same time.
    """

    seconds: float
    memory: float
    disk: float
    n_tasks: int

    def part(self, share: float) -> Cost:
        """Return the cost of a part of the tasks.

        Parameters
        ----------
        share : float
            What part of them, from 0 to 1.

        Returns
        -------
        Cost
            Cost of that part; its memory is the same.
        """
        n_tasks = ceil(share * self.n_tasks)
        seconds, disk = share * self.seconds, share * self.disk
        return replace(self, seconds=seconds, disk=disk, n_tasks=n_tasks)


def find_costs(
    settings: Settings, table: RunTable, *, stage: str | None = None
) -> dict[str, Cost]:
    """Estimate what each stage of a production takes.

    Parameters
    ----------
    settings : Settings
        Settings.
    table : RunTable
        Runs of the store, with the decision on each.
    stage : str, optional
        Last stage to make; all by default.

    Returns
    -------
    dict of str to Cost
        Cost of each stage; ``start`` is what each command takes.
    """
    sizes = find_sizes(settings, table)
    chunk_size = settings.data.chunk_size
    n_chunks = len(chunk_numbers(table, chunk_size, exported=False))
    at_once = {"start", "fit", "report"}
    if settings.in_groups:
        at_once |= {"stack", "smooth"}
    return {
        word: Cost(
            **{what: _sum_up(COEFFICIENTS[word][what], sizes) for what in _WHATS},
            n_tasks=1 if word in at_once else n_chunks,
        )
        for word in _list_stages(settings, stage)
    }


def job_cost(costs: Mapping[str, Cost], word: str, *, n_chunks: int = 1) -> Cost:
    """Put together what a batch job takes.

    Parameters
    ----------
    costs : mapping of str to Cost
        Cost of each stage.
    word : str
        What the job makes, one of `bkgpipe.batch.waves.WORDS`.
    n_chunks : int
        Chunks that it makes, one after the other.

    Returns
    -------
    Cost
        Cost of one job.
    """
    stages = [name for name in _STAGES_OF.get(word, (word,)) if name in costs]
    part = {name: min(1.0, n_chunks / costs[name].n_tasks) for name in stages}
    start = costs["start"]
    return Cost(
        seconds=start.seconds + sum(costs[name].seconds * part[name] for name in part),
        memory=max(start.memory, *(costs[name].memory for name in stages)),
        disk=sum(costs[name].disk * part[name] for name in part),
        n_tasks=1,
    )


def _sum_up(coefficients: Mapping[str, float], sizes: Mapping[str, float]) -> float:
    return sum(factor * sizes[name] for name, factor in coefficients.items())


def _list_stages(settings: Settings, last: str | None) -> list[str]:
    """List what a production does up to a stage, in order."""
    made = {stage.word for stage in list_chain(settings, last or "report")}
    return [word for word in COEFFICIENTS if word == "start" or word in made]


def find_sizes(settings: Settings, table: RunTable) -> dict[str, float]:
    """Find all that time, memory and disk follow from.

    The headers of a few events files are read, to know how many events there are.

    Parameters
    ----------
    settings : Settings
        Settings.
    table : RunTable
        Runs of the store, with the decision on each.

    Returns
    -------
    dict of str to float
        Sizes, by the names that `COEFFICIENTS` uses.
    """
    axes = settings.binning.axes
    n_bins = prod(axes.shape_3d) + prod(axes.shape_2d)
    n_runs, n_models = len(table.used), len(table.exported)
    n_chunk = _most_in_chunk(table.used, settings.data.chunk_size)
    n_sums, n_summed = _count_sums(settings, table)
    in_chunk = n_sums if settings.in_groups else min(n_chunk, n_models)
    n_points = min(n_runs, settings.fit.max_points)
    n_coefficients = _COLUMNS * axes.n_energy
    return {
        "one": 1,
        "stored": len(table.runs),
        "run": n_runs,
        "run_bin": n_runs * n_bins,
        "chunk_run_bin": n_chunk * n_bins,
        "model": n_models,
        "model_bin": n_models * n_bins,
        "sum": n_sums,
        "sum_bin": n_sums * n_bins,
        "summed_bin": n_summed * n_bins,
        "chunk_sum_bin": in_chunk * n_bins,
        "point_bin": n_points * n_bins,
        "coefficient_square": n_coefficients**2,
        "coefficient_cube": n_coefficients**3,
        **_event_sizes(settings, table),
    }


def _event_sizes(settings: Settings, table: RunTable) -> dict[str, float]:
    """Events and bytes of all runs, of the largest one, and of what is copied."""
    size = read_event_size(settings.store, table.used)
    files = [max(0, run.file_size) for run in table.used]
    most = max(files, default=0)
    is_copied = settings.export.store == "full"
    copied = sum(max(0, run.file_size) for run in table.exported) * is_copied
    return {
        "event": sum(files) * size.n_events,
        "largest": most * size.n_events,
        "copied_byte": copied * size.n_inflated,
        "copied_largest": most * size.n_inflated * is_copied,
    }


def _most_in_chunk(runs: Iterable[Run], chunk_size: int) -> int:
    counts = Counter(run.obs_id // chunk_size for run in runs)
    return max(counts.values(), default=0)


def _count_sums(settings: Settings, table: RunTable) -> tuple[int, int]:
    """Count what becomes a rate, and the runs that are read for it."""
    n_models = len(table.exported)
    if settings.in_groups:
        return count_cells(settings, table), len(table.selected)
    if not has_stage(settings, "rank"):
        return n_models, n_models
    hours = sum(run.livetime for run in table.selected if run.livetime > 0) / 3600
    share = min(1.0, settings.rank.hours / hours) if hours else 0.0
    return n_models, ceil(n_models * share * len(table.selected))


def count_cells(settings: Settings, table: RunTable) -> int:
    """Count the cells of the zenith and azimuth grid that hold any run.

    Parameters
    ----------
    settings : Settings
        Settings.
    table : RunTable
        Runs of the store, with the decision on each.

    Returns
    -------
    int
        Groups, before poor ones are merged.
    """
    low = settings.stack.azimuth_edges[0]
    cells = {
        (
            sum(run.zenith >= edge for edge in settings.stack.zenith_edges),
            sum(
                (run.azimuth - low) % 360 >= edge - low
                for edge in settings.stack.azimuth_edges
            ),
        )
        for run in table.selected
    }
    return len(cells)
