"""Table of the regions that were found, which every command reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bkgpipe.core.product import ProductHeader
from bkgpipe.product.ecsv import Column, read_rows, write_rows
from bkgpipe.stages.sky.found import FoundRegion

__all__ = ["read_found", "write_found"]

_FOUND: dict[str, Column] = {
    "name": Column(str, "", "name, also among the excluded regions"),
    "ra": Column(float, "deg", "centre, ICRS"),
    "dec": Column(float, "deg", "centre, ICRS"),
    "radius": Column(float, "deg", "radius that is excluded"),
    "significance": Column(float, "", "significance when it was found"),
    "search_radius": Column(float, "deg", "radius of the most significant disc"),
    "counts": Column(int, "", "events in that disc"),
    "background": Column(float, "", "events predicted in it"),
    "false_alarms": Column(float, "", "such excesses by chance in all fields"),
    "found_in": Column(int, "", "pass that found it"),
    "source": Column(str, "", "nearest source of gammacat"),
    "separation": Column(float, "deg", "distance to that source"),
}


def write_found(
    path: Path, header: ProductHeader, regions: Sequence[FoundRegion]
) -> None:
    """Write the regions that were found, as ECSV.

    Parameters
    ----------
    path : Path
        ECSV file.
    header : ProductHeader
        Origin of the product.
    regions : sequence of FoundRegion
        Regions.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    values = {name: [getattr(each, name) for each in regions] for name in _FOUND}
    write_rows(path, header, columns=_FOUND, values=values)


def read_found(path: Path) -> tuple[FoundRegion, ...]:
    """Read the regions that were found.

    Parameters
    ----------
    path : Path
        ECSV file.

    Returns
    -------
    tuple of FoundRegion
        Regions.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    return tuple(read_rows(path, _FOUND, FoundRegion))
