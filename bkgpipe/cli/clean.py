"""Remove what no present setting uses."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from bkgpipe.chain.found import read_with_found
from bkgpipe.chain.leftovers import Leftover, find_leftovers
from bkgpipe.errors import BusyError, OutputError, SettingsError
from bkgpipe.flow.engine.presence import announce, submitters
from bkgpipe.product.whole_file import find_stale
from bkgpipe.settings import Settings

__all__ = ["clean_production"]


def clean_production(
    config: Path,
    overrides: Iterable[str],
    *,
    keep: Sequence[Path],
    yes: bool,
    dry_run: bool,
) -> None:
    """List what no present setting uses, ask, and remove it.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : iterable of str
        Each ``section.key=value``.
    keep : sequence of Path
        More settings files whose products stay.
    yes : bool
        Do not ask.
    dry_run : bool
        Remove nothing.

    Raises
    ------
    BkgpipeError
        If settings or the output folder cannot be used, or another process works on
        the production.
    """
    settings = read_with_found(config, overrides)
    output = settings.data.output
    _require_idle(output)
    found = [
        *find_leftovers([settings, *_read_others(keep, output)]),
        *(_of_dead_process(path) for path in find_stale(output)),
    ]
    for each in found:
        name = each.path.relative_to(output)
        click.echo(f"{_put_size(each.n_bytes):>9}  {name}: {each.reason}")
    if not found:
        click.echo("Nothing to remove.")
        return
    click.echo(f"{_put_size(sum(each.n_bytes for each in found)):>9}  in {output}")
    if dry_run or not (yes or click.confirm("Remove these?")):
        click.echo("Nothing was removed.")
        return
    with announce(output, scheduler="clean"):
        for each in found:
            _remove(each.path)
    click.echo(f"Removed {len(found)}.")


def _require_idle(output: Path) -> None:
    running = submitters(output) if (output / "running").is_dir() else ()
    if running:
        raise BusyError(
            what=f"{running[0]} works on this production",
            where=str(output),
            fix="Wait for it, or stop it; if it is gone, remove the folder running "
            "in there",
        )


def _read_others(keep: Sequence[Path], output: Path) -> list[Settings]:
    others = [read_with_found(path) for path in keep]
    for path, each in zip(keep, others, strict=True):
        if each.data.output.resolve() != output.resolve():
            raise SettingsError(
                what=f"has another output folder, {each.data.output}",
                where=str(path),
                fix="Name settings of the same production with --keep",
            )
    return others


def _of_dead_process(path: Path) -> Leftover:
    reason = "begun by a process that is gone"
    return Leftover(path=path, reason=reason, n_bytes=path.stat().st_size)


def _remove(path: Path) -> None:
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            what=f"cannot be removed ({error.strerror or error})",
            where=str(path),
            fix="Remove it by hand, or ask its owner to",
        ) from error


def _put_size(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"
