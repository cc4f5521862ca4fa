"""Options of commands, each declared once.

Those that are the same in all commands are decorators. Those that a command completes,
with a help text or a default, are called first: ``@workers_option(default=2)``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = [
    "config_option",
    "energy_range_option",
    "example",
    "file_option",
    "force_option",
    "json_option",
    "minutes_option",
    "offset_max_option",
    "overrides_option",
    "placed",
    "placement_options",
    "plot_option",
    "runs_option",
    "seed_option",
    "settings_options",
    "simulate_options",
    "site_option",
    "table_option",
    "workers_option",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _all_of(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """Give a command several options, in this order of its help."""

    def give(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return give


config_option = partial(
    click.option, "--config", type=click.Path(path_type=Path), help="Settings file."
)
energy_range_option = partial(
    click.option,
    "--energy-range",
    type=(float, float),
    help="Lowest and highest energy [TeV].",
)
file_option = partial(click.option, type=click.Path(path_type=Path))
force_option = partial(click.option, "--force", is_flag=True)
offset_max_option = partial(
    click.option,
    "--offset-max",
    type=click.FloatRange(0, min_open=True),
    help="Largest offset [deg].",
)
overrides_option = partial(
    click.option,
    "--set",
    "overrides",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Replace one value of the settings; may be repeated.",
)
runs_option = partial(
    click.option, "--runs", type=click.IntRange(1), help="Number of runs."
)
seed_option = partial(
    click.option, "--seed", type=click.IntRange(0), help="Seed of the simulation."
)
site_option = partial(click.option, "--site", metavar="NAME")
table_option = partial(file_option, "--table")
workers_option = partial(
    click.option,
    "--workers",
    type=click.IntRange(1),
    show_default=True,
    help="Worker processes.",
)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Answer in one line of JSON."
)
minutes_option = click.option("--minutes", type=float, help="Length of a run.")
plot_option = file_option("--plot", help="PNG file to draw.")

settings_options = _all_of(
    config_option(default=Path("luigi.cfg"), show_default=True), overrides_option()
)
placement_options = _all_of(
    workers_option(show_default="run.workers"),
    click.option(
        "--scheduler-host", help="Machine of a luigid that shares out the work."
    ),
    click.option("--scheduler-port", type=click.IntRange(1, 65535), help="Its port."),
)
simulate_options = _all_of(
    config_option(
        help="Settings file; bkgpipe simulate settings prints one to start from."
    ),
    overrides_option(),
    workers_option(default=1),
    json_option,
)


def placed(overrides: tuple[str, ...], placement: dict[str, Any]) -> list[str]:
    """Add options that stand for keys of ``[run]`` to the overrides of settings.

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
