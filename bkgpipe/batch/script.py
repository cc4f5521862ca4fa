"""The file that a batch job runs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from bkgpipe.batch.waves import wave_folder
from bkgpipe.settings import Settings
from bkgpipe.settings.site_sections import SiteSettings

__all__ = ["job_command", "job_script"]

_SCRATCH = "/scratch"  # of the node, as the image sees it

_BODY = """\
set -u
{environment}scratch=$(mktemp -d "${{TMPDIR:-/tmp}}/bkgpipe-XXXXXX") || exit 71
trap 'rm -rf "$scratch"' EXIT
export TMPDIR="$scratch"
{setup}cd {folder}
echo "$(date -u +%FT%TZ) job $0 on $(hostname)"
{command}
"""


def job_command(settings: Settings, word: str, chunks: Sequence[int]) -> list[str]:
    """Put together the arguments of ``bkgpipe`` in a job.

    Parameters
    ----------
    settings : Settings
        Settings that the production keeps beside its products.
    word : str
        What the job makes.
    chunks : sequence of int
        Chunks that it makes.

    Returns
    -------
    list of str
        Arguments.
    """
    kept = ["--config", str(settings.path), "--folder", wave_folder(settings, word)]
    return ["job", word, *map(str, chunks), *kept]


def job_script(site: SiteSettings, settings: Settings, arguments: Sequence[str]) -> str:
    """Write what a job does, in the image of the site if it has one.

    Parameters
    ----------
    site : SiteSettings
        The site.
    settings : Settings
        Settings of the production.
    arguments : sequence of str
        Arguments of ``bkgpipe``.

    Returns
    -------
    str
        Lines of bash, without the first.
    """
    bare = site.command or f"{shlex.quote(sys.executable)} -m bkgpipe"
    words = shlex.join(arguments)
    inside = _in_image(site, settings) if site.container else None
    return _BODY.format(
        environment="".join(
            f"export {shlex.quote(pair)}\n" for pair in site.environment
        ),
        setup=f"{site.setup}\n" if site.setup else "",
        folder=shlex.quote(str(settings.data.output)),
        command=f"{inside or bare} {words}",
    )


def _in_image(site: SiteSettings, settings: Settings) -> str:
    output = str(settings.data.output)
    written = [f"{folder}:{folder}" for folder in settings.outputs]
    binds = [*written, *_input_binds(settings), *site.binds]
    parts = [site.apptainer, "exec", site.container_options]
    parts += [f"--bind {shlex.quote(bind)}" for bind in binds]
    parts += [f"--env {shlex.quote(pair)}" for pair in site.environment]
    # the memory disc that --containall gives for /tmp is small
    parts.append(f'--bind "$scratch":{_SCRATCH} --env TMPDIR={_SCRATCH}')
    parts.append(f"--pwd {shlex.quote(output)} {shlex.quote(str(site.container))}")
    return " \\\n  ".join([*filter(None, parts), site.command or "bkgpipe"])


def _input_binds(settings: Settings) -> list[str]:
    """Everything that the settings name and that is only read."""
    found = {
        str(path)
        for section in fields(settings)
        if section.name not in {"path", "sites"}
        for path in _paths(getattr(settings, section.name))
        if path not in settings.outputs and path.exists()
    }
    return [f"{path}:{path}:ro" for path in sorted(found)]


def _paths(section: Any) -> Iterator[Path]:
    for each in fields(section):
        value = getattr(section, each.name)
        values = value if isinstance(value, tuple) else (value,)
        yield from (one for one in values if isinstance(one, Path))
