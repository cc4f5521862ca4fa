"""Write settings files, and the table of keys for the documentation."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from bkgpipe.settings.sections import SECTIONS
from bkgpipe.settings.settings import Settings
from bkgpipe.settings.site_sections import SITE_PREFIX, SiteSettings

__all__ = [
    "section_page",
    "section_template",
    "settings_page",
    "settings_template",
    "settings_text",
    "settings_values",
]

_LUIGI = """\
# A section of Luigi itself: exit codes of the plain luigi command.

[retcode]
already_running = 10
missing_data = 20
not_run = 25
task_failed = 30
scheduling_error = 35
unhandled_exception = 40
"""


def settings_values(settings: Settings) -> dict[str, dict[str, str]]:
    """Write each value as in a settings file.

    Parameters
    ----------
    settings : Settings
        Settings.

    Returns
    -------
    dict of str to dict of str to str
        Value of each key of each section, with absolute paths and lists written out.
    """
    return {
        name: {
            key.name: key.metadata["kind"].write(
                getattr(getattr(settings, name), key.name)
            )
            for key in fields(section)
        }
        for name, section in SECTIONS.items()
    }


def settings_text(settings: Settings) -> str:
    """Write settings so that they read the same anywhere on this file system.

    Parameters
    ----------
    settings : Settings
        Settings.

    Returns
    -------
    str
        Text of a settings file, with absolute paths and lists written out.
    """
    lines = [_LUIGI]
    for name, values in settings_values(settings).items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {value}".rstrip() for key, value in values.items()]
        lines.append("")
    return "\n".join(lines)


def settings_template(
    given: Mapping[str, str], reasons: Mapping[str, str] | None = None
) -> str:
    """Write a commented settings file with every key.

    Parameters
    ----------
    given : mapping of str to str
        Values of ``section.key``; every other key stands as a comment with its
        default.
    reasons : mapping of str to str, optional
        Why some of the keys have their value, as one more comment.

    Returns
    -------
    str
        Text of the file.
    """
    lines = [
        "# Settings of a bkgpipe production. A key that is commented out has the value",
        "# shown, which is the default.",
        "",
    ]
    for name, section in SECTIONS.items():
        lines += section_template(name, section, given, reasons=reasons)
    site = section_template(f"{SITE_PREFIX}NAME", SiteSettings, {}, is_asked=False)
    return "\n".join([*lines, *site, _LUIGI])


def section_template(
    name: str,
    section: type,
    given: Mapping[str, str],
    *,
    is_asked: bool = True,
    reasons: Mapping[str, str] | None = None,
) -> list[str]:
    """Write one section of a commented settings file.

    Parameters
    ----------
    name : str
        Name of the section.
    section : type
        Dataclass of the section, its fields made by `key`.
    given : mapping of str to str
        Values of ``section.key``; every other key stands as a comment.
    is_asked : bool
        False makes a comment of the name too: there is no such section until then.
    reasons : mapping of str to str, optional
        Why some of the keys have their value.

    Returns
    -------
    list of str
        Lines, an empty one at the end.
    """
    heading = f"[{name}]" if is_asked else f"#[{name}]"
    lines = [f"# {(section.__doc__ or '').strip()}", heading]
    for key in fields(section):
        full = f"{name}.{key.name}"
        lines += _template_key(key, given.get(full), (reasons or {}).get(full, ""))
    return [*lines, ""]


def _template_key(key: Any, given: str | None, reason: str) -> list[str]:
    comment = f"{key.metadata['help']} ({key.metadata['kind'].name})"
    lines = _comment(comment)
    if reason:
        lines += _comment(f"{'Default kept' if given is None else 'Chosen'}: {reason}")
    default = f"#{key.name} = {key.metadata['default']}".rstrip()
    return [*lines, default if given is None else f"{key.name} = {given}"]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 84, initial_indent="# ", subsequent_indent="#   ")


def settings_page() -> str:
    """Write the reference page of all keys.

    Returns
    -------
    str
        Markdown.
    """
    lines = [
        "# Settings",
        "",
        "All settings stand in one file, `luigi.cfg`. This page is made from the code.",
        "An unknown section or key is an error. Relative paths start at the folder of",
        "the file. `--set section.key=value` replaces a value for one command.",
    ]
    for name, section in (SECTIONS | {f"{SITE_PREFIX}NAME": SiteSettings}).items():
        lines += section_page(name, section)
    return "\n".join([*lines, ""])


def section_page(name: str, section: type) -> list[str]:
    """Write one section of a reference page.

    Parameters
    ----------
    name : str
        Name of the section.
    section : type
        Dataclass of the section, its fields made by `key`.

    Returns
    -------
    list of str
        Lines of Markdown, an empty one at the start.
    """
    lines = ["", f"## [{name}]", "", (section.__doc__ or "").strip(), ""]
    lines += ["| key | kind | default | what it does |", "|---|---|---|---|"]
    for key in fields(section):
        cells = (key.metadata["kind"].name, key.metadata["default"] or "(empty)")
        lines.append(
            f"| `{key.name}` | {cells[0]} | `{cells[1]}` | {key.metadata['help']} |"
        )
    return lines
