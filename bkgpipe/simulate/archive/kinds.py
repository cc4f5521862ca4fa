"""Kinds of values that only simulations have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bkgpipe.errors import SettingsError
from bkgpipe.settings.kinds import PATH, TIME, Kind, quantities
from bkgpipe.simulate.archive.data import Distribution, Field

__all__ = ["BUILT_IN", "FIELDS", "RESPONSES", "STEPS", "distribution"]

BUILT_IN = "built-in"
"""Word for the instrument responses that come with the package."""

_LAWS = ("constant", "uniform", "normal", "sky")
_NOWHERE = Path()


def distribution(unit: str) -> Kind:
    """Make the kind of distributions, as ``uniform 5, 50 deg``.

    Parameters
    ----------
    unit : str
        Unit in which the values are kept; empty for plain numbers.

    Returns
    -------
    Kind
        The kind.
    """
    numbers = quantities(unit)

    def parse(text: str, folder: Path) -> Distribution:
        law, _, rest = text.partition(" ")
        if law not in _LAWS:
            law, rest = "constant", text
        values = numbers.parse(rest, folder) if unit else _plain(rest)
        try:
            return Distribution(law=law, values=values)
        except (SettingsError, IndexError):
            raise ValueError(
                f"expected one value, or uniform, sky or normal and two as in"
                f" 'uniform 1, 2{f' {unit}' if unit else ''}', found {text!r}"
            ) from None

    def write(value: Distribution) -> str:
        law = "" if value.law == "constant" else f"{value.law} "
        listed = ", ".join(map(repr, value.values))
        return f"{law}{listed} {unit}".rstrip()

    name = f"distribution [{unit}]" if unit else "distribution"
    return Kind(name=name, parse=parse, write=write)


def _plain(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise ValueError(f"expected numbers, found {text!r}") from None


def _entries(text: str) -> list[tuple[str, str]]:
    """Split ``name: value, name: value``."""
    words = (word.strip() for word in text.replace("\n", ",").split(","))
    # the time of a date has colons, too
    parts = [word.rpartition(": ") for word in words if word]
    if any(not colon for _, colon, _ in parts):
        raise ValueError(f"expected 'name: value' for each entry, found {text!r}")
    return [(name.strip(), value.strip()) for name, _, value in parts]


def _parse_steps(text: str, _folder: Path) -> tuple[tuple[float, float], ...]:
    try:
        return tuple(
            (TIME.parse(date, _NOWHERE), float(factor))
            for date, factor in _entries(text)
        )
    except ValueError as error:
        raise ValueError(
            f"expected dates and factors such as 2004-03-26: 0.9 ({error})"
        ) from None


def _write_steps(steps: tuple[tuple[float, float], ...]) -> str:
    return ", ".join(f"{TIME.write(time)}: {factor!r}" for time, factor in steps)


def _parse_fields(text: str, _folder: Path) -> tuple[Field, ...]:
    fields = []
    for name, place in _entries(text):
        try:
            ra, dec = (float(word) for word in place.split())
        except ValueError:
            raise ValueError(
                f"expected 'name: ra dec' in degrees, found {name}: {place!r}"
            ) from None
        fields.append(Field(name=name, ra=ra, dec=dec))
    return tuple(fields)


def _write_fields(fields: tuple[Any, ...]) -> str:
    return ", ".join(f"{field.name}: {field.ra!r} {field.dec!r}" for field in fields)


def _parse_responses(text: str, folder: Path) -> str:
    if text in {"", BUILT_IN}:
        return text
    path = PATH.parse(text, folder)
    if not path.name.isdecimal():
        raise ValueError(f"expected {BUILT_IN}, or STORE/OBS_ID, found {text!r}")
    return str(path)


RESPONSES = Kind(name="responses", parse=_parse_responses, write=str)
STEPS = Kind(name="dates and factors", parse=_parse_steps, write=_write_steps)
FIELDS = Kind(name="fields", parse=_parse_fields, write=_write_fields)
