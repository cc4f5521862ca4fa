"""Settings with the regions that were found in the maps of the sky."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from bkgpipe._version import __version__
from bkgpipe.core.product import ProductHeader
from bkgpipe.product.ecsv import read_table_header
from bkgpipe.product.whole_file import write_file
from bkgpipe.settings import Settings, read_settings
from bkgpipe.settings.kinds import Circle
from bkgpipe.stages.sky.found import FoundRegion
from bkgpipe.stages.sky.found_files import read_found, write_found

__all__ = [
    "exclude_found",
    "found_file",
    "keep_found",
    "known_found",
    "read_with_found",
]


def read_with_found(config: Path, overrides: Iterable[str] = ()) -> Settings:
    """Read settings, and exclude what was found with them.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : iterable of str
        Each ``section.key=value``.

    Returns
    -------
    Settings
        Settings with ``[mask] find`` done: the regions that were found so far are among
        the discs, and nothing is left to find.

    Raises
    ------
    SettingsError
        If the file cannot be used.
    DamagedFileError
        If the table of found regions is not what was written.
    """
    settings = read_settings(config, overrides)
    return exclude_found(settings, known_found(settings)[0])


def exclude_found(settings: Settings, regions: Sequence[FoundRegion]) -> Settings:
    """Put regions that were found among the excluded discs.

    Parameters
    ----------
    settings : Settings
        Settings.
    regions : sequence of FoundRegion
        What was found.

    Returns
    -------
    Settings
        The same as if the user had written these discs.
    """
    if not settings.mask.find:
        return settings
    circles = [
        Circle(name=region.name, ra=region.ra, dec=region.dec, radius=region.radius)
        for region in regions
    ]
    mask = replace(
        settings.mask, find=False, circles=(*settings.mask.circles, *circles)
    )
    return replace(settings, mask=mask)


def found_file(settings: Settings) -> Path:
    """Return where the regions are kept that were found with some settings.

    Parameters
    ----------
    settings : Settings
        Settings.

    Returns
    -------
    Path
        ECSV file; it need not exist.
    """
    fingerprint = exclude_found(settings, ()).fingerprint("sky")
    return settings.data.output / "found" / f"found-{fingerprint}.ecsv"


def known_found(settings: Settings) -> tuple[tuple[FoundRegion, ...], str]:
    """Read which regions were found so far.

    Parameters
    ----------
    settings : Settings
        Settings.

    Returns
    -------
    tuple
        Regions, and the digest of the runs among which nothing more was found; empty
        when the search has not ended.

    Raises
    ------
    DamagedFileError
        If the table is not what was written.
    """
    path = found_file(settings)
    if not settings.mask.find or not path.exists():
        return (), ""
    return read_found(path), read_table_header(path).inputs


def keep_found(
    settings: Settings, regions: Sequence[FoundRegion], *, inputs: str
) -> None:
    """Write which regions were found so far.

    Parameters
    ----------
    settings : Settings
        Settings.
    regions : sequence of FoundRegion
        Regions.
    inputs : str
        Digest of the runs among which nothing more was found; empty when the search
        goes on.

    Raises
    ------
    OutputError
        If the table cannot be written.
    """
    header = ProductHeader(
        stage="sky",
        fingerprint=exclude_found(settings, ()).fingerprint("sky"),
        inputs=inputs,
        seconds=0.0,
        version=__version__,
    )
    write = partial(write_found, header=header, regions=regions)
    write_file(found_file(settings), write)
