"""How the words of a settings file become values, and back."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.time import Time

from bkgpipe.core.run_list import RunList, listed_words
from bkgpipe.settings.run_lists import parse_run_list, read_run_list
from bkgpipe.stages.mask.catalog_files import CATALOG_FILES

__all__ = [
    "CATALOGS",
    "CATALOG_NAMES",
    "CIRCLES",
    "FLAG",
    "INTEGER",
    "NUMBER",
    "OBS_IDS",
    "PATH",
    "PATHS",
    "TEXT",
    "TIME",
    "VARIABLES",
    "WORDS",
    "Circle",
    "Kind",
    "choice",
    "choices",
    "optional",
    "quantities",
    "quantity",
]

CATALOG_NAMES = tuple(CATALOG_FILES)

# astropy works out powers of any size, such as those in 10**99999999 deg
_QUANTITY = re.compile(
    r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?(?!.*\d{3})[\w\s./*^()+%-]{0,40}"
)
_POWER_OF_POWER = re.compile(r"\)\s*(\*\*|\^)|(\*\*|\^)[^\s*^]*(\*\*|\^)")

_FLAGS = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of value.

    Attributes
    ----------
    name : str
        What a user would call it, for the documentation.
    parse : callable
        From the text and the folder of the settings file to the value; raises
        ValueError with a sentence that says what was expected.
    write : callable
        From the value back to a text that `parse` understands anywhere.
    """

    name: str
    parse: Callable[[str, Path], Any]
    write: Callable[[Any], str]


@dataclass(frozen=True, kw_only=True)
class Circle:
    """An excluded disc given in the settings.

    Attributes
    ----------
    name : str
        Name, for the reports.
    ra, dec : float
        Centre, ICRS [deg].
    radius : float
        Radius [deg].
    """

    name: str
    ra: float
    dec: float
    radius: float


def _parse_flag(text: str, _folder: Path) -> bool:
    if text.lower() not in _FLAGS:
        raise ValueError(f"expected true or false, found {text!r}")
    return _FLAGS[text.lower()]


def _parse_integer(text: str, _folder: Path) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"expected a whole number, found {text!r}") from None


def _parse_number(text: str, _folder: Path) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"expected a number, found {text!r}") from None


def _parse_words(text: str, _folder: Path) -> tuple[str, ...]:
    return tuple(
        word.strip() for word in text.replace("\n", ",").split(",") if word.strip()
    )


def _parse_variables(text: str, folder: Path) -> tuple[str, ...]:
    pairs = _parse_words(text, folder)
    for pair in pairs:
        if not re.fullmatch(r"[A-Za-z_]\w*=.*", pair):
            raise ValueError(f"expected NAME=VALUE, found {pair!r}")
    return pairs


def _parse_path(text: str, folder: Path) -> Path | None:
    if not text:
        return None
    path = Path(os.path.expandvars(text)).expanduser()
    if "$" in str(path):
        raise ValueError(f"{text!r} names an environment variable that is not set")
    return (folder / path).resolve()


def _parse_paths(text: str, folder: Path) -> tuple[Path, ...]:
    paths = (_parse_path(word, folder) for word in _parse_words(text, folder))
    return tuple(path for path in paths if path is not None)


def _parse_catalogs(text: str, folder: Path) -> tuple[str | Path | None, ...]:
    words = _parse_words(text, folder)
    return tuple(
        word.lower() if word.lower() in CATALOG_NAMES else _parse_path(word, folder)
        for word in words
    )


def _parse_obs_ids(text: str, folder: Path) -> RunList:
    if not text.startswith("@"):
        return parse_run_list(text)
    path = _parse_path(text[1:].strip(), folder)
    if path is None:
        raise ValueError("expected the name of a file after @")
    return read_run_list(path)


def _parse_time(text: str, _folder: Path) -> float:
    if not text:
        return float("nan")
    try:
        return float(Time(text, scale="utc").tt.mjd)
    except ValueError:
        raise ValueError(
            f"expected a date such as 2004-03-26, found {text!r}"
        ) from None


def _write_time(value: float) -> str:
    return (
        "" if np.isnan(value) else str(Time(value, format="mjd", scale="tt").utc.isot)
    )


def _to_unit(text: str, unit: str) -> float:
    if text in {"inf", "none"}:
        return float("inf")
    if not _QUANTITY.fullmatch(text.strip()) or _POWER_OF_POWER.search(text):
        raise ValueError(f"expected a number with a unit, as 1 {unit}")
    try:
        found = u.Quantity(text)
    except (TypeError, ValueError):
        raise ValueError(f"expected a number with a unit, as 1 {unit}") from None
    if found.unit.physical_type != u.Unit(unit).physical_type:
        raise ValueError(f"expected a unit such as {unit}, found {text!r}")
    return float(found.to_value(unit))


