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

__all__ = ["cancel", "job", "pack", "pilot", "put"]

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
_BUNDLED = ("count", "rank", "stack", "smooth", "export")


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
        "bkgpipe job count 201 202 --config models/settings/settings-3fa9c1.cfg",
        "bkgpipe job --bundle count_201.tar --to answer_201.tar",
    )
)
@click.argument("word", type=click.Choice(_WORDS), required=False)
@click.argument("chunks", type=int, nargs=-1)
@config_option(
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings that a production keeps in its output folder.",
)
@click.option("--folder", default="", help="Folder that the products belong into.")
@click.option(
    "--bundle",
    metavar="FILE|URL",
    help="File of bkgpipe pack, in place of WORD and CHUNKS.",
)
@click.option(
    "--to", "answer", metavar="FILE|URL", help="Answer to a bundle, for bkgpipe put."
)
def job(
    *,
    word: str | None,
    chunks: tuple[int, ...],
    config: Path | None,
    folder: str,
    bundle: str | None,
    answer: str | None,
) -> None:
    """Make CHUNKS of WORD, as `count`, in a batch job.

    With --bundle the job sees nothing of store and production, and writes what it made
    into one file. Exit code 0: all is made. 1: something failed. 71: the node has no
    room to work in.
    """
    if bundle and answer and not (word or config or folder):
        from bkgpipe.cli.site import do_bundle

        sys.exit(do_bundle(bundle, answer))
    if not (word and chunks and config) or bundle or answer:
        raise click.UsageError(
            "Give WORD, CHUNKS and --config where the production can be seen, or "
            "--bundle and --to where it cannot."
        )
    from bkgpipe.cli.site import do_job

    sys.exit(do_job(config, word=word, chunks=chunks, folder=folder))


@click.command(epilog=example("bkgpipe pack count 201 202 --to bundles"))
@click.argument("word", type=click.Choice(_BUNDLED))
@click.argument("chunks", type=int, nargs=-1)
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder for the files.",
)
@click.option(
    "--per-job",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Chunks in a file.",
)
@settings_options
@json_option
def pack(
    *,
    word: str,
    chunks: tuple[int, ...],
    folder: Path,
    per_job: int,
    config: Path,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Pack all that jobs need into files.

    A file holds events, products and settings for CHUNKS of WORD, as `count`; without
    CHUNKS for all that are not made. Where store and production cannot be seen,
    `bkgpipe job --bundle` does the work, and `bkgpipe put` takes its answer.
    """
    from bkgpipe.cli.site import pack_bundles

    pack_bundles(
        config,
        overrides,
        word=word,
        chunks=chunks,
        folder=folder,
        per_job=per_job,
        as_json=as_json,
    )


@click.command(epilog=example("bkgpipe put answers/*.tar"))
@click.argument("answers", type=click.Path(path_type=Path), nargs=-1, required=True)
@settings_options
@json_option
def put(
    *,
    answers: tuple[Path, ...],
    config: Path,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Verify ANSWERS of jobs, and put their products in place.

    Nothing is taken of an answer that is not whole, or of other settings. To put one
    twice does no harm. Exit code 1: some were refused.
    """
    from bkgpipe.cli.site import put_in_production

    sys.exit(put_in_production(config, overrides, answers=answers, as_json=as_json))
