"""Which settings each stage depends on, as a short hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

__all__ = ["STAGES", "stage_fingerprint", "stage_values"]

# The chain, in order.
STAGES = ("select", "mask", "count", "rank", "stack", "smooth", "export", "report")

# What a stage itself looks at: whole sections, or single keys.
_OWN_KEYS = {
    "select": ("data.store", "select", "export.obs_ids"),
    "mask": (
        "data.chunk_size",
        "data.gammapy_data",
        "mask.radius",
        "mask.extension_factor",
        "mask.max_radius",
        "mask.catalogs",
        "mask.star_radius",
        "mask.star_magnitude",
        "mask.circles",
        "mask.regions",
        "mask.masks",
        "mask.search_radius",
        "mask.nside",
    ),
    "count": ("binning", "count", "export.alignment"),
    "rank": ("mask.min_kept_fraction", "rank"),
    "stack": ("mask.min_kept_fraction", "stack"),
    "smooth": ("mask.min_kept_fraction", "smooth"),
    "export": ("export",),
    "report": (),
}

# To be raised when a stage makes something else of the same settings
_REVISIONS = {
    "select": 2,
    "count": 4,
    "rank": 4,
    "stack": 3,
    "smooth": 3,
    "export": 4,
    "mask": 2,
}

_PARENTS = {
    "select": (),
    "mask": ("select",),
    "count": ("mask",),
    "rank": ("count",),
    "stack": ("count",),
    "smooth": ("stack",),
    "export": ("smooth",),
    "report": ("export",),
}

# Keys that only one strategy or method looks at.
_ONLY_FOR = {
    "stack.zenith_edges": ("stack.strategy", "groups"),
    "stack.azimuth_edges": ("stack.strategy", "groups"),
    "stack.min_hours": ("stack.strategy", "groups"),
    "stack.min_counts": ("stack.strategy", "groups"),
    "smooth.sigma": ("smooth.method", "gaussian"),
    "smooth.terms": ("smooth.method", "regression"),
    "smooth.energy_splines": ("smooth.method", "regression"),
    "smooth.offset_splines": ("smooth.method", "regression"),
    "smooth.penalty": ("smooth.method", "regression"),
    "smooth.term_penalty": ("smooth.method", "regression"),
    "smooth.ridge": ("smooth.method", "regression"),
    "smooth.choose_penalties": ("smooth.method", "regression"),
    "smooth.max_points": ("smooth.method", "regression"),
}


def stage_fingerprint(settings: Any, stage: str) -> str:
    """Hash exactly the settings that a stage and its ancestors look at.

    The revisions of their code are hashed as well, so that products of an earlier
    version of bkgpipe are not taken for those of this one. Files of excluded regions
    and masks count by their content, not by their name.

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
    ancestors = sorted(_ancestors(settings, stage))
    revisions = [_REVISIONS.get(ancestor, 1) for ancestor in ancestors]
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
        Value of each ``section.key``.
    """
    values: dict[str, Any] = {}
    for ancestor in sorted(_ancestors(settings, stage)):
        for name in _OWN_KEYS[ancestor]:
            values.update(_values(settings, name))
    return {
        name: value
        for name, value in sorted(values.items())
        if _is_used(settings, name)
    }


def _ancestors(settings: Any, stage: str) -> set[str]:
    parents = set(_PARENTS[stage])
    if stage == "stack" and settings.stack.strategy == "ranked":
        parents.add("rank")
    if stage == "smooth" and settings.smooth.method == "regression":
        parents = {"count"}
    return {stage}.union(*(_ancestors(settings, parent) for parent in parents))


def _values(settings: Any, name: str) -> dict[str, Any]:
    section, _, key = name.partition(".")
    keys = [key] if key else list(asdict(getattr(settings, section)))
    return {
        f"{section}.{key}": getattr(getattr(settings, section), key) for key in keys
    }


def _is_used(settings: Any, name: str) -> bool:
    if name == "data.gammapy_data":
        return any(isinstance(word, str) for word in settings.mask.catalogs)
    if name.startswith("mask.star_"):
        return "stars" in settings.mask.catalogs
    if name not in _ONLY_FOR:
        return True
    section_key, word = _ONLY_FOR[name]
    section, _, key = section_key.partition(".")
    return bool(getattr(getattr(settings, section), key) == word)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return _content(value) if value.is_file() else str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"settings of type {type(value).__name__} have no fingerprint")


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
