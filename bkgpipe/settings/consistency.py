"""Contradictions between keys that are each fine alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from bkgpipe.settings.addresses import TRANSFER_SCHEMES
from bkgpipe.settings.model_sections import SkySettings, StackSettings
from bkgpipe.settings.run_sections import BinningSettings, MaskSettings
from bkgpipe.settings.settings import Settings
from bkgpipe.settings.site_sections import SITE_PREFIX, SiteSettings
from bkgpipe.stages.table import has_stage

__all__ = ["find_contradictions"]

_MAX_RADIUS = 5.0  # of discs on the sky [deg]


def find_contradictions(settings: Settings) -> list[str]:
    """List what does not fit together.

    Parameters
    ----------
    settings : Settings
        Settings whose keys were each checked alone.

    Returns
    -------
    list of str
        One sentence for each problem.
    """
    problems = []
    if settings.data.store is None:
        problems.append("[data] store is missing: name the folder of the data store")
    if settings.count.control_offset < settings.binning.offset_max:
        problems.append("[count] control_offset is below [binning] offset_max")
    problems += _binning_problems(settings.binning)
    problems += _mask_problems(settings.mask, has_data=bool(settings.data.gammapy_data))
    problems += _stack_problems(settings.stack)
    problems += _method_problems(settings)
    problems += _sky_problems(settings.sky)
    if settings.run.scheduler_host and settings.run.scheduler_url:
        problems.append(
            "[run] scheduler_host and scheduler_url name two schedulers: keep one"
        )
    problems += [
        f"[{SITE_PREFIX}{name}] {problem}"
        for name, site in settings.sites.items()
        for problem in _transfer_problems(site)
    ]
    return problems


def _transfer_problems(site: SiteSettings) -> list[str]:
    scheme, is_address, _ = site.transfer.partition("://")
    has_commands = bool(site.stage_in and site.stage_out)
    problems = []
    if site.transfer == "files" and site.engine == "slurm":
        problems.append(
            "transfer = files, but Slurm copies no files: set transfer = none, or the "
            "address of a folder"
        )
    if site.engine == "arc" and site.transfer == "none":
        problems.append(
            "engine = arc, whose jobs share no folders: set transfer = files, or the "
            "address of a folder"
        )
    if (site.engine == "arc") != bool(site.endpoint):
        problems.append("endpoint names the computing element of engine = arc alone")
    if not has_commands and (site.stage_in or site.stage_out):
        problems.append("stage_in and stage_out go together: give both or none")
    if has_commands and not is_address:
        problems.append(
            "stage_in and stage_out copy to and from an address: set transfer to that"
        )
    if is_address and not has_commands and scheme not in TRANSFER_SCHEMES:
        problems.append(
            f"transfer: {scheme}:// is none of {', '.join(TRANSFER_SCHEMES)}: "
            "give commands for it, stage_in and stage_out"
        )
    return problems


def _method_problems(settings: Settings) -> list[str]:
    problems = []
    is_regression = has_stage(settings, "fit")
    if is_regression and settings.stack.strategy != "groups":
        problems.append(
            f"[stack] strategy = {settings.stack.strategy} says which runs to add up, "
            "but [smooth] method = regression fits all runs at once: "
            "set method = gaussian or none"
        )
    if is_regression and settings.stack.method != "sum":
        problems.append(
            f"[stack] method = {settings.stack.method} says how to add runs up, "
            "but [smooth] method = regression fits all runs at once: "
            "set [smooth] method = gaussian or none, or [stack] method = sum"
        )
    if settings.stack.method == "michi" and settings.count.exposure == "events":
        problems.append(
            "[stack] method = michi takes no kept solid angle into account, "
            "but [count] exposure = events asks for one: set exposure = geometry"
        )
    return problems


def _binning_problems(binning: BinningSettings) -> list[str]:
    edges = binning.energy_edges
    if edges and not _increase(edges):
        return ["[binning] energy_edges must increase and have at least three values"]
    if not edges and binning.energy_min >= binning.energy_max:
        return ["[binning] energy_min must be below energy_max"]
    n_energy = binning.energy_edges_tev.size - 1
    problems = []
    if n_energy < 2:
        problems.append("[binning] asks for fewer than two energy bins")
    # Readers tell the axes of a model apart by their lengths.
    problems += [
        f"[binning] {name} and the number of energy bins are both {n_energy}: "
        "readers could not tell the axes apart; change one of them"
        for name in ("fov_bins", "offset_bins")
        if getattr(binning, name) == n_energy
    ]
    return problems


def _mask_problems(mask: MaskSettings, *, has_data: bool) -> list[str]:
    problems = []
    if mask.nside & (mask.nside - 1):
        problems.append(f"[mask] nside must be a power of two, found {mask.nside}")
    if mask.max_radius < mask.radius:
        problems.append("[mask] max_radius is below radius")
    named = [word for word in mask.catalogs if isinstance(word, str)]
    if named and not has_data:
        problems.append(
            f"[mask] catalogs names {', '.join(named)}: set GAMMAPY_DATA or "
            "[data] gammapy_data to the folder that holds catalogs/, "
            "or leave catalogs empty"
        )
    files = {
        "catalogs": [word for word in mask.catalogs if isinstance(word, Path)],
        "regions": mask.regions,
        "masks": mask.masks,
    }
    problems += [
        f"[mask] {key}: no such file: {path}"
        for key, paths in files.items()
        for path in paths
        if not path.is_file()
    ]
    return problems


def _sky_problems(sky: SkySettings) -> list[str]:
    problems = []
    if sky.nside & (sky.nside - 1):
        problems.append(f"[sky] nside must be a power of two, found {sky.nside}")
    edges = sky.energy_edges
    if edges and (len(edges) < 2 or min(edges) <= 0 or not _increase(edges)):
        problems.append(
            "[sky] energy_edges must be positive and increase, at least two values"
        )
    if not sky.radii or min(sky.radii) < sky.pixel or max(sky.radii) > _MAX_RADIUS:
        problems.append(
            f"[sky] radii must have a value, none below [sky] pixel or above "
            f"{_MAX_RADIUS:g} deg"
        )
    return problems


def _stack_problems(stack: StackSettings) -> list[str]:
    return [
        f"[stack] {name} must increase and have at least two values"
        for name in ("zenith_edges", "azimuth_edges")
        if len(getattr(stack, name)) < 2 or not _increase(getattr(stack, name))
    ]


def _increase(values: Sequence[float]) -> bool:
    return all(low < high for low, high in pairwise(values))
