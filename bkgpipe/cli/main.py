"""The ``bkgpipe`` command: arguments in, exit code out."""

from __future__ import annotations

import configparser
import gc
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from bkgpipe._version import __version__
from bkgpipe.cli.commands_batch import cancel, job, pack, pilot, put
from bkgpipe.cli.commands_science import (
    closure,
    compare,
    monitor,
    report,
    sky,
    validate,
)
from bkgpipe.cli.commands_simulate import simulate
from bkgpipe.cli.options import (
    config_option,
    example,
    file_option,
    force_option,
    json_option,
    placed,
    placement_options,
    plot_option,
    seed_option,
    settings_options,
    site_option,
    workers_option,
)
from bkgpipe.cli.signals import stoppable
from bkgpipe.core.passing import passing_reason
from bkgpipe.errors import BkgpipeError, SettingsError
from bkgpipe.stages.table import STAGES
from bkgpipe.text import printable

__all__ = ["main"]

# read by NumPy's libraries when they are loaded, which no command has done yet
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

# made between two searches for garbage: of what is imported nothing becomes any
_MANY_OBJECTS = 50_000

# These keep what they have finished, and skip it the next time
_RESUMED = {"closure", "demo", "job", "run", "simulate", "sky", "validate"}

_TOPICS = {
    "Making models": (
        "demo",
        "index",
        "init",
        "check",
        "plan",
        "run",
        "status",
        "show",
        "explain",
        "clean",
    ),
    "Quality checks": ("report", "sky", "validate", "compare", "closure", "monitor"),
    "Simulating": ("simulate",),
    "Batch systems": ("pilot", "cancel", "job"),
}


class _Commands(click.Group):
    """Commands whose errors are told in words, with a traceback only on request."""

    def invoke(self, ctx: click.Context) -> Any:
        with stoppable(lambda: _kept(ctx.invoked_subcommand)):
            return self._invoke(ctx)

    def _invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (BkgpipeError, configparser.Error, OSError) as error:
            if isinstance(error, OSError) and not passing_reason(error):
                raise
            if ctx.params.get("verbose"):
                traceback.print_exc()
            else:
                click.echo(f"Error: {_words(error)}", err=True)
            is_use = isinstance(error, SettingsError | configparser.Error)
            sys.exit(2 if is_use else 1)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List commands by what they are for, in the order of use."""
        known = {name for names in _TOPICS.values() for name in names}
        others = tuple(name for name in self.list_commands(ctx) if name not in known)
        space = formatter.width - 6 - max(map(len, self.commands))
        for topic, names in (_TOPICS | {"Others": others}).items():
            with formatter.section(topic):
                formatter.write_dl(
                    [
                        (name, self.commands[name].get_short_help_str(space))
                        for name in names
                        if name in self.commands
                    ]
                )


def _kept(command: str | None) -> str:
    """Tell what a command that was stopped leaves, and how to go on."""
    if command in _RESUMED:
        return (
            "What is finished is kept. Run the same command again: "
            "it resumes where it left off."
        )
    return "Nothing is left half written. To have it done, run the same command again."


def _words(error: BkgpipeError | configparser.Error | OSError) -> str:
    if isinstance(error, BkgpipeError):
        return str(error)
    if isinstance(error, configparser.Error):
        # Luigi reads it by itself when it is imported, whatever --config says
        told = printable(" ".join(str(error).split()))
        return (
            f"luigi.cfg of this folder: Luigi cannot read it ({told}). Write [section] "
            "lines and key = value lines, as plain text without a byte order mark."
        )
    # a file in a folder that may not be entered is not even looked for
    place = error.filename or "A file"
    return f"{place}: {error.strerror}. Check disk and permissions, then run again."


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=example(
        "bkgpipe init --data /data/hess-dl3-dr1 --output models",
        "bkgpipe check",
        "bkgpipe run --workers 4",
    ),
)
@click.version_option(__version__)
@click.option("-v", "--verbose", is_flag=True, help="Tell more; show tracebacks.")
def main(*, verbose: bool) -> None:
    """Background models for gamma-ray astronomy, from a DL3 archive to GADF files.

    Start with `bkgpipe demo`, which needs no data, or with `bkgpipe init`.
    """
    # A worker is a process of one thread: with more, which are not asked for, workers
    # are in each other's way, and the last digits of a fit depend on the machine.
    for name in _THREADS:
        os.environ.setdefault(name, "1")
    gc.set_threshold(_MANY_OBJECTS)
    # What a site sets for Luigi programs of its own would replace our settings
    for name in [name for name in os.environ if name.startswith("LUIGI_")]:
        del os.environ[name]
    from bkgpipe.cli.logs import set_up_logging

    set_up_logging(verbose=verbose)


@main.command(epilog=example("bkgpipe demo --output bkgpipe-demo --workers 2"))
@file_option(
    "--output",
    default=Path("bkgpipe-demo"),
    show_default=True,
    help="Folder for the simulated archive and all products.",
)
@seed_option(default=1, show_default=True)
@workers_option(default=2)
def demo(*, output: Path, seed: int, workers: int) -> None:
    """Simulate a small archive, make models, compare with the truth."""
    from bkgpipe.cli.demo import run_demo

    run_demo(output, seed=seed, workers=workers)


@main.command(epilog=example("bkgpipe init --data /data/hess-dl3-dr1 --output models"))
@file_option(
    "--data",
    required=True,
    help="Folder of the DL3 data store, or the file with both indexes.",
)
@file_option(
    "--output",
    show_default="bkgpipe-output beside the settings file",
    help="Folder for all products.",
)
@config_option(
    default=Path("luigi.cfg"), show_default=True, help="Settings file to write."
)
@force_option(help="Replace an existing settings file.")
@json_option
def init(
    *, data: Path, output: Path | None, config: Path, force: bool, as_json: bool
) -> None:
    """Look at a data store, and write a settings file that fits it.

    It says why it chose each value, and keeps the defaults where they fit.
    """
    from bkgpipe.cli.init import write_settings_file

    write_settings_file(
        data, output=output, config=config, force=force, as_json=as_json
    )


@main.command(epilog=example("bkgpipe index /data/runs"))
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@file_option("--to", show_default="FOLDER", help="Folder for the index files.")
@force_option(help="Replace existing index files.")
@json_option
def index(*, folder: Path, to: Path | None, force: bool, as_json: bool) -> None:
    """Make the index files for a FOLDER of DL3 files that has none.

    Events, good time and responses are found by their headers. It says which files it
    left out, and why.
    """
    from bkgpipe.cli.index import make_index

    make_index(folder, to=to or folder, force=force, as_json=as_json)


@main.command(epilog=example('bkgpipe check --set select.min_livetime="10 min"'))
@click.option("--deep", is_flag=True, help="Read every file, and compare its checksum.")
@site_option(help="Try proxy, token and storage of this batch site too.")
@settings_options
def check(*, config: Path, overrides: tuple[str, ...], **asked: Any) -> None:
    """Read settings and store, list every problem, change nothing."""
    from bkgpipe.cli.check import check_command

    sys.exit(check_command(config, overrides, **asked))


@main.command(epilog=example("bkgpipe plan --set fit.penalty=2"))
@site_option(help="Show the jobs for this batch site too.")
@click.option(
    "--graph",
    type=click.Choice(("text", "dot", "mermaid")),
    help="Draw the stages, and what each is made from, instead.",
)
@settings_options
@json_option
def plan(
    *,
    site: str | None,
    graph: str | None,
    config: Path,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what a run would do, and the time and disk it takes."""
    from bkgpipe.cli.plan import show_graph, show_plan

    if graph:
        show_graph(config, overrides, form=graph)
    else:
        show_plan(config, overrides, site=site, as_json=as_json)


