"""Everything that can be wrong with the inputs of a mixing, found before it begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from bkgpipe.core.run import Run
from bkgpipe.errors import BkgpipeError
from bkgpipe.simulate.archive.record import file_digest
from bkgpipe.simulate.mixing.diffuse import read_sky_models
from bkgpipe.simulate.mixing.grids import component_model, energy_range
from bkgpipe.simulate.mixing.inputs import foreign_events, own_file
from bkgpipe.simulate.mixing.rates import read_background
from bkgpipe.simulate.mixing.settings import (
    COMPONENT_PREFIX,
    COSMIC,
    OWN,
    ComponentSettings,
)
from bkgpipe.simulate.settings import SimulateSettings
from bkgpipe.store.store import read_events

__all__ = ["RunCheck", "check_run", "component_problems", "double_counting"]

# Models that a type of component can have, other than a file
_WORDS = {
    "total": {OWN},
    "hadron": {OWN},
    "electron": {COSMIC},
    "muon": set(),
    "diffuse": set(),
    "template": set(),
}
_PARTS = ("hadron", "electron", "muon")


@dataclass(frozen=True, kw_only=True)
class RunCheck:
    """What was found in one run.

    Attributes
    ----------
    run : Run
        The run.
    inputs : mapping of str to str
        Digest of each of its files.
    problems : tuple of str
        What is wrong.
    """

    run: Run
    inputs: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def component_problems(settings: SimulateSettings) -> list[str]:
    """List what is wrong with the settings and the files that they name.

    Parameters
    ----------
    settings : SimulateSettings
        Settings.

    Returns
    -------
    list of str
        A sentence for each problem.
    """
    mixing, components = settings.mixing, settings.components
    problems = []
    if mixing.store is None:
        problems.append("[mixing] store: is required")
    if not mixing.energy_min < mixing.energy_max:
        problems.append("[mixing] energy_min: is not below energy_max")
    if not components:
        problems.append(f"[{COMPONENT_PREFIX}NAME]: there is none, so nothing to draw")
    for name, component in components.items():
        found = [*_key_problems(component), *_file_problems(component)]
        problems += [f"[{COMPONENT_PREFIX}{name}] {problem}" for problem in found]
    return [*problems, *double_counting(components)]


def double_counting(components: Mapping[str, ComponentSettings]) -> list[str]:
    """List components that hold the same events.

    Parameters
    ----------
    components : mapping of str to ComponentSettings
        The components by name.

    Returns
    -------
    list of str
        A sentence for each pair of them.
    """
    return [
        f"[{COMPONENT_PREFIX}{one}] and [{COMPONENT_PREFIX}{other}]: {reason}"
        for (one, first), (other, second) in combinations(components.items(), 2)
        if (reason := _shared(first, second))
    ]


def _shared(first: ComponentSettings, second: ComponentSettings) -> str:
    types = {first.type, second.type}
    if types == {"total"}:
        return "two totals count the background twice"
    if "total" in types and types & set(_PARTS):
        part = next(word for word in _PARTS if word in types)
        return f"a total holds {part} events already"
    if len(types) == 1 and first.source == second.source:
        return "they draw the same model twice; use scale"
    return ""


def _key_problems(component: ComponentSettings) -> Iterator[str]:
    source, kind = component.source, component.type
    if not (np.isnan(component.rate) or np.isnan(component.scale)):
        yield "rate, scale: only one of them can be given"
    if source is None:
        yield f"model: type = {kind} needs a file"
    elif isinstance(source, str) and source not in _WORDS[kind]:
        yield f"model: {source} is no model of type = {kind}"


def _file_problems(component: ComponentSettings) -> Iterator[str]:
    if not isinstance(component.source, Path):
        return
    try:
        if component.type == "diffuse":
            read_sky_models(component.source)
        else:
            read_background(component.source)
    except BkgpipeError as error:
        yield f"model: {error.where}: {error.what}"


def check_run(run: Run, *, settings: SimulateSettings) -> RunCheck:
    """Read all inputs of a run, and draw nothing.

    Parameters
    ----------
    run : Run
        The run.
    settings : SimulateSettings
        Settings without problems.

    Returns
    -------
    RunCheck
        Digests of its files, and what is wrong with them.
    """
    store = settings.mixing.store or Path()
    inputs: dict[str, str] = {}
    problems = []
    try:
        events, inputs[run.events_file] = read_events(store, run)
        if not events.ontime > 0:
            problems.append(f"run {run.obs_id}: its good time intervals are empty")
        reason = foreign_events(store, run) if settings.mixing.keep_events else ""
        if reason:
            problems.append(f"run {run.obs_id}: keep_events, but {reason}")
    except BkgpipeError as error:
        problems.append(f"{error.where}: {error.what}")
    for name, component in settings.components.items():
        try:
            inputs |= _component_inputs(run, store, component)
            model = component_model(component, store, run)
            low, high = energy_range(settings.mixing, run, model)
            if not low < high:
                problems.append(
                    f"run {run.obs_id}, component {name}: no energy is left, from "
                    f"{low:.4g} to {high:.4g} TeV"
                )
        except BkgpipeError as error:
            problems.append(f"component {name}, {error.where}: {error.what}")
    # all components share a safe energy that is not known
    return RunCheck(run=run, inputs=inputs, problems=tuple(dict.fromkeys(problems)))


def _component_inputs(
    run: Run, store: Path, component: ComponentSettings
) -> dict[str, str]:
    """Digest of the file that only this run uses."""
    file = own_file(store, run) if component.source == OWN else ""
    return {file: file_digest(store / file)} if file else {}
