"""Which settings each stage depends on, as a short hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bkgpipe.core.sums import sum_file
from bkgpipe.stages.mask.catalog_files import find_catalog
from bkgpipe.stages.table import list_chain

__all__ = ["stage_fingerprint", "stage_values"]


def stage_fingerprint(settings: Any, stage: str) -> str:
    """Hash exactly the settings that a stage and its ancestors look at.

    The revisions of their code are hashed as well, so that products of an earlier
    version of bkgpipe are not taken for those of this one. Catalogues and files of
    excluded regions and masks count by their content, not by their name or place.

    Parameters
    ----------
    settings : Settings
        All settings.
    stage : str
        Stage, as ``count``.

    Returns
    -------
    str
        Six hexadecimal digits.
    """
    values = stage_values(settings, stage)
    revisions = {each.word: each.revision for each in list_chain(settings, stage)}
    text = json.dumps([values, revisions], default=_plain, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def stage_values(settings: Any, stage: str) -> dict[str, Any]:
    """Gather exactly the settings that a stage and its ancestors look at.

    Parameters
    ----------
    settings : Settings
        All settings.
    stage : str
        Stage, as ``count``.

    Returns
    -------
    dict of str to object
        Value of each ``section.key``; catalogues by their names as files.
    """
    values: dict[str, Any] = {}
    for each in list_chain(settings, stage):
        for name in each.used_keys(settings):
            values.update(_values(settings, name))
    if "mask.catalogs" in values:
        place = settings.data.gammapy_data
        values["mask.catalogs"] = tuple(
            find_catalog(name, gammapy_data=place) if place else name
            for name in values["mask.catalogs"]
        )
    return dict(sorted(values.items()))


def _values(settings: Any, name: str) -> dict[str, Any]:
    section, _, key = name.partition(".")
    keys = [key] if key else list(asdict(getattr(settings, section)))
    return {
        f"{section}.{key}": getattr(getattr(settings, section), key) for key in keys
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return _content(value) if value.is_file() else str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"settings of type {type(value).__name__} have no fingerprint")


def _content(path: Path) -> str:
    state = path.stat()
    return _sum_file(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _sum_file(path: Path, _changed: int, _size: int) -> str:
    return sum_file(path)