@main.command(
    epilog=example(
        "bkgpipe run --workers 4", 'bkgpipe run count --set mask.radius="0.5 deg"'
    )
)
@click.argument("stage", type=click.Choice(STAGES), required=False)
@placement_options
@site_option(help="Batch site that makes the chunks.")
@click.option("--test", is_flag=True, help="A handful of runs in coarse bins.")
@settings_options
@json_option
def run(
    *,
    stage: str | None,
    site: str | None,
    test: bool,
    config: Path,
    overrides: tuple[str, ...],
    as_json: bool,
    **placement: str | int | None,
) -> None:
    """Run the chain, or the chain up to STAGE.

    Finished products are not recomputed.
    """
    from bkgpipe.cli.run import run_command

    given = placed(overrides, placement)
    sys.exit(
        run_command(config, given, stage=stage, site=site, test=test, as_json=as_json)
    )


@main.command(epilog=example("bkgpipe status --json"))
@settings_options
@json_option
def status(*, config: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show progress and refused runs, with reasons."""
    from bkgpipe.cli.status import show_status

    show_status(config, overrides, as_json=as_json)


@main.command(epilog=example("bkgpipe clean --dry-run --keep ranked.cfg"))
@click.option(
    "--keep",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep the products of this settings file as well; may be repeated.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="List only, remove nothing.")
@settings_options
def clean(
    *,
    keep: tuple[Path, ...],
    yes: bool,
    dry_run: bool,
    config: Path,
    overrides: tuple[str, ...],
) -> None:
    """Delete products that the settings no longer use (asks first).

    These are folders of other settings, damaged files that were set aside, chunks
    without runs, kept settings and what killed processes left.
    """
    from bkgpipe.cli.clean import clean_production

    clean_production(config, overrides, keep=keep, yes=yes, dry_run=dry_run)


@main.command(
    epilog=example(
        "bkgpipe show models/smooth-3fa9c1/smooth_23.h5 --id 23523 --plot rate.png"
    )
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--id", "number", type=int, help="Run or stack to show of several.")
@plot_option
def show(*, file: Path, number: int | None, plot: Path | None) -> None:
    """Describe any product FILE in words."""
    from bkgpipe.cli.show import show_product

    show_product(file, number=number, plot=plot)


@main.command(epilog=example("bkgpipe explain 23523 --plot ranking.png"))
@click.argument("obs_id", type=int)
@plot_option
@settings_options
def explain(
    *, obs_id: int, plot: Path | None, config: Path, overrides: tuple[str, ...]
) -> None:
    """Show which runs are used for run OBS_ID, and why.

    All candidates are ranked again from the counts on disk, by the [rank] settings.
    """
    from bkgpipe.cli.show import explain_run

    explain_run(config, overrides, obs_id=obs_id, plot=plot)


@main.command(epilog=example("bkgpipe completion bash > ~/.bkgpipe-complete"))
@click.argument("shell", type=click.Choice(["bash", "fish", "zsh"]))
def completion(*, shell: str) -> None:
    """Print a script with which SHELL completes commands and options.

    Load it whenever a shell starts: in bash by a line in ~/.bashrc, as
    `source ~/.bkgpipe-complete`.
    """
    from bkgpipe.cli.completion import print_completion

    print_completion(main, shell)


for _command in (
    pilot,
    cancel,
    job,
    pack,
    put,
    validate,
    compare,
    closure,
    monitor,
    report,
    sky,
    simulate,
):
    main.add_command(_command)
