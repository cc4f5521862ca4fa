"""The chain as data: what each stage is made from, and which settings it looks at.

Fingerprints, the order of the stages, ``plan``, ``status``, the waves of a batch site
and the pictures of the chain follow from `STAGE_TABLE`. A new stage is a row; a new
method of a stage is an entry in its ``methods``, with the keys that it looks at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "STAGES",
    "STAGE_TABLE",
    "Method",
    "Stage",
    "has_stage",
    "list_chain",
    "method_names",
    "method_values",
    "stage_grain",
]


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to do what a stage does, chosen by its name in the settings.

    Attributes
    ----------
    keys : tuple of str
        Settings that this method looks at, and others do not, as ``smooth.sigma``.
    parents : tuple of str
        Stages that it is made from instead of those of the stage; empty for the same.
    grain : str
        Grain of its files instead of that of the stage; empty for the same.
    """

    keys: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    grain: str = ""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of the chain.

    Attributes
    ----------
    word : str
        Its name, also that of its folder and of its files.
    does : str
        What it does, in a few words.
    parents : tuple of str
        Stages that it is made from.
    keys : tuple of str
        Settings that it looks at: whole sections, or single keys as ``mask.radius``.
    grain : str
        What shares a file: ``once``, there is one; ``runs``, blocks of all runs that
        are read; ``targets``, blocks of the runs that get a model; ``groups``, all
        groups of runs; ``all``, one file of all runs; or the word of a parent that
        tells it.
    revision : int
        To be raised when the stage makes something else of the same settings.
    choice : str
        Key that names its method, or several, as ``smooth.method``; empty without one.
    methods : mapping of str to Method
        Methods by their names. Names that are not in it have nothing of their own.
    """

    word: str
    does: str
    parents: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    grain: str = "once"
    revision: int = 1
    choice: str = ""
    methods: Mapping[str, Method] = field(default_factory=dict)

    def chosen(self, settings: Any) -> tuple[Method, ...]:
        """Return the methods that the settings name.

        Parameters
        ----------
        settings : Settings
            All settings.

        Returns
        -------
        tuple of Method
            Usually one; empty if none of those named has anything of its own.
        """
        if not self.choice:
            return ()
        section, _, key = self.choice.partition(".")
        value = getattr(getattr(settings, section), key)
        names = (value,) if isinstance(value, str) else value
        return tuple(self.methods[name] for name in names if name in self.methods)

    def used_keys(self, settings: Any) -> tuple[str, ...]:
        """List the settings that the stage looks at, with these settings.

        Parameters
        ----------
        settings : Settings
            All settings.

        Returns
        -------
        tuple of str
            Sections and keys.
        """
        own = (key for method in self.chosen(settings) for key in method.keys)
        return (*self.keys, *([self.choice] if self.choice else ()), *own)

    def used_parents(self, settings: Any) -> tuple[str, ...]:
        """List the stages that the stage is made from, with these settings.

        Parameters
        ----------
        settings : Settings
            All settings.

        Returns
        -------
        tuple of str
            Their words.
        """
        chosen = self.chosen(settings)
        others = [method.parents for method in chosen if method.parents]
        return others[0] if others else self.parents


# In the order of the chain. Masks and counts are made of single runs, whichever are
# selected, so that every selection finds those that an earlier one has made.
STAGE_TABLE = (
    Stage(
        word="select",
        does="choose runs",
        keys=("select", "export.obs_ids"),
        revision=4,
    ),
    Stage(
        word="mask",
        does="exclusion mask of each run",
        keys=(
            "data.chunk_size",
            "mask.radius",
            "mask.extension_factor",
            "mask.max_radius",
            "mask.circles",
            "mask.regions",
            "mask.masks",
            "mask.search_radius",
            "mask.nside",
        ),
        grain="runs",
        revision=4,
        choice="mask.catalogs",
        methods={"stars": Method(keys=("mask.star_radius", "mask.star_magnitude"))},
    ),
    Stage(
        word="count",
        does="counts and exposure of each run",
        parents=("mask",),
        keys=("binning", "count", "export.alignment"),
        grain="runs",
        revision=6,
    ),
    Stage(
        word="rank",
        does="order runs by divergence",
        parents=("select", "count"),
        keys=("mask.min_kept_fraction", "rank"),
        grain="targets",
        revision=5,
    ),
    Stage(
        word="stack",
        does="add runs up",
        parents=("select", "count"),
        keys=("mask.min_kept_fraction", "stack.method"),
        grain="targets",
        revision=5,
        choice="stack.strategy",
        methods={
            "groups": Method(
                keys=(
                    "stack.zenith_edges",
                    "stack.azimuth_edges",
                    "stack.min_hours",
                    "stack.min_counts",
                ),
                grain="groups",
            ),
            "ranked": Method(parents=("rank",)),
            "own": Method(),
        },
    ),
    Stage(
        word="fit",
        does="one regression of all runs",
        parents=("select", "count"),
        keys=("mask.min_kept_fraction", "fit"),
        grain="all",
    ),
    Stage(
        word="smooth",
        does="from sums or a fit to rates",
        parents=("stack",),
        keys=("mask.min_kept_fraction",),
        grain="stack",
        revision=6,
        choice="smooth.method",
        methods={
            "none": Method(),
            "gaussian": Method(keys=("smooth.sigma",)),
            "regression": Method(parents=("count", "fit"), grain="targets"),
        },
    ),
    Stage(
        word="export",
        does="GADF models and the store",
        parents=("smooth",),
        keys=("export",),
        grain="targets",
        revision=8,
    ),
    # only made when asked for: no model is made from it
    Stage(
        word="sky",
        does="maps and hot spots",
        parents=("export",),
        keys=("sky",),
        grain="targets",
    ),
    Stage(word="report", does="pages and figures", parents=("export",)),
)

# Their words, in the order of the chain
STAGES = tuple(stage.word for stage in STAGE_TABLE)

_BY_WORD = {stage.word: stage for stage in STAGE_TABLE}


def list_chain(settings: Any, last: str = "report") -> tuple[Stage, ...]:
    """List what a stage is made from, with the stage itself.

    Parameters
    ----------
    settings : Settings
        All settings.
    last : str
        Word of the stage.

    Returns
    -------
    tuple of Stage
        In the order of the chain.
    """
    words, waiting = set(), [last]
    while waiting:
        words.add(waiting.pop())
        waiting += {
            parent for word in words for parent in _BY_WORD[word].used_parents(settings)
        } - words
    return tuple(stage for stage in STAGE_TABLE if stage.word in words)


def has_stage(settings: Any, word: str) -> bool:
    """Tell whether a stage is needed for the models.

    Parameters
    ----------
    settings : Settings
        All settings.
    word : str
        Its word, as ``rank``.

    Returns
    -------
    bool
        False when no method that the settings name is made from it.
    """
    return word in {stage.word for stage in list_chain(settings)}


def stage_grain(settings: Any, word: str) -> str:
    """Tell what shares a file of a stage.

    Parameters
    ----------
    settings : Settings
        All settings.
    word : str
        Its word.

    Returns
    -------
    str
        ``once``, ``runs``, ``targets``, ``groups`` or ``all``.
    """
    stage = _BY_WORD[word]
    grains = [method.grain for method in stage.chosen(settings) if method.grain]
    grain = grains[0] if grains else stage.grain
    return stage_grain(settings, grain) if grain in _BY_WORD else grain


def method_names(word: str) -> tuple[str, ...]:
    """List the methods of a stage.

    Parameters
    ----------
    word : str
        Word of the stage.

    Returns
    -------
    tuple of str
        Their names.
    """
    return tuple(_BY_WORD[word].methods)


def method_values(settings: Any, word: str) -> dict[str, Any]:
    """Return what the chosen method of a stage looks at, and nothing else.

    A method that is given these as arguments cannot look at a key that is missing in
    the table, and so not in the fingerprint.

    Parameters
    ----------
    settings : Settings
        All settings.
    word : str
        Word of the stage.

    Returns
    -------
    dict of str to object
        Values by the names of their keys, without the section.
    """
    keys = (key for method in _BY_WORD[word].chosen(settings) for key in method.keys)
    parts = (key.partition(".") for key in keys)
    return {key: getattr(getattr(settings, section), key) for section, _, key in parts}
