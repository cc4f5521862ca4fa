"""Commands that judge models; each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bkgpipe.cli.options import (
    energy_range_option,
    example,
    file_option,
    json_option,
    minutes_option,
    offset_max_option,
    overrides_option,
    placed,
    plot_option,
    runs_option,
    seed_option,
    settings_options,
    table_option,
    workers_option,
)

__all__ = ["closure", "compare", "monitor", "report", "sky", "validate"]


def _numbers(
    ctx: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[float, ...]:
    """Read numbers with commas between."""
    try:
        return tuple(float(word) for word in text.split(",")) if text else ()
    except ValueError as error:
        raise click.BadParameter(str(error), ctx=ctx, param=parameter) from error


def _model_number(
    ctx: click.Context, parameter: click.Parameter, text: str
) -> int | None:
    """Read a number of models; ``all`` is None."""
    if text == "all":
        return None
    if text.isdecimal():
        return int(text)
    words = f"'{text}' is neither a number nor 'all'"
    raise click.BadParameter(words, ctx=ctx, param=parameter)


@click.command(epilog=example("bkgpipe report --models all --workers 4"))
@click.option(
    "--models",
    default="200",
    show_default=True,
    metavar="N|all",
    callback=_model_number,
    help="Most models that get a page of their own.",
)
@workers_option(show_default="run.workers")
@settings_options
@json_option
def report(
    *,
    models: int | None,
    workers: int | None,
    config: Path,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make the HTML report of a production, with pages of its models.

    The run makes it as well, with pages of a few models only.
    """
    from bkgpipe.cli.report import make_report

    given = placed(overrides, {"workers": workers})
    make_report(config, given, models=models, as_json=as_json)


@click.command(epilog=example("bkgpipe sky --field 3 --plot field.png"))
@click.option("--field", type=int, help="Number of the field to draw or to cut from.")
@plot_option
@click.option(
    "--cut",
    nargs=3,
    type=float,
    metavar="RA DEC WIDTH",
    help="Part of the maps to write, in degrees (ICRS).",
)
@file_option("--to", help="FITS file for that part.")
@workers_option(show_default="run.workers")
@settings_options
@json_option
def sky(
    *,
    workers: int | None,
    config: Path,
    overrides: tuple[str, ...],
    **options: Any,
) -> None:
    """Make maps of counts, background and significance.

    Each field gets a FITS file, the archive a HEALPix map. Fields and hot spots are
    listed.
    """
    from bkgpipe.cli.sky import sky_command

    if (options["cut"] is None) != (options["to"] is None):
        raise click.UsageError("--cut and --to belong together.")
    sky_command(config, placed(overrides, {"workers": workers}), **options)


@click.command(
    epilog=example("bkgpipe validate --folds 5 --by night --plot validation.png")
)
@click.option("--folds", default=5, show_default=True, help="Number of folds.")
@click.option(
    "--by",
    type=click.Choice(["run", "night", "field", "random"]),
    default="run",
    show_default=True,
    help="Every n-th run, or what a fold keeps together.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of random folds.")
