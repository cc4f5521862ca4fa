"""The file of bash that a job runs which brings its files along."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from bkgpipe.settings.site_sections import SiteSettings

__all__ = ["ship_script"]

_SCRATCH = "/scratch"  # of the node, as the image sees it

# An engine that copies files holds a job whose answer is not there, and would hide its
# exit code: so there is always an answer, if only an empty one.
_BODY = """\
set -u
finish() {{
  {leave}rm -rf "${{scratch:-}}"
}}
trap finish EXIT
{environment}scratch=$(mktemp -d "${{TMPDIR:-/tmp}}/bkgpipe-XXXXXX" 2>/dev/null) \\
  || scratch=$(mktemp -d "$PWD/bkgpipe-XXXXXX") || exit 71
export TMPDIR="$scratch" HOME="$scratch"
{setup}echo "$(date -u +%FT%TZ) {name} on $(hostname)"
{before}{command}
{after}"""
# EX_IOERR of sysexits.h
_STAGED = """\
code=$?
{command} || exit 74
exit $code
"""


def ship_script(site: SiteSettings, name: str, *, bundle: str, answer: str) -> str:
    """Write what a job does, in the image of the site if it has one.

    Parameters
    ----------
    site : SiteSettings
        The site.
    name : str
        Name of the job.
    bundle : str
        What it reads: the name of a file beside it, or an address.
    answer : str
        What it writes, likewise.

    Returns
    -------
    str
        Lines of bash, without the first.
    """
    before = after = ""
    if site.stage_in:  # commands of the site move what bkgpipe moves otherwise
        before = f"{_stage(site.stage_in, bundle)} || exit 74\n"
        after = _STAGED.format(command=_stage(site.stage_out, answer))
        bundle, answer = (url.rpartition("/")[2] for url in (bundle, answer))
    words = shlex.join(["job", "--bundle", bundle, "--to", answer])
    bare = site.command or f"{shlex.quote(sys.executable)} -m bkgpipe"
    inside = _in_image(site) if site.container else None
    file = shlex.quote(answer)
    return _BODY.format(
        leave="" if "://" in answer else f"[ -e {file} ] || : >{file}\n  ",
        environment="".join(
            f"export {shlex.quote(pair)}\n" for pair in site.environment
        ),
        setup=f"{site.setup}\n" if site.setup else "",
        name=name,
        before=before,
        command=f"{inside or bare} {words}",
        after=after,
    )


def _stage(command: Sequence[str], url: str) -> str:
    """Write a command of the site that moves a file beside the job."""
    file = '"$PWD"/' + shlex.quote(url.rpartition("/")[2])
    words = (word.replace("{url}", url).split("{path}") for word in command)
    return " ".join(file.join(shlex.quote(part) for part in parts) for parts in words)


def _in_image(site: SiteSettings) -> str:
    if site.container is None:
        raise ValueError(site.container)
    image = site.container.name if site.send_container else str(site.container)
    parts = [site.apptainer, "exec", site.container_options]
    parts += [f"--bind {shlex.quote(bind)}" for bind in site.binds]
    parts += [f"--env {shlex.quote(pair)}" for pair in site.environment]
    # the memory disc that --containall gives for /tmp is small
    parts.append(f'--bind "$scratch":{_SCRATCH} --env TMPDIR={_SCRATCH}')
    parts.append(f'--bind "$PWD" --pwd "$PWD" {shlex.quote(image)}')
    return " \\\n  ".join([*filter(None, parts), site.command or "bkgpipe"])
