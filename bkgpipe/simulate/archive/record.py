"""What a simulated store is made from, so that it can be gone on with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bkgpipe._version import __version__
from bkgpipe.errors import OutputError
from bkgpipe.store.files import read_content

__all__ = [
    "RECORD_FILE",
    "file_digest",
    "recipe_digest",
    "require_same_recipe",
    "write_recipe",
]

RECORD_FILE = "simulation.json"

# Another number when equal settings no longer give equal files
_LAYOUT = 1


def recipe_digest(recipe: Mapping[str, Any]) -> str:
    """Return a digest of all that the files of a store follow from.

    Parameters
    ----------
    recipe : mapping of str to object
        Settings and digests of inputs, of what JSON can hold.

    Returns
    -------
    str
        SHA-256.
    """
    text = json.dumps([_LAYOUT, recipe], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the digest of a file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        SHA-256.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    return hashlib.sha256(read_content(path, where=str(path))).hexdigest()


def write_recipe(path: Path, recipe: Mapping[str, Any]) -> None:
    """Write what a store is made from.

    Parameters
    ----------
    path : Path
        File to write; a temporary one is fine.
    recipe : mapping of str to object
        As of `recipe_digest`.
    """
    record = {
        "creator": f"bkgpipe {__version__}",
        "digest": recipe_digest(recipe),
        "recipe": recipe,
    }
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def require_same_recipe(store: Path, recipe: Mapping[str, Any]) -> bool:
    """Refuse a folder that holds another store.

    Parameters
    ----------
    store : Path
        Folder.
    recipe : mapping of str to object
        What the store is to be made from.

    Returns
    -------
    bool
        True if the folder holds a part of this very store, or all of it.

    Raises
    ------
    OutputError
        If it holds another store, or part of one.
    """
    path = store / RECORD_FILE
    if path.exists():
        if _read_digest(path) == recipe_digest(recipe):
            return True
    elif not any(store.glob("*-index.fits*")):
        return False
    raise OutputError(
        what="holds a data store already, made from other settings",
        where=str(store),
        fix="Name another folder, or remove this one",
    )


def _read_digest(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["digest"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""
