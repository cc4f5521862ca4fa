"""A first production, on simulated data with a known truth."""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np

from bkgpipe.cli.run import run_production
from bkgpipe.cli.simulate import simulate_store
from bkgpipe.datamodel import Closure
from bkgpipe.errors import NoRunsError
from bkgpipe.io.record import write_text
from bkgpipe.io.simulate import read_truth
from bkgpipe.io.smooth import read_models
from bkgpipe.numerics.closure import make_closure
from bkgpipe.numerics.truth import mean_rate_2d, mean_rate_3d
from bkgpipe.settings import Settings, read_settings, settings_template
from bkgpipe.tasks.targets import write_file

__all__ = ["run_demo"]

_N_RUNS = 30
_MINUTES = 10.0
_METHODS = {
    "none": "unsmoothed (pulls should have mean 0 and width 1)",
    "gaussian": "smoothed (noise that is gone makes pulls narrow; what is left of "
    "the ratio is the cost)",
    "regression": "all runs fitted at once (the default method)",
}


def run_demo(output: Path, *, seed: int, workers: int) -> None:
    """Simulate an archive, make models from it twice, and compare them with the truth.

    Parameters
    ----------
    output : Path
        Folder for the archive (made once for each seed) and all products.
    seed : int
        Seed of the simulation.
    workers : int
        Worker processes.

    Raises
    ------
    BkgpipeError
        If a step fails.
    """
    started = time.monotonic()
    store = output / f"store-{seed}"
    if not (store / "sources.ecsv").exists():
        simulate_store(store, n_runs=_N_RUNS, minutes=_MINUTES, seed=seed)
    config = _write_config(output, store)
    for method, meaning in _METHODS.items():
        overrides = [f"smooth.method={method}", f"run.workers={workers}"]
        settings = read_settings(config, overrides)
        click.echo(f"\nChain with smooth.method = {method}")
        is_done, _ = run_production(settings, stage=None)
        if not is_done:
            raise NoRunsError(
                what=f"the chain with smooth.method = {method} failed",
                where=str(output),
                fix="Read the messages above, or repeat it with bkgpipe -v demo",
            )
        click.echo(f"Recovered against true rate, {meaning}:")
        _tell("bkg_3d", _compare(settings, n_dim=3))
        _tell("bkg_2d", _compare(settings, n_dim=2))
        click.echo(f"Report: {settings.folder('report') / 'index.html'}")
        click.echo(f"Store:  {settings.folder('export') / 'store'}")
    click.echo(f"\nDemo done in {time.monotonic() - started:.0f} s. Settings: {config}")


def _write_config(output: Path, store: Path) -> Path:
    given = {
        "data.store": store.name,
        "data.output": "production",
        "mask.catalogs": f"{store.name}/sources.ecsv",
        "stack.min_hours": "0.5 h",
    }
    config = output / "luigi.cfg"
    write_file(config, lambda path: write_text(path, settings_template(given)))
    return config


def _compare(settings: Settings, *, n_dim: int) -> Closure:
    """Compare all models of a production with the truth, bin by bin."""
    truth = read_truth(settings.store / "truth.ecsv").truth
    axes = settings.binning.axes
    mean_rate = mean_rate_3d if n_dim == 3 else mean_rate_2d
    true_rate = mean_rate(truth, axes)
    width = axes.energy_width.reshape(-1, *[1] * (n_dim - 1))
    recovered, expected = [], []
    for path in sorted(settings.folder("smooth").glob("smooth_*.h5")):
        for model in read_models(path).records.values():
            exposure = getattr(model, f"exposure_{n_dim}d")
            recovered.append(getattr(model, f"rate_{n_dim}d") * width * exposure)
            expected.append(true_rate * width * exposure)
    return make_closure(np.array(recovered), np.array(expected))


def _tell(name: str, closure: Closure) -> None:
    click.echo(
        f"  {name}: pulls {closure.pull_mean:+.3f} +- {closure.pull_width:.3f} in "
        f"{closure.n_bins} bins; ratio - 1: mean {closure.ratio_mean:+.4f}, "
        f"rms {closure.ratio_rms:.4f}; counts {closure.n_recovered:.0f} of "
        f"{closure.n_expected:.0f} expected"
    )
