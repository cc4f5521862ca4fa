"""The regions that no model may see."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from bkgpipe.settings import Settings
from bkgpipe.settings.run_sections import MaskSettings
from bkgpipe.stages.mask.catalogs import read_catalog
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.mask.images import read_mask_file
from bkgpipe.stages.mask.pixels import size_regions
from bkgpipe.stages.mask.regions import read_regions

__all__ = ["read_exclusion_regions"]


def read_exclusion_regions(settings: Settings) -> tuple[ExclusionRegion, ...]:
    """Gather the excluded regions that the settings name, once in a process.

    Parameters
    ----------
    settings : Settings
        Settings.

    Returns
    -------
    tuple of ExclusionRegion
        Regions of catalogues, files and settings, all with a radius.

    Raises
    ------
    InputError
        If a catalogue, region or mask file cannot be used.
    """
    # the fingerprint changes with the content of the files that are named
    content = settings.fingerprint("mask")
    return _read_regions(settings.mask, settings.data.gammapy_data, content)


@lru_cache(maxsize=2)
def _read_regions(
    mask: MaskSettings, gammapy_data: Path | None, _content: str
) -> tuple[ExclusionRegion, ...]:
    found: list[ExclusionRegion] = []
    for name in mask.catalogs:
        found += read_catalog(
            str(name),
            gammapy_data=gammapy_data,
            star_radius=mask.star_radius,
            star_magnitude=mask.star_magnitude,
        )
    for path in mask.regions:
        found += read_regions(path, nside=mask.nside)
    found += [read_mask_file(path, nside=mask.nside) for path in mask.masks]
    for circle in mask.circles:
        found.append(
            ExclusionRegion(
                name=circle.name,
                origin="luigi.cfg",
                ra=circle.ra,
                dec=circle.dec,
                radius=circle.radius,
            )
        )
    return size_regions(
        found,
        radius=mask.radius,
        extension_factor=mask.extension_factor,
        max_radius=mask.max_radius,
    )
