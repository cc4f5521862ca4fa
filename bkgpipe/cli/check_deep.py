"""Compare the checksums of all files of a production."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from bkgpipe.chain.deep import verify_all
from bkgpipe.settings import read_settings

__all__ = ["check_files"]

_KINDS = ("checkpoint", "deliverable", "input")


def check_files(config: Path, overrides: Iterable[str]) -> int:
    """Print which files were verified, which could not be, and every one that failed.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : iterable of str
        Each ``section.key=value``.

    Returns
    -------
    int
        Exit code: 1 if a file is not what was written.

    Raises
    ------
    SettingsError
        If the settings cannot be used.
    """
    settings = read_settings(config, overrides)
    found = list(verify_all(settings))
    for kind in _KINDS:
        some = [each for each in found if each.kind == kind]
        n_failed = sum(bool(each.problem) for each in some)
        n_without = sum(not each.has_sum for each in some)
        n_verified = len(some) - n_failed - n_without
        click.echo(
            f"{kind.capitalize() + 's:':13} {n_verified} verified, "
            f"{n_without} without a checksum, {n_failed} failed"
        )
    problems = sorted({each.problem for each in found if each.problem})
    for problem in problems:
        click.echo(f"Problem: {problem}")
    click.echo(f"{len(problems)} problem(s)." if problems else "No problems.")
    return 1 if problems else 0
