"""Print the script that lets a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import (
    BashComplete,
    FishComplete,
    ShellComplete,
    ZshComplete,
)

__all__ = ["print_completion"]

_SHELLS: dict[str, type[ShellComplete]] = {
    "bash": BashComplete,
    "fish": FishComplete,
    "zsh": ZshComplete,
}


def print_completion(command: click.Command, shell: str) -> None:
    """Print the script that teaches a shell to complete a command.

    Parameters
    ----------
    command : Command
        The command, with all that are below it.
    shell : str
        One of ``bash``, ``fish`` and ``zsh``.
    """
    kind = _SHELLS[shell]
    click.echo(kind(command, {}, "bkgpipe", "_BKGPIPE_COMPLETE").source())
