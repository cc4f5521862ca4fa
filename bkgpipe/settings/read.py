"""Read and check a settings file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from bkgpipe.settings.consistency import find_contradictions
from bkgpipe.settings.parse import Grammar, parse_sections, read_texts, refuse
from bkgpipe.settings.sections import SECTIONS
from bkgpipe.settings.settings import Settings
from bkgpipe.settings.site_sections import SITE_PREFIX, SiteSettings

__all__ = ["read_settings"]

# Sections of luigi.cfg that belong to Luigi itself.
_LUIGI_SECTIONS = frozenset(
    {
        "DEFAULT",
        "batch_notifier",
        "core",
        "email",
        "execution_summary",
        "logging",
        "loggers",
        "resources",
        "retcode",
        "scheduler",
        "smtp",
        "task_history",
        "worker",
    }
)
# In 0.1 the keys of the regression were in the section of its rates
_MOVED = {f"smooth.{key.name}": f"fit.{key.name}" for key in fields(SECTIONS["fit"])}
_GRAMMAR = Grammar(
    sections=SECTIONS,
    families={SITE_PREFIX: SiteSettings},
    ignored=_LUIGI_SECTIONS,
    moved=_MOVED,
)
_NO_FILE = "Name the file with --config, or write one with bkgpipe init"


def read_settings(path: Path, overrides: Iterable[str] = ()) -> Settings:
    """Read settings from a file, then apply overrides.

    Parameters
    ----------
    path : Path
        File in the style of ``luigi.cfg``; relative paths in it start at its folder.
    overrides : iterable of str
        Each ``section.key=value``; relative paths in them start at the working folder.

    Returns
    -------
    Settings
        Checked settings.

    Raises
    ------
    SettingsError
        If the file cannot be read, or with all problems found in it at once.
    """
    problems: list[str] = []
    sections = parse_sections(
        read_texts(path, fix=_NO_FILE),
        overrides,
        grammar=_GRAMMAR,
        folder=path.absolute().parent,
        problems=problems,
    )
    if not problems:
        settings = Settings(path=path.absolute(), **_make_sections(sections))
        problems += find_contradictions(settings)
    refuse(
        problems,
        where=str(path),
        fix="Correct them, or write a fresh file with bkgpipe init",
    )
    return settings


def _make_sections(sections: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    data = sections["data"]
    if data["gammapy_data"] is None and os.environ.get("GAMMAPY_DATA"):
        data["gammapy_data"] = Path(os.environ["GAMMAPY_DATA"]).resolve()
    made: dict[str, Any] = {
        name: section(**sections[name]) for name, section in SECTIONS.items()
    }
    made["sites"] = {
        name.removeprefix(SITE_PREFIX): SiteSettings(**values)
        for name, values in sections.items()
        if name not in SECTIONS
    }
    return made
