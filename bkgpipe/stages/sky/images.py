"""Images of fields, and the map of the archive."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import astropy.units as u
import healpy as hp
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from gammapy.maps import MapAxis, WcsGeom, WcsNDMap

from bkgpipe.errors import InputError
from bkgpipe.stages.sky.data import FieldMaps, SkySum
from bkgpipe.store.fits_file import write_hdus

__all__ = ["read_field", "write_archive", "write_cut", "write_field"]

_UNREADABLE = (OSError, ValueError, TypeError, KeyError, IndexError)


def write_field(path: Path, maps: FieldMaps) -> None:
    """Write the images of a field, for gammapy, DS9 and Aladin.

    Parameters
    ----------
    path : Path
        FITS file: COUNTS, BACKGROUND, EXCESS in each energy band, MASK, and one
        SIGNIFICANCE of all energies for each radius, as ``SIGNIFICANCE_0P10``.
    maps : FieldMaps
        The images.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    axis = MapAxis.from_energy_edges(maps.band_edges * u.TeV)
    flat = WcsGeom.create(
        skydir=SkyCoord(maps.field.ra, maps.field.dec, unit="deg", frame="icrs"),
        npix=maps.is_kept.shape[::-1],
        binsz=maps.pixel,
        proj="TAN",
        frame="icrs",
    )
    cubes = {"COUNTS": maps.counts, "BACKGROUND": maps.background}
    cubes["EXCESS"] = maps.counts - maps.background
    images = {"MASK": maps.is_kept.astype(np.uint8)}
    for radius, image in zip(maps.radii, maps.significance, strict=True):
        images[f"SIGNIFICANCE_{radius:.2f}".replace(".", "P")] = image
    both = {flat.to_cube([axis]): cubes, flat: images}
    found = {
        name: WcsNDMap(geom, values.astype(_kind(values)))
        for geom, parts in both.items()
        for name, values in parts.items()
    }
    write_hdus(path, _image_hdus(found), compress=True)


def _kind(values: np.ndarray) -> type:
    return np.uint8 if values.dtype == np.uint8 else np.float32


def _image_hdus(maps: Mapping[str, WcsNDMap]) -> list[fits.hdu.base._BaseHDU]:
    hdus = [fits.PrimaryHDU()]
    for name, each in maps.items():
        hdus += each.to_hdulist(hdu=name)[1:]
    return hdus


def read_field(path: Path) -> dict[str, WcsNDMap]:
    """Read the images of a field.

    Parameters
    ----------
    path : Path
        What `write_field` wrote.

    Returns
    -------
    dict of str to WcsNDMap
        COUNTS, BACKGROUND, EXCESS, MASK and each SIGNIFICANCE.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        with fits.open(path, memmap=False) as hdus:
            names = [hdu.name for hdu in hdus if hdu.is_image and hdu.data is not None]
            maps = {name: WcsNDMap.from_hdulist(hdus, hdu=name) for name in names}
            maps["MASK"]  # of a file that is cut, astropy reads the rest
            return maps
    except _UNREADABLE as error:
        raise InputError(
            what=f"the images cannot be read ({error})",
            where=str(path),
            fix="Make them again: bkgpipe clean, then bkgpipe sky",
        ) from error


def write_cut(
    path: Path,
    maps: Mapping[str, WcsNDMap],
    *,
    place: tuple[float, float],
    width: float,
) -> None:
    """Write a part of the images of a field.

    Parameters
    ----------
    path : Path
        FITS file.
    maps : mapping of str to WcsNDMap
        What `read_field` read.
    place : tuple of float
        Centre, ICRS [deg].
    width : float
        Width and height [deg].

    Raises
    ------
    InputError
        If the place is outside of the images.
    OutputError
        If it cannot be written.
    """
    centre = SkyCoord(*place, unit="deg", frame="icrs")
    if not maps["MASK"].geom.contains(centre).all():
        raise InputError(
            what=f"ra {place[0]:g}, dec {place[1]:g} is outside of the field",
            where=str(path),
            fix="Choose a place in one of the fields that bkgpipe sky lists",
        )
    cut = {name: each.cutout(centre, width * u.deg) for name, each in maps.items()}
    write_hdus(path, _image_hdus(cut), compress=path.suffix == ".gz")


def write_archive(path: Path, total: SkySum) -> None:
    """Write the map of the whole archive, for healpy, DS9 and Aladin.

    Parameters
    ----------
    path : Path
        FITS file: a partial HEALPix map with counts and background of each energy band.
    total : SkySum
        All runs.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    columns = [fits.Column("PIXEL", "J", array=total.pixels)]
    bands = [f"{low:g}_{high:g}TEV" for low, high in pairwise(total.band_edges)]
    parts = {"COUNTS": total.counts, "BACKGROUND": total.background}
    for name, values in parts.items():
        for band, each in zip(bands, values, strict=True):
            columns.append(fits.Column(f"{name}_{band}", "E", array=each))
    table = fits.BinTableHDU.from_columns(columns, name="SKY")
    cards = {
        "PIXTYPE": "HEALPIX",
        "ORDERING": "NESTED",
        "COORDSYS": "C",
        "NSIDE": total.nside,
        "FIRSTPIX": 0,
        "LASTPIX": hp.nside2npix(total.nside) - 1,
        "INDXSCHM": "EXPLICIT",
        "OBJECT": "PARTIAL",
    }
    table.header.update(cards)
    write_hdus(path, [fits.PrimaryHDU(), table], compress=True)
