"""Commands that simulate; each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bkgpipe.cli.options import (
    example,
    minutes_option,
    runs_option,
    seed_option,
    simulate_options,
)

__all__ = ["simulate"]


@click.group(epilog=example("bkgpipe simulate store simulated --runs 30 --seed 1"))
def simulate() -> None:
    """Simulate data with a known truth."""


@simulate.command(
    epilog=example(
        "bkgpipe simulate store simulated --runs 30 --seed 1",
        "bkgpipe simulate store twin --like /data/hess-dl3-dr1",
    )
)
@click.argument("folder", type=click.Path(path_type=Path))
@simulate_options
@runs_option()
@minutes_option
@seed_option(help="Equal seeds give equal stores.")
@click.option("--like", metavar="STORE", help="Copy the runs of a real data store.")
@click.option("--layout", help="How the files are laid out, such as veritas or fact.")
def store(
    *,
    folder: Path,
    config: Path | None,
    overrides: tuple[str, ...],
    workers: int,
    as_json: bool,
    **shortcuts: Any,
) -> None:
    """Write a simulated DL3 store, with its truth, into FOLDER.

    Without --config there is background alone, as [truth] describes it. It can be
    stopped at any time and resumes where it left off.
    """
    from bkgpipe.cli.simulate import simulate_store, store_overrides
    from bkgpipe.simulate.settings import read_simulate_settings

    given = [*overrides, *store_overrides(**shortcuts)]
    settings = read_simulate_settings(config, given)
    simulate_store(folder, settings, workers=workers, as_json=as_json)


@simulate.command(
    epilog=example("bkgpipe simulate overlay overlaid --config overlay.cfg")
)
@click.argument("folder", type=click.Path(path_type=Path))
@simulate_options
def overlay(
    *, folder: Path, config: Path | None, overrides: tuple[str, ...], **options: Any
) -> None:
    """Add events of OFF runs to the runs of a store, into FOLDER.

    What the OFF runs exclude is never copied; other OFF runs fill it. It can be stopped
    at any time and resumes where it left off.
    """
    from bkgpipe.cli.mixing import simulate_overlay
    from bkgpipe.simulate.settings import read_simulate_settings

    simulate_overlay(folder, read_simulate_settings(config, overrides), **options)


@simulate.command(
    epilog=example("bkgpipe simulate mixing mixed --config mixing.cfg --workers 4")
)
@click.argument("folder", type=click.Path(path_type=Path))
@simulate_options
def mixing(
    *, folder: Path, config: Path | None, overrides: tuple[str, ...], **options: Any
) -> None:
    """Draw background events for runs of a store, into FOLDER.

    Components are sections [component:NAME]. It can be stopped at any time and resumes
    where it left off.
    """
    from bkgpipe.cli.mixing import simulate_mixing
    from bkgpipe.simulate.settings import read_simulate_settings

    simulate_mixing(folder, read_simulate_settings(config, overrides), **options)


@simulate.command(epilog=example("bkgpipe simulate settings"))
def settings() -> None:
    """Print a commented settings file with every key, for `--config`."""
    from bkgpipe.simulate.settings import simulate_template

    click.echo(simulate_template())
