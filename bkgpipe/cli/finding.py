"""Find sources in the maps of the sky, pass by pass, and exclude them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import click

from bkgpipe.chain.found import exclude_found, found_file, keep_found, known_found
from bkgpipe.chain.kept import register
from bkgpipe.cli.run import run_production
from bkgpipe.errors import BkgpipeError, NoRunsError
from bkgpipe.flow.sky import MakeSky
from bkgpipe.settings import Settings
from bkgpipe.stages.mask.catalogs import read_catalog
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.sky.files import read_hot_spots, read_reaches
from bkgpipe.stages.sky.found import FoundRegion, join_found
from bkgpipe.stages.sky.summary import nearest_region

__all__ = ["find_sources"]

_log = logging.getLogger(__name__)


def find_sources(settings: Settings, *, site: str | None = None) -> Settings:
    """Make models and maps until nothing more is found, and exclude what was.

    Parameters
    ----------
    settings : Settings
        Settings; those that do not ask for it are returned as they are.
    site : str or None
        Batch site that makes the chunks.

    Returns
    -------
    Settings
        Settings with all that was found among the excluded discs.

    Raises
    ------
    NoRunsError
        If the models or maps of a pass could not be made.
    """
    if not settings.mask.find:
        return settings
    regions, inputs = known_found(settings)
    current = exclude_found(settings, regions)
    if inputs and inputs == _digest(current):
        return current
    for number in range(1, settings.mask.find_passes + 1):
        again = _look(current, regions, number=number, site=site)
        if again == regions:
            keep_found(settings, regions, inputs=_digest(current))
            _tell_end(settings, regions, n_passes=number)
            return current
        _tell_pass(regions, again, number=number)
        regions = again
        keep_found(settings, regions, inputs="")
        current = exclude_found(settings, regions)
    click.echo(
        f"Warning: more was found in each of {settings.mask.find_passes} passes: look "
        "at bkgpipe sky, and raise [mask] find_passes if these are sources",
        err=True,
    )
    keep_found(settings, regions, inputs=_digest(current))
    return current


def _digest(settings: Settings) -> str:
    """Digest of what the maps are made from, to be found again without them."""
    try:
        return MakeSky(config=register(settings)).inputs()
    except BkgpipeError as error:  # before anything is selected
        _log.debug("Nothing is known of the runs yet: %s", error)
        return ""


def _look(
    settings: Settings,
    regions: tuple[FoundRegion, ...],
    *,
    number: int,
    site: str | None,
) -> tuple[FoundRegion, ...]:
    """Make the maps of a pass, and join what is found there."""
    is_done = site is None or run_production(settings, stage="export", site=site)[0]
    if not is_done or not run_production(settings, stage="sky")[0]:
        raise NoRunsError(
            what="its models or maps could not be made",
            where=f"[mask] find, pass {number}",
            fix="Read the messages above, then run again",
        )
    folder = settings.folder("sky")
    joined = join_found(
        regions,
        spots=read_hot_spots(folder / "hot_spots.ecsv"),
        reaches=read_reaches(folder / "circles.ecsv"),
        number=number,
    )
    n_known, known = len(regions), _known_sources(settings)
    new = (_named(each, known) for each in joined[n_known:])
    return (*joined[:n_known], *new)


def _known_sources(settings: Settings) -> tuple[ExclusionRegion, ...]:
    try:
        return read_catalog("gammacat", gammapy_data=settings.data.gammapy_data)
    except BkgpipeError as error:
        _log.debug("What is found gets no names: %s", error)
        return ()


def _named(region: FoundRegion, known: Sequence[ExclusionRegion]) -> FoundRegion:
    source, separation = nearest_region(region.ra, region.dec, known)
    return replace(region, source=source, separation=separation)


def _tell_pass(
    before: Sequence[FoundRegion], after: Sequence[FoundRegion], *, number: int
) -> None:
    n_new = len(after) - len(before)
    n_grown = sum(old != new for old, new in zip(before, after, strict=False))
    click.echo(
        f"Pass {number}: {n_new} regions found, {n_grown} larger than before", err=True
    )


def _tell_end(
    settings: Settings, regions: Sequence[FoundRegion], *, n_passes: int
) -> None:
    click.echo(
        f"Pass {n_passes}: nothing more. Excluded, by {found_file(settings)}:", err=True
    )
    for region in regions:
        near = f", {region.separation:.2f} deg from {region.source}"
        click.echo(
            f"  {region.name}: {region.ra:.3f} {region.dec:+.3f}, radius "
            f"{region.radius:.2f} deg, {region.significance:.1f} sigma"
            + (near if region.source else ""),
            err=True,
        )
