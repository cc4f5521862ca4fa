"""Commands that simulate; each imports what it needs when it is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bkgpipe.cli.options import example, json_option, overrides_option

__all__ = ["simulate"]


def simulate_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that all simulations share.

    Parameters
    ----------
    command : callable
        The command.

    Returns
    -------
    callable
        The command with them.
    """
    config = click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="Settings file; bkgpipe simulate settings prints one to start from.",
    )
    workers = click.option(
        "--workers", default=1, type=click.IntRange(1), help="Worker processes."
    )
    return config(overrides_option(workers(json_option(command))))


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
@click.option("--runs", type=click.IntRange(1), help="Number of runs.")
@click.option("--minutes", type=float, help="Length of a run.")
@click.option("--seed", type=click.IntRange(0), help="Equal seeds give equal stores.")
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

    Without --config there is background alone, as [truth] describes it. A command
    that was killed goes on when it is given again.
    """
    from bkgpipe.cli.simulate import simulate_store, store_overrides
    from bkgpipe.simulate.settings import read_simulate_settings

    given = [*overrides, *store_overrides(**shortcuts)]
    simulate_store(
        folder,
        read_simulate_settings(config, given),
        workers=workers,
        as_json=as_json,
    )


@simulate.command(
    epilog=example("bkgpipe simulate overlay overlaid --config overlay.cfg")
)
@click.argument("folder", type=click.Path(path_type=Path))
@simulate_options
def overlay(
    *,
    folder: Path,
    config: Path | None,
    overrides: tuple[str, ...],
    workers: int,
    as_json: bool,
) -> None:
    """Add events of OFF runs to the runs of a store, in a new store in FOLDER.

    What the OFF runs exclude is never copied; other OFF runs fill it. A command that
    was killed goes on when it is given again.
    """
    from bkgpipe.cli.overlay import simulate_overlay
    from bkgpipe.simulate.settings import read_simulate_settings

    simulate_overlay(
        folder,
        read_simulate_settings(config, overrides),
        workers=workers,
        as_json=as_json,
    )


@simulate.command(
    epilog=example("bkgpipe simulate mixing mixed --config mixing.cfg --workers 4")
)
@click.argument("folder", type=click.Path(path_type=Path))
@simulate_options
def mixing(
    *,
    folder: Path,
    config: Path | None,
    overrides: tuple[str, ...],
    workers: int,
    as_json: bool,
) -> None:
    """Draw background events for runs of a store, and write them into FOLDER.

    Components are sections [component:NAME]. A command that was killed goes on when
    it is given again.
    """
    from bkgpipe.cli.mixing import simulate_mixing
    from bkgpipe.simulate.settings import read_simulate_settings

    simulate_mixing(
        folder,
        read_simulate_settings(config, overrides),
        workers=workers,
        as_json=as_json,
    )


@simulate.command(epilog=example("bkgpipe simulate settings"))
def settings() -> None:
    """Print a commented settings file with every key, for `--config`."""
    from bkgpipe.simulate.settings import simulate_template

    click.echo(simulate_template())
