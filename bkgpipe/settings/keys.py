"""Declaration of one key of the settings file."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from bkgpipe.settings.kinds import Kind

__all__ = ["key"]


def key(
    kind: Kind,
    default: str,
    text: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
) -> Any:
    """Declare a key of a section.

    Parameters
    ----------
    kind : Kind
        How its words become a value.
    default : str
        Default, as a user would write it.
    text : str
        What it does.
    minimum, maximum : float, optional
        Range of the value.

    Returns
    -------
    dataclasses.Field
        Field of the section's dataclass.
    """
    metadata = {
        "kind": kind,
        "default": default,
        "help": text,
        "minimum": minimum,
        "maximum": maximum,
    }
    return field(metadata=metadata)
