"""Source catalogues as regions to exclude."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.units import UnitsWarning

from bkgpipe.core.regular import require_regular
from bkgpipe.errors import InputError
from bkgpipe.stages.mask.catalog_files import CATALOG_FILES, find_catalog
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.store.index import find_column, words
from bkgpipe.store.units import to_unit
from bkgpipe.text import decode_text

__all__ = ["read_catalog"]

_POSITIONS = (
    ("RA", "DEC", "icrs"),
    ("RAJ2000", "DEJ2000", "icrs"),
    ("RAJ2000", "DECJ2000", "icrs"),
    ("_RAJ2000", "_DEJ2000", "icrs"),
    ("RA_J2000", "DEC_J2000", "icrs"),
    ("GLON", "GLAT", "galactic"),
)
# the first of these groups that a catalogue has is its extension, the largest counts
_EXTENSIONS = (
    ("MORPH_SIGMA", "MORPH_SIGMA2"),  # gammacat
    ("SPEC0_RADIUS", "SEARCH_RADIUS"),  # 3HWC: the disc assumed, zero for a point
    ("SIZE",),  # HGPS
    ("EXTENSION",),
    ("SIGMA",),
    ("RADIUS",),
)
_NAMES = ("COMMON_NAME", "SOURCE_NAME", "NAME", "SOURCE", "ID")


def read_catalog(
    name_or_path: str,
    *,
    gammapy_data: Path | None,
    star_radius: float = 0.35,
    star_magnitude: float = 8.0,
) -> tuple[ExclusionRegion, ...]:
    """Read the sources of a catalogue, or the bright stars.

    Parameters
    ----------
    name_or_path : str
        ``gammacat``, ``3hwc``, ``hgps`` or ``stars`` (Hipparcos) in either case, or a
        FITS or ECSV table with columns ra and dec (or glon and glat) and, if known,
        name and extension.
    gammapy_data : Path or None
        Folder with ``catalogs/`` and ``veritas/``; only asked for by the four names.
    star_radius : float
        Radius around a star [deg].
    star_magnitude : float
        Only stars brighter than this are taken; the table ends at 8 [mag].

    Returns
    -------
    tuple of ExclusionRegion
        Sources with a position; their radius is NaN, for `size_regions` to decide,
        but for stars.

    Raises
    ------
    SettingsError
        If a catalogue is named and `gammapy_data` is None.
    InputError
        If the table is missing, unreadable, or has no position.
    """
    path = find_catalog(name_or_path, gammapy_data=gammapy_data)
    if name_or_path.lower() == "stars":
        return _read_stars(path, radius=star_radius, magnitude=star_magnitude)
    table = _read_table(path)
    ra, dec = _positions(table, path)
    extension = _extensions(table, path)
    names = words(find_column(table, *_NAMES), len(table))
    return tuple(
        ExclusionRegion(
            name=names[row] or f"row {row + 1}",
            origin=name_or_path,
            ra=float(ra[row]),
            dec=float(dec[row]),
            radius=float("nan"),
            extension=float(extension[row]),
        )
        for row in np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    )


def _read_stars(
    path: Path, *, radius: float, magnitude: float
) -> tuple[ExclusionRegion, ...]:
    try:
        # The last column, the colour, is blank for some stars
        rows = np.loadtxt(path, usecols=range(4), ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError(
            what=f"the table of stars cannot be read ({error})",
            where=str(path),
            fix="Restore the file, or leave stars out of [mask] catalogs",
        ) from error
    return tuple(
        ExclusionRegion(
            name=f"HIP {number:.0f}",
            origin="stars",
            ra=ra,
            dec=dec,
            radius=radius,
        )
        for ra, dec, number, brightness in rows.tolist()
        if brightness < magnitude
    )


def _read_table(path: Path) -> Table:
    try:
        require_regular(path)
        if path.suffix.lower() == ".ecsv":
            lines = decode_text(path.read_bytes()).splitlines()
            return Table.read(lines, format="ascii.ecsv")
        with warnings.catch_warnings():
            # fluxes have units of all kinds, and are not needed
            warnings.simplefilter("ignore", UnitsWarning)
            return Table.read(path, format="fits", hdu=1)
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise InputError(
            what=f"the catalogue cannot be read ({error})",
            where=str(path),
            fix=f"Name {', '.join(CATALOG_FILES)} or a FITS or ECSV table in "
            "[mask] catalogs",
        ) from error


def _numbers(table: Table, name: str, path: Path) -> np.ndarray | None:
    column = find_column(table, name)
    if column is None:
        return None
    where = f"{path}, column {column.name}"
    return to_unit(column, str(column.unit or ""), "deg", where=where)


def _positions(table: Table, path: Path) -> tuple[np.ndarray, np.ndarray]:
    for lon_name, lat_name, frame in _POSITIONS:
        lon, lat = _numbers(table, lon_name, path), _numbers(table, lat_name, path)
        if lon is not None and lat is not None:
            place = SkyCoord(lon * u.deg, lat * u.deg, frame=frame).icrs
            return place.ra.deg, place.dec.deg
    raise InputError(
        what=f"has no position among its columns {', '.join(table.colnames)}",
        where=str(path),
        fix="Name the columns ra and dec, or glon and glat",
    )


def _extensions(table: Table, path: Path) -> np.ndarray:
    """Extension of each source, zero where there is none [deg]."""
    for names in _EXTENSIONS:
        found = [_numbers(table, name, path) for name in names]
        columns = [np.nan_to_num(column) for column in found if column is not None]
        if columns:
            largest: np.ndarray = np.max(columns, axis=0)
            return largest
    return np.zeros(len(table))
