"""Commands of batch systems; each imports what it needs when it is called."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bkgpipe.cli.options import (
    config_option,
    example,
    json_option,
    placed,
    placement_options,
    settings_options,
    site_option,
)

__all__ = ["cancel", "job", "pilot"]

_WORDS = (
    "mask",
    "count",
    "rank",
    "stack",
    "smooth",
    "export",
    "fit",
    "candidates",
    "nodes",
)


@click.command(
    epilog=example(
        'bkgpipe pilot --scheduler-host login1 --time-limit "2 h" --workers 4'
    )
)
@placement_options
@click.option(
    "--time-limit",
    default="",
    metavar="TIME",
    help="Time until the job is ended, as '2 h'; Slurm tells it by itself.",
)
@click.option(
    "--margin",
    default="5 min",
    show_default=True,
    metavar="TIME",
    help="Take no new work so long before that.",
)
@click.option(
    "--idle",
    default="10 min",
    show_default=True,
    metavar="TIME",
    help="Leave when others hold all work for so long.",
)
@settings_options
def pilot(
    *,
    config: Path,
    overrides: tuple[str, ...],
    time_limit: str,
    margin: str,
    idle: str,
    **placement: str | int | None,
) -> None:
    """Work on a production from within a batch job, with a luigid.

    Exit code 0: the production is done. 1: something failed. 2: called wrongly.
    3: it left before the production was done, so send more pilots.
    """
    from bkgpipe.cli.pilot import run_pilot

    given = placed(overrides, placement)
    sys.exit(run_pilot(config, given, time_limit=time_limit, margin=margin, idle=idle))


@click.command(epilog=example("bkgpipe cancel --site cluster"))
@site_option(required=True, help="The batch site.")
@settings_options
@json_option
def cancel(
    *, site: str, config: Path, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Cancel pending and running batch jobs."""
    from bkgpipe.cli.site import cancel_site

    cancel_site(config, overrides, name=site, as_json=as_json)


@click.command(
    epilog=example(
        "bkgpipe job count 201 202 --config models/settings/settings-3fa9c1.cfg"
    )
)
@click.argument("word", type=click.Choice(_WORDS))
@click.argument("chunks", type=int, nargs=-1, required=True)
@config_option(
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Settings that a production keeps in its output folder.",
)
@click.option("--folder", default="", help="Folder that the products belong into.")
def job(*, word: str, chunks: tuple[int, ...], config: Path, folder: str) -> None:
    """Make CHUNKS of WORD, as `count`, in a batch job."""
    from bkgpipe.cli.site import do_job

    sys.exit(do_job(config, word=word, chunks=chunks, folder=folder))
