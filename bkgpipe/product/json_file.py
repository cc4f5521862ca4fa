"""Records as JSON, which a user may have touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from bkgpipe.errors import InputError

__all__ = ["read_json"]

_Record = TypeVar("_Record")


def read_json(
    path: Path, make: Callable[[Any], _Record], *, holds: str, fix: str
) -> _Record:
    """Read a record from a JSON file.

    Parameters
    ----------
    path : Path
        The file.
    make : callable
        Makes the record of what JSON holds; raises a ValueError, KeyError or TypeError
        when it is something else.
    holds : str
        What the file should hold, for the message.
    fix : str
        What to do if it does not.

    Returns
    -------
    object
        What `make` made.

    Raises
    ------
    InputError
        If the file is missing or holds something else.
    """
    try:
        return make(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            what=f"the file holds no {holds} ({error})", where=str(path), fix=fix
        ) from error
