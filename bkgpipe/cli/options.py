"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

__all__ = [
    "example",
    "json_option",
    "overrides_option",
    "placed",
    "placement_options",
    "settings_options",
]


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which settings it uses.

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
        default=Path("luigi.cfg"),
        show_default=True,
        help="Settings file.",
    )
    return config(overrides_option(command))


def overrides_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option to replace values of its settings.

    Parameters
    ----------
    command : callable
        The command.

    Returns
    -------
    callable
        The command with it.
    """
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="SECTION.KEY=VALUE",
        help="Replace one value of the settings; may be repeated.",
    )(command)


def placement_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say where it works.

    Parameters
    ----------
    command : callable
        The command.

    Returns
    -------
    callable
        The command with them.
    """
    workers = click.option(
        "--workers", type=click.IntRange(1), help="Worker processes."
    )
    host = click.option(
        "--scheduler-host", help="Machine of a luigid that shares out the work."
    )
    port = click.option(
        "--scheduler-port", type=click.IntRange(1, 65535), help="Its port."
    )
    return workers(host(port(command)))


def placed(overrides: tuple[str, ...], placement: dict[str, Any]) -> list[str]:
    """Add what `placement_options` were given to the overrides of settings.

    Parameters
    ----------
    overrides : tuple of str
        Each ``section.key=value``.
    placement : dict of str to object
        Value of each key of ``[run]``; None where the option was not given.

    Returns
    -------
    list of str
        All overrides.
    """
    given = [f"run.{key}={value}" for key, value in placement.items() if value]
    return [*overrides, *given]


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option to answer in JSON.

    Parameters
    ----------
    command : callable
        The command.

    Returns
    -------
    callable
        The command with them.
    """
    return click.option(
        "--json", "as_json", is_flag=True, help="Answer in one line of JSON."
    )(command)


def example(*lines: str) -> str:
    """Put commands as the end of a help text.

    Parameters
    ----------
    *lines : str
        Each a whole command line.

    Returns
    -------
    str
        Epilog of a click command, whose lines stay as they are.
    """
    heading = "Example:" if len(lines) == 1 else "Examples:"
    # \b keeps click from joining the lines of the paragraph
    return "\n".join(["\b", heading, *(f"  {line}" for line in lines)])