@click.option(
    "--against",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Score the models of this store on the same runs and bins.",
)
@click.option("--against-livetime", is_flag=True, help="Its models are per live time.")
@energy_range_option(show_default="from the events")
@click.option(
    "--energy-bins", type=click.IntRange(1), help="Four per decade if not given."
)
@offset_max_option(show_default="2, or that of the models")
@click.option(
    "--min-events",
    default=300,
    show_default=True,
    type=click.IntRange(1),
    help="Runs with fewer events outside the mask are joined by night.",
)
@click.option(
    "--axes", is_flag=True, help="Judge models also on other energy axes than theirs."
)
@table_option(help="ECSV file of the runs.")
@plot_option
@file_option("--axes-table", help="ECSV file of the axes; implies --axes.")
@file_option("--axes-plot", help="PNG file of the axes; implies --axes.")
@workers_option(show_default="run.workers")
@settings_options
@json_option
def validate(
    *,
    workers: int | None,
    config: Path,
    overrides: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Make models without some runs, and score them on those runs."""
    from bkgpipe.cli.validate import ValidateOptions, validate_production
    from bkgpipe.cli.validate_write import Outputs

    names = ("table", "plot", "axes_table", "axes_plot")
    outputs = Outputs(**{name: options.pop(name) for name in names})
    options["axes"] |= bool(outputs.axes_table or outputs.axes_plot)
    validate_production(
        config,
        placed(overrides, {"workers": workers}),
        options=ValidateOptions(outputs=outputs, **options),
        as_json=as_json,
    )


@click.command(
    epilog=example(
        "bkgpipe compare models/export-3fa9c1/store simulated --truth --plot both.png"
    )
)
@click.argument("a", type=click.Path(exists=True, path_type=Path))
@click.argument("b", type=click.Path(exists=True, path_type=Path))
@click.option("--id", "obs_id", type=int, help="Run to compare; all in common if none.")
@click.option("--truth", is_flag=True, help="B is a simulated store: take its truth.")
@click.option(
    "--as",
    "kind",
    type=click.Choice(["bkg_3d", "bkg_2d"]),
    default="bkg_3d",
    show_default=True,
    help="Compare images, or their means over the position angle.",
)
@click.option("--livetime-a", is_flag=True, help="A is per live time, not on-time.")
@click.option("--livetime-b", is_flag=True, help="B is per live time, not on-time.")
@energy_range_option()
@offset_max_option()
@click.option(
    "--energy-bands",
    callback=_numbers,
    help="Edges of the bands of the images [TeV], as 0.5,2,10.",
)
@table_option(help="ECSV file of the runs or bins.")
@plot_option
@json_option
def compare(
    *, a: Path, b: Path, kind: str, truth: bool, as_json: bool, **options: Any
) -> None:
    """Compare models A and B, or A with the truth of simulated data.

    A and B are stores, model files or checkpoints; with --truth, B is a simulated
    store. Rates are compared per on-time, bin by bin, as gammapy interpolates them.
    """
    from bkgpipe.cli.compare import CompareOptions, compare_models

    compare_models(
        a,
        b / "truth.ecsv" if truth else b,
        options=CompareOptions(as_2d=kind == "bkg_2d", **options),
        as_json=as_json,
    )


@click.command(
    epilog=example(
        "bkgpipe monitor /data/hess-dl3-dr1 --table changes.ecsv --plot rates.png"
    )
)
@click.argument("store", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--runs", default="", help="Runs as 1,5-9, or @ and a file; all if none.")
@click.option("--time-bin", default="2 min", show_default=True, help="Time bin.")
@click.option(
    "--energy-edges",
    default="0.01, 0.5, 1.5, 200 TeV",
    show_default=True,
    help="Edges of the energy bins.",
)
@click.option(
    "--offset-edges",
    default="0, 1, 1.8, 2.5 deg",
    show_default=True,
    help="Edges of the bins in distance from the pointing.",
)
@click.option(
    "--alarm-rate",
    default=0.01,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of quiet runs in which chance may make a drop or burst.",
)
@click.option(
    "--min-change",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0),
    help="Smallest change that is told, as a share of the rate.",
)
@click.option(
    "--min-gap",
    default="5 s",
    show_default=True,
    help="Shortest time without any event that is told.",
)
@click.option(
    "--outlier",
    default=3.5,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Deviation from which a whole run is told, in units of the scatter of runs.",
)
@click.option(
    "--neighbours",
    default=21,
    show_default=True,
    type=click.IntRange(5),
    help="Runs near in time that a whole run is compared with.",
)
@table_option(help="ECSV file of the changes.")
@file_option("--rates", help="ECSV file of all rates.")
@plot_option
@workers_option(show_default="one per core")
@click.option(
    "--allow",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FOLDER",
    help="Other folder that the index and links of the store may lead into.",
)
@json_option
def monitor(
    *,
    store: Path,
    allow: tuple[Path, ...],
    runs: str,
    time_bin: str,
    workers: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Find drops, bursts and gaps in the event rate of a STORE.

    Any DL3 store will do, recorded or simulated; no settings file is needed.
    """
    from bkgpipe.cli.monitor import (
        MonitorOutputs,
        monitor_store,
        parse_bins,
        parse_limits,
    )
    from bkgpipe.store.store_folder import store_folder

    outputs = {name: options.pop(name) for name in ("table", "rates", "plot")}
    edges = {name: options.pop(name) for name in ("energy_edges", "offset_edges")}
    monitor_store(
        store_folder(store, allow=allow),
        runs=runs,
        bins=parse_bins(time_bin, **edges),
        limits=parse_limits(**options),
        outputs=MonitorOutputs(as_json=as_json, **outputs),
        workers=workers,
    )


@click.command(epilog=example("bkgpipe closure closure-test --runs 40 --workers 4"))
@click.argument("output", type=click.Path(path_type=Path))
@click.option(
    "--like",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Real store whose pointings, times and conditions are copied.",
)
@runs_option("n_runs")
@minutes_option
@seed_option(default=1, show_default=True)
@workers_option(default=2)
@overrides_option(
    help="Replace one value of the settings of archive or production; may be repeated."
)
@json_option
def closure(
    *, output: Path, overrides: tuple[str, ...], as_json: bool, **options: Any
) -> None:
    """Test the chain on a simulated archive, whose truth is known.

    Archive, products and the comparison are written into OUTPUT.
    """
    from bkgpipe.cli.closure import ClosureOptions, run_closure

    run_closure(output, overrides, options=ClosureOptions(**options), as_json=as_json)
