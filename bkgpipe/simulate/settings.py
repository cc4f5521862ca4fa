"""The settings of `bkgpipe simulate`, in a file of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bkgpipe.settings.parse import Grammar, parse_sections, read_texts, refuse
from bkgpipe.settings.write import section_page, section_template
from bkgpipe.simulate.archive.settings import (
    SOURCE_PREFIX,
    SimulationSettings,
    SourceSettings,
    TruthSettings,
    layout_texts,
)
from bkgpipe.simulate.mixing.settings import (
    COMPONENT_PREFIX,
    ComponentSettings,
    MixingSettings,
)
from bkgpipe.simulate.overlay.settings import OverlaySettings
from bkgpipe.store.store_folder import store_folder

__all__ = [
    "SimulateSettings",
    "read_simulate_settings",
    "simulate_page",
    "simulate_template",
]

_SECTIONS: dict[str, type] = {
    "simulation": SimulationSettings,
    "truth": TruthSettings,
    "mixing": MixingSettings,
    "overlay": OverlaySettings,
}
_FAMILIES: dict[str, type] = {
    SOURCE_PREFIX: SourceSettings,
    COMPONENT_PREFIX: ComponentSettings,
}
_GRAMMAR = Grammar(sections=_SECTIONS, families=_FAMILIES)
_NO_FILE = "Name it with --config; bkgpipe simulate settings prints one to start from"


@dataclass(frozen=True, kw_only=True)
class SimulateSettings:
    """All settings of `bkgpipe simulate`.

    Attributes
    ----------
    simulation : SimulationSettings
        Runs of `simulate store`.
    truth : TruthSettings
        True background of these runs.
    sources : mapping of str to SourceSettings
        Each section ``[source:NAME]``, by its name.
    mixing : MixingSettings
        What `simulate mixing` does.
    components : mapping of str to ComponentSettings
        Each section ``[component:NAME]``, by its name.
    overlay : OverlaySettings
        What `simulate overlay` does.
    """

    simulation: SimulationSettings
    truth: TruthSettings
    mixing: MixingSettings
    overlay: OverlaySettings
    sources: Mapping[str, SourceSettings] = field(default_factory=dict)
    components: Mapping[str, ComponentSettings] = field(default_factory=dict)


def read_simulate_settings(
    path: Path | None, overrides: Iterable[str] = ()
) -> SimulateSettings:
    """Read the settings of `bkgpipe simulate`, then apply overrides.

    Parameters
    ----------
    path : Path or None
        Settings file; relative paths in it start at its folder. None takes defaults.
    overrides : iterable of str
        Each ``section.key=value``; relative paths in them start at the working folder.

    Returns
    -------
    SimulateSettings
        Checked settings.

    Raises
    ------
    SettingsError
        If the file cannot be read, or with all problems found in it at once.
    """
    problems: list[str] = []
    given = tuple(overrides)
    texts = {} if path is None else read_texts(path, fix=_NO_FILE)
    values = parse_sections(
        layout_texts(texts, given),
        given,
        grammar=_GRAMMAR,
        folder=Path.cwd() if path is None else path.absolute().parent,
        problems=problems,
    )
    refuse(
        problems,
        where="--set" if path is None else str(path),
        fix="Correct them; bkgpipe simulate settings prints all keys",
    )
    made: dict[str, Any] = {
        name: _with_folders(section(**values[name]))
        for name, section in _SECTIONS.items()
    }
    return SimulateSettings(
        **made,
        sources=_members(values, SOURCE_PREFIX),
        components=_members(values, COMPONENT_PREFIX),
    )


def _with_folders(section: Any) -> Any:
    """Let the stores of a section know which other folders they may lead into."""
    if not isinstance(section, MixingSettings | OverlaySettings):
        return section
    stores: dict[str, Any] = {
        name: store_folder(path, allow=section.allow)
        for name in ("store", "off_store")
        if (path := getattr(section, name, None)) is not None
    }
    return replace(section, **stores)


def simulate_template() -> str:
    """Write a commented settings file with every key of `bkgpipe simulate`.

    Returns
    -------
    str
        Text of the file; each key stands as a comment with its default.
    """
    lines = [
        "# Settings of bkgpipe simulate. A key that is commented out has the value",
        "# shown, which is the default.",
        "",
    ]
    for name, section in _SECTIONS.items():
        lines += section_template(name, section, {})
    for prefix, section in _FAMILIES.items():
        lines += section_template(f"{prefix}NAME", section, {}, is_asked=False)
    return "\n".join(lines)


def simulate_page() -> str:
    """Write the reference page of all keys of `bkgpipe simulate`.

    Returns
    -------
    str
        Markdown.
    """
    lines = [
        "# Settings of `simulate`",
        "",
        "Keys of the file that `bkgpipe simulate` reads with `--config`. This page is",
        "made from the code. As in [Settings](settings.md) an unknown key is an error,",
        "relative paths start at the folder of the file, and `--set section.key=value`",
        "replaces a value for one command.",
    ]
    families = {f"{prefix}NAME": section for prefix, section in _FAMILIES.items()}
    for name, section in (_SECTIONS | families).items():
        lines += section_page(name, section)
    return "\n".join([*lines, ""])


def _members(values: Mapping[str, dict[str, Any]], prefix: str) -> dict[str, Any]:
    """Make the sections of a family, by the names that the user gave them."""
    return {
        name.removeprefix(prefix): _FAMILIES[prefix](**keys)
        for name, keys in values.items()
        if name.startswith(prefix)
    }