def _parse_circle(entry: str) -> Circle:
    name, colon, numbers = entry.rpartition(":")
    try:
        ra, dec, radius = (float(word) for word in numbers.split())
    except ValueError:
        raise ValueError(
            f"expected 'name: ra dec radius' in degrees, found {entry!r}"
        ) from None
    return Circle(
        name=name.strip() if colon else "circle", ra=ra, dec=dec, radius=radius
    )


def _parse_circles(text: str, folder: Path) -> tuple[Circle, ...]:
    return tuple(_parse_circle(entry) for entry in _parse_words(text, folder))


def _write_circles(circles: tuple[Circle, ...]) -> str:
    return ", ".join(f"{c.name}: {c.ra!r} {c.dec!r} {c.radius!r}" for c in circles)


def _write_list(values: tuple[Any, ...]) -> str:
    return ", ".join(str(value) for value in values)


def quantity(unit: str) -> Kind:
    """Make the kind of numbers with a unit; ``inf`` stands for no limit.

    Parameters
    ----------
    unit : str
        Unit in which the value is kept; any other of its kind is converted.

    Returns
    -------
    Kind
        The kind.
    """
    return Kind(
        name=f"quantity [{unit}]",
        parse=lambda text, _folder: _to_unit(text, unit),
        write=lambda value: "inf" if np.isinf(value) else f"{value!r} {unit}",
    )


def optional(kind: Kind) -> Kind:
    """Make the kind of numbers that may be left open, which is kept as NaN.

    Parameters
    ----------
    kind : Kind
        Kind of the number.

    Returns
    -------
    Kind
        The kind.
    """
    return Kind(
        name=f"{kind.name} or empty",
        parse=lambda text, folder: kind.parse(text, folder) if text else float("nan"),
        write=lambda value: "" if np.isnan(value) else kind.write(value),
    )


def quantities(unit: str) -> Kind:
    """Make the kind of lists of numbers with one unit at the end.

    Parameters
    ----------
    unit : str
        Unit in which the values are kept.

    Returns
    -------
    Kind
        The kind.
    """

    def parse(text: str, folder: Path) -> tuple[float, ...]:
        words = _parse_words(text, folder)
        if not words:
            return ()
        _, _, shared = words[-1].partition(" ")
        if not shared:
            raise ValueError(f"expected a unit after the last number, as 1, 2 {unit}")
        numbers = [word if " " in word else f"{word} {shared}" for word in words]
        return tuple(_to_unit(number, unit) for number in numbers)

    def write(values: tuple[float, ...]) -> str:
        return f"{_write_list(values)} {unit}" if values else ""

    return Kind(name=f"list of quantities [{unit}]", parse=parse, write=write)


def choice(*words: str) -> Kind:
    """Make the kind of one word out of several.

    Parameters
    ----------
    *words : str
        Words allowed.

    Returns
    -------
    Kind
        The kind.
    """

    def parse(text: str, _folder: Path) -> str:
        if text not in words:
            raise ValueError(f"expected one of {', '.join(words)}, found {text!r}")
        return text

    return Kind(name="one of " + ", ".join(words), parse=parse, write=str)


def choices(*words: str) -> Kind:
    """Make the kind of a list of words out of several, each at most once.

    Parameters
    ----------
    *words : str
        Words allowed.

    Returns
    -------
    Kind
        The kind.
    """

    def parse(text: str, folder: Path) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(_parse_words(text, folder)))
        if not found or not set(found) <= set(words):
            raise ValueError(f"expected some of {', '.join(words)}, found {text!r}")
        return found

    return Kind(name="some of " + ", ".join(words), parse=parse, write=_write_list)


FLAG = Kind(name="true or false", parse=_parse_flag, write=lambda v: str(v).lower())
INTEGER = Kind(name="whole number", parse=_parse_integer, write=str)
NUMBER = Kind(name="number", parse=_parse_number, write=repr)
TEXT = Kind(name="text", parse=lambda text, _folder: text, write=str)
WORDS = Kind(name="list of words", parse=_parse_words, write=_write_list)
VARIABLES = Kind(name="variables", parse=_parse_variables, write=_write_list)
TIME = Kind(name="date (UTC)", parse=_parse_time, write=_write_time)
PATH = Kind(name="path", parse=_parse_path, write=lambda v: "" if v is None else str(v))
PATHS = Kind(name="list of paths", parse=_parse_paths, write=_write_list)
OBS_IDS = Kind(
    name="run numbers, ranges or @file",
    parse=_parse_obs_ids,
    write=lambda listed: ", ".join(listed_words(listed)),
)
CATALOGS = Kind(name="catalogues", parse=_parse_catalogs, write=_write_list)
CIRCLES = Kind(name="circles", parse=_parse_circles, write=_write_circles)
