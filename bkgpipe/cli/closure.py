"""Simulate an archive, run the chain on it, and compare the models with the truth."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from bkgpipe._version import __version__
from bkgpipe.chain.runs import digest
from bkgpipe.cli.run import run_production
from bkgpipe.cli.simulate import simulate_store, store_overrides
from bkgpipe.core.binning import Binning
from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import NoRunsError
from bkgpipe.plot.images import save_figure
from bkgpipe.product.whole_file import write_file, write_text
from bkgpipe.settings import Settings, read_settings, settings_template
from bkgpipe.simulate.archive.files import read_truth
from bkgpipe.simulate.settings import read_simulate_settings
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.stages.fit.data import RegressionFit, RunConditions
from bkgpipe.stages.fit.files import FIT
from bkgpipe.stages.fit.norm_error import norm_error
from bkgpipe.stages.fit.terms import make_conditions
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.stages.smooth.files import MODELS
from bkgpipe.stages.stack.files import STACKS
from bkgpipe.stages.table import has_stage
from bkgpipe.tools.closure.data import ClosureReport, PullSet
from bkgpipe.tools.closure.files import write_closure
from bkgpipe.tools.closure.recovery import TruthOfModel, close_models, factor_of_stack
from bkgpipe.tools.closure.view import describe_closure, figure_closure

__all__ = [
    "ClosureOptions",
    "close_production",
    "produce",
    "run_closure",
    "simulate",
    "write_config",
]

# Sections that say what to simulate; all others are those of the production
_SIMULATED = ("simulation", "truth", "source:")
# Laws as strong as those of H.E.S.S. DL3 DR1, and a scatter that no condition tells of
_LAWS_OF_REAL_RUNS = (
    "truth.norm=130 s-1 TeV-1 sr-1",
    "truth.zenith_slope=-4.26",
    "truth.azimuth_amplitude=0.1",
    "truth.muon_power=1",
    "truth.run_scatter=0.07",
)


@dataclass(frozen=True, kw_only=True)
class ClosureOptions:
    """What to simulate.

    Attributes
    ----------
    like : Path or None
        Real store whose runs are copied.
    n_runs : int or None
        Number of runs.
    minutes : float or None
        Length of a run [min].
    seed : int
        Seed.
    workers : int
        Worker processes.
    """

    like: Path | None = None
    n_runs: int | None = None
    minutes: float | None = None
    seed: int = 1
    workers: int = 2


def run_closure(
    output: Path, overrides: Sequence[str], *, options: ClosureOptions, as_json: bool
) -> None:
    """Simulate an archive, run the chain on it, and compare the models with the truth.

    Parameters
    ----------
    output : Path
        Folder for the archive and all products, ``closure.ecsv`` and ``closure.png``.
    overrides : sequence of str
        Each ``section.key=value``; sections of ``bkgpipe simulate`` change the
        archive, all others the production.
    options : ClosureOptions
        What to simulate.
    as_json : bool
        Answer in one line of JSON.

    Raises
    ------
    BkgpipeError
        If a step fails.
    """
    started = time.monotonic()
    store = output / f"store-{options.seed}"
    simulated = [text for text in overrides if text.startswith(_SIMULATED)]
    others = [text for text in overrides if text not in simulated]
    simulate(store, simulated, options=options)
    config = write_config(output, store, {})
    settings = read_settings(config, [*others, f"run.workers={options.workers}"])
    report = close_production(produce(settings))
    seconds = time.monotonic() - started
    table, plot = output / "closure.ecsv", output / "closure.png"
    header = ProductHeader(
        stage="closure",
        fingerprint=settings.fingerprint("smooth"),
        inputs=digest([str(store), options.seed]),
        seconds=seconds,
        version=__version__,
    )
    write_file(table, lambda path: write_closure(path, header, report))
    write_file(plot, lambda path: save_figure(figure_closure(report), path))
    if as_json:
        click.echo(json.dumps(_answer(report, table=table, plot=plot)))
        return
    click.echo(describe_closure(report))
    click.echo(f"Table: {table}; figure: {plot}")
    click.echo(f"Closure done in {seconds:.0f} s. Settings: {config}")


def simulate(store: Path, overrides: Sequence[str], *, options: ClosureOptions) -> None:
    """Simulate an archive, or take the one that is there already.

    Parameters
    ----------
    store : Path
        Folder of the archive.
    overrides : sequence of str
        Of the settings of ``bkgpipe simulate``, each ``section.key=value``.
    options : ClosureOptions
        What to simulate.

    Raises
    ------
    BkgpipeError
        If it cannot be simulated.
    """
    given = store_overrides(
        runs=options.n_runs,
        minutes=options.minutes,
        seed=options.seed,
        like=None if options.like is None else str(options.like),
    )
    laws = _LAWS_OF_REAL_RUNS if options.like else ()
    settings = read_simulate_settings(None, [*laws, *given, *overrides])
    simulate_store(store, settings, workers=options.workers)


def write_config(output: Path, store: Path, given: dict[str, str]) -> Path:
    """Write the settings of a production on a simulated archive.

    Parameters
    ----------
    output : Path
        Folder of the settings, which holds the archive.
    store : Path
        The archive.
    given : dict of str to str
        More settings, by ``section.key``.

    Returns
    -------
    Path
        The settings file.
    """
    values = {
        "data.store": store.name,
        "data.output": "production",
        "mask.catalogs": f"{store.name}/sources.ecsv",
    }
    config = output / "luigi.cfg"
    text = settings_template(values | given)
    write_text(config, text)
    return config


def produce(settings: Settings) -> Settings:
    """Run the chain up to its report.

    Parameters
    ----------
    settings : Settings
        Settings.

    Returns
    -------
    Settings
        The same.

    Raises
    ------
    NoRunsError
        If it failed.
    """
    method = settings.smooth.method
    is_done, _ = run_production(settings, stage=None)
    if not is_done:
        raise NoRunsError(
            what=f"the chain with smooth.method = {method} failed",
            where=str(settings.data.output),
            fix="Read the messages above, or repeat it with bkgpipe -v",
        )
    return settings


def close_production(settings: Settings) -> ClosureReport:
    """Compare all models of a production with the truth of its archive.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    ClosureReport
        Both projections.

    Raises
    ------
    InputError
        If the store has no truth.
    DamagedFileError
        If a product is not what was written.
    NoEventsError
        If no bin has counts enough.
    """
    truth = read_truth(settings.store / "truth.ecsv")
    facts = _read_facts(settings)
    obs_ids = np.array(sorted(facts))
    factors = dict(zip(obs_ids.tolist(), truth.factors(obs_ids).tolist(), strict=True))
    members = _read_members(settings)

    total_errors = _total_errors(settings)

    def pairs() -> Iterator[TruthOfModel]:
        for path in sorted(settings.folder("smooth").glob("smooth_*.h5")):
            for key, model in MODELS.read(path).records.items():
                runs = members.get(key, [key])
                found = _with_truth(model, [(factors[n], facts[n]) for n in runs])
                yield replace(found, total_error=total_errors.get(key))

    return ClosureReport(
        method=settings.smooth.method,
        n_runs=len(facts),
        hours=sum(fact["livetime"] for fact in facts.values()) / 3600.0,
        models=tuple(
            close_models(pairs(), truth.truth, n_dim=n_dim) for n_dim in (3, 2)
        ),
    )


def _total_errors(settings: Settings) -> dict[int, Callable[[np.ndarray], float]]:
    """Make what propagates the covariance of a regression to sums of bins."""
    if not has_stage(settings, "fit"):
        return {}
    fit = FIT.read_one(settings.folder("fit") / "fit.h5")
    errors: dict[int, Callable[[np.ndarray], float]] = {}
    for path in sorted(settings.folder("count").glob("count_*.h5")):
        for key, run in COUNTS.read(path).records.items():
            conditions = make_conditions(run, fov_alignment=fit.fov_alignment)
            errors[key] = partial(_total_error, fit, conditions, run.binning)
    return errors


def _total_error(
    fit: RegressionFit,
    conditions: RunConditions,
    binning: Binning,
    counts: np.ndarray,
) -> float:
    return norm_error(fit, conditions, binning, weight=counts)


def _with_truth(
    model: RateModel, runs: list[tuple[float, dict[str, Any]]]
) -> TruthOfModel:
    factor = factor_of_stack(
        np.array([factor for factor, _ in runs]),
        np.array([fact["livetime"] for _, fact in runs]),
        np.array([fact["safe_energy_min"] for _, fact in runs]),
        binning=model.binning,
    )
    return TruthOfModel(model=model, factor=factor)


def _read_facts(settings: Settings) -> dict[int, dict[str, Any]]:
    facts: dict[int, dict[str, Any]] = {}
    for path in sorted(settings.folder("count").glob("count_*.h5")):
        names = ["livetime", "safe_energy_min"]
        facts.update(COUNTS.read_fields(path, names).records)
    return facts


def _read_members(settings: Settings) -> dict[int, list[int]]:
    """Read which runs are in each stack; a regression has none."""
    if has_stage(settings, "fit"):
        return {}
    members: dict[int, list[int]] = {}
    for path in sorted(settings.folder("stack").glob("stack_*.h5")):
        for key, stack in STACKS.read_fields(path, ["obs_ids"]).records.items():
            members[key] = [int(obs_id) for obs_id in stack["obs_ids"]]
    return members


def _answer(report: ClosureReport, *, table: Path, plot: Path) -> dict[str, object]:
    return {
        "method": report.method,
        "runs": report.n_runs,
        "hours": report.hours,
        "models": {
            model.name: {
                "bins": _pulls(model.shape),
                "bins_and_norm": _pulls(model.bins),
                "norms": _pulls(model.norms),
                "norm": {"mean": model.norm.mean(), "std": model.norm.std()},
                "ratio": {
                    "mean": model.counts.ratio_mean,
                    "rms": model.counts.ratio_rms,
                },
            }
            for model in report.models
        },
        "table": str(table),
        "plot": str(plot),
    }


def _pulls(pulls: PullSet) -> dict[str, float]:
    return {
        "n": pulls.values.size,
        "mean": pulls.mean,
        "width": pulls.width,
        "within_1": pulls.within(1.0),
        "within_2": pulls.within(2.0),
    }
