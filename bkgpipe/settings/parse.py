"""From the text of a settings file to checked values, for any set of sections."""

from __future__ import annotations

import configparser
import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from bkgpipe.core.regular import require_regular
from bkgpipe.errors import SettingsError
from bkgpipe.text import decode_text

__all__ = ["Grammar", "parse_sections", "read_texts", "refuse"]


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """The sections that a settings file may have.

    Attributes
    ----------
    sections : mapping of str to type
        Dataclass of each section, its fields made by `key`.
    families : mapping of str to type
        Likewise for sections of which the user chooses the names, by their prefix.
    ignored : frozenset of str
        Sections that belong to others.
    moved : mapping of str to str
        ``section.key`` of today, by that of an earlier version.
    """

    sections: Mapping[str, type]
    families: Mapping[str, type] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    moved: Mapping[str, str] = field(default_factory=dict)

    def find(self, names: Iterable[str]) -> dict[str, type]:
        """Return the dataclass of each known section, those that are named included.

        Parameters
        ----------
        names : iterable of str
            Sections in a file; unknown ones are not in the answer.

        Returns
        -------
        dict of str to type
            All of ``sections``, then members of families in order of their names.
        """
        members = {
            name: section
            for name in sorted(set(names))
            for prefix, section in self.families.items()
            if name.startswith(prefix) and name != prefix
        }
        return {**self.sections, **members}


def parse_sections(
    texts: Mapping[str, Mapping[str, str]],
    overrides: Iterable[str],
    *,
    grammar: Grammar,
    folder: Path,
    problems: list[str],
) -> dict[str, dict[str, Any]]:
    """Parse the values of all sections, and note everything that is wrong.

    Parameters
    ----------
    texts : mapping of str to mapping of str to str
        Text of each key of each section.
    overrides : iterable of str
        Each ``section.key=value``; relative paths in them start at the working folder.
    grammar : Grammar
        Sections that there may be.
    folder : Path
        Where relative paths in ``texts`` start.
    problems : list of str
        Gets a sentence for each problem.

    Returns
    -------
    dict of str to dict of str to object
        Value of each key of each section; keys with a problem are not in it.
    """
    overriding = _split_overrides(overrides, problems)
    known = grammar.find([*texts, *overriding])
    for given in (texts, overriding):
        others = {k: v for k, v in given.items() if k not in grammar.ignored}
        problems += _unknown_names(others, known, grammar)
    return {
        name: _parse_section(
            name,
            section,
            texts=(texts.get(name, {}), folder),
            overriding=(overriding.get(name, {}), Path.cwd()),
            problems=problems,
        )
        for name, section in known.items()
    }


def refuse(problems: list[str], *, where: str, fix: str) -> None:
    """Raise one error with all problems, if there are any.

    Parameters
    ----------
    problems : list of str
        Problems found.
    where : str
        File, or what else is wrong.
    fix : str
        What to do.

    Raises
    ------
    SettingsError
        If there is a problem.
    """
    if problems:
        listed = "".join(f"\n  - {problem}" for problem in problems)
        raise SettingsError(
            what=f"{len(problems)} problem(s):{listed}", where=where, fix=fix
        )


def read_texts(path: Path, *, fix: str) -> dict[str, dict[str, str]]:
    """Read the text of each key of each section.

    Parameters
    ----------
    path : Path
        File in the style of ``luigi.cfg``.
    fix : str
        What to do when there is no such file.

    Returns
    -------
    dict of str to dict of str to str
        Texts as they stand in the file.

    Raises
    ------
    SettingsError
        If the file cannot be read or is no such file.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        require_regular(path)
        parser.read_string(decode_text(path.read_bytes()), source=str(path))
    except OSError as error:
        raise SettingsError(
            what=f"cannot be read ({error.strerror})",
            where=str(path),
            fix=fix,
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


def _unknown_names(
    texts: Mapping[str, Mapping[str, str]],
    sections: Mapping[str, type],
    grammar: Grammar,
) -> list[str]:
    problems = []
    for name, keys in texts.items():
        if name not in sections:
            near = _nearest(name, [*sections, *grammar.families])
            problems.append(f"[{name}] is not a section{near}")
            continue
        known = [key.name for key in fields(sections[name])]
        problems += [
            _moved_words(name, key, grammar.moved)
            or f"[{name}] {key} is not a key{_nearest(key, known)}"
            for key in keys
            if key not in known
        ]
    return problems


def _moved_words(section: str, key: str, moved: Mapping[str, str]) -> str:
    """Say where a key of an earlier version is now; empty if it never was one."""
    section_now, _, key_now = moved.get(f"{section}.{key}", "").partition(".")
    return f"[{section}] {key} is now [{section_now}] {key_now}" if key_now else ""


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
