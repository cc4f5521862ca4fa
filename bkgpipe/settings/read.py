"""Read and check a settings file."""

from __future__ import annotations

import configparser
import difflib
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from bkgpipe.errors import SettingsError
from bkgpipe.settings.consistency import find_contradictions
from bkgpipe.settings.sections import SECTIONS
from bkgpipe.settings.settings import Settings
from bkgpipe.settings.site_sections import SITE_PREFIX, SiteSettings

__all__ = ["read_settings"]

# Sections of luigi.cfg that belong to Luigi itself.
_LUIGI_SECTIONS = {
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
    texts = _read_texts(path)
    overriding = _split_overrides(overrides, problems)
    known = SECTIONS | _site_sections(texts, overriding)
    problems += _unknown_names(texts, known) + _unknown_names(overriding, known)
    sections = {
        name: _parse_section(
            name,
            section,
            texts=(texts.get(name, {}), path.absolute().parent),
            overriding=(overriding.get(name, {}), Path.cwd()),
            problems=problems,
        )
        for name, section in known.items()
    }
    if not problems:
        settings = Settings(path=path.absolute(), **_make_sections(sections))
        problems += find_contradictions(settings)
    if problems:
        listed = "".join(f"\n  - {problem}" for problem in problems)
        raise SettingsError(
            what=f"{len(problems)} problem(s):{listed}",
            where=str(path),
            fix="Correct them, or write a fresh file with bkgpipe init",
        )
    return settings


def _read_texts(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except OSError as error:
        raise SettingsError(
            what=f"cannot be read ({error.strerror})",
            where=str(path),
            fix="Name the file with --config, or write one with bkgpipe init",
        ) from error
    except (configparser.Error, UnicodeDecodeError) as error:
        raise SettingsError(
            what=f"is not a settings file ({error})",
            where=str(path),
            fix="Write [section] lines and key = value lines, as bkgpipe init does",
        ) from error
    return {name: dict(parser[name]) for name in parser.sections()}


def _split_overrides(
    overrides: Iterable[str], problems: list[str]
) -> dict[str, dict[str, str]]:
    split: dict[str, dict[str, str]] = {}
    for override in overrides:
        name, equals, value = override.partition("=")
        section, dot, key = name.strip().partition(".")
        if not (equals and dot):
            problems.append(f"{override!r} is not of the form section.key=value")
            continue
        split.setdefault(section, {})[key] = value.strip()
    return split


def _nearest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]}?)" if close else ""


def _site_sections(*texts: Mapping[str, object]) -> dict[str, type]:
    """Find the sections of sites, of which the user chooses the names."""
    names = {name for text in texts for name in text if name.startswith(SITE_PREFIX)}
    return dict.fromkeys(sorted(names), SiteSettings)


def _unknown_names(
    texts: Mapping[str, Mapping[str, str]], sections: Mapping[str, type]
) -> list[str]:
    problems = []
    for name, keys in texts.items():
        if name in _LUIGI_SECTIONS:
            continue
        if name not in sections:
            problems.append(f"[{name}] is not a section{_nearest(name, sections)}")
            continue
        known = [key.name for key in fields(sections[name])]
        problems += [
            f"[{name}] {key} is not a key{_nearest(key, known)}"
            for key in keys
            if key not in known
        ]
    return problems


def _parse_section(
    name: str,
    section: type,
    *,
    texts: tuple[Mapping[str, str], Path],
    overriding: tuple[Mapping[str, str], Path],
    problems: list[str],
) -> dict[str, Any]:
    values = {}
    for key in fields(section):
        found, folder = overriding if key.name in overriding[0] else texts
        text = found.get(key.name, key.metadata["default"]).strip()
        try:
            values[key.name] = _parse_value(key, text, folder)
        except ValueError as error:
            problems.append(f"[{name}] {key.name}: {error}")
    return values


def _parse_value(key: Field[Any], text: str, folder: Path) -> Any:
    value = key.metadata["kind"].parse(text, folder)
    lowest, highest = key.metadata["minimum"], key.metadata["maximum"]
    if isinstance(value, float) and math.isnan(value) and text:
        raise ValueError("is not a number")
    if lowest is not None and value < lowest:
        raise ValueError(f"{text} is below the least value {lowest}")
    if highest is not None and value > highest:
        raise ValueError(f"{text} is above the largest value {highest}")
    return value


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
