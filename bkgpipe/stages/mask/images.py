"""Mask images and HEALPix masks as regions to exclude."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import healpy as hp
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning, NoConvergence
from astropy.wcs.utils import proj_plane_pixel_scales

from bkgpipe.core.regular import require_regular
from bkgpipe.errors import InputError
from bkgpipe.stages.mask.data import ExclusionRegion, distinct_pixels
from bkgpipe.store.values import read_word

__all__ = ["read_mask_file"]

# Excluded cells in ICRS, their size [deg], and the function that tells what is in them
_Cells = tuple[SkyCoord, float, Callable[[SkyCoord], np.ndarray]]

_FRAMES = {
    "icrs": ("C", "CEL", "CELESTIAL", "EQ", "EQUATORIAL", "ICRS"),
    "galactic": ("G", "GAL", "GALACTIC"),
}
_CYLINDERS = ("CAR", "CEA", "CYP", "MER")
_MAX_COARSE_NSIDE = 128
_BLOCK = 2**20  # positions converted at a time, to bound the memory of large masks


def read_mask_file(path: Path, *, nside: int) -> ExclusionRegion:
    """Read a mask of the sky: zero is excluded, all else is kept.

    Parameters
    ----------
    path : Path
        FITS file with an image of two celestial axes or with a HEALPix map in ICRS or
        galactic coordinates. Blank values, and the sky outside of it, are kept.
    nside : int
        HEALPix resolution of the mask.

    Returns
    -------
    ExclusionRegion
        Pixels that have their centre in the excluded part, or hold the centre of one of
        its cells; the disc is around all of them.

    Raises
    ------
    InputError
        If the file is no such mask, is on no known frame, or excludes nothing.
    """
    cells, size, is_excluded = _read_cells(path)
    if not cells.size:
        raise InputError(
            what="excludes nothing: no value is zero",
            where=str(path),
            fix="Write zero where the sky is excluded, or leave the file out",
        )
    own = distinct_pixels(_pixels_of(cells, nside))
    near = _near(own, size, nside)
    blocks = np.array_split(near, near.size // _BLOCK + 1)
    inside = [block[is_excluded(_places(block, nside))] for block in blocks]
    pixels = distinct_pixels(np.concatenate([own, *inside]))
    centre, radius = _bounds(pixels, nside)
    ra, dec = hp.vec2ang(centre, lonlat=True)
    return ExclusionRegion(
        name=path.name,
        origin=str(path),
        ra=float(ra[0]),
        dec=float(dec[0]),
        radius=radius,
        pixels=pixels,
    )


def _read_cells(path: Path) -> _Cells:
    try:
        require_regular(path)
        with fits.open(path, memmap=False) as hdus, warnings.catch_warnings():
            # dates that are not as the standard has them do not matter to a mask
            warnings.simplefilter("ignore", FITSFixedWarning)
            for hdu in hdus:
                if read_word(hdu.header, "PIXTYPE") == "HEALPIX":
                    return _healpix_cells(hdu, path)
                if hdu.is_image and hdu.header["NAXIS"]:
                    return _image_cells(hdu, path)
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise _refusal(path, f"the mask cannot be read ({error})") from error
    raise _refusal(path, "has no image and no HEALPix map")


def _refusal(path: Path, what: str) -> InputError:
    return InputError(
        what=what,
        where=str(path),
        fix="Name FITS images with celestial axes or HEALPix maps in [mask] masks",
    )


def _image_cells(hdu: fits.PrimaryHDU | fits.ImageHDU, path: Path) -> _Cells:
    wcs = WCS(hdu.header)
    if wcs.naxis != 2 or not wcs.has_celestial:
        axes = ", ".join(wcs.axis_type_names)
        raise _refusal(path, f"has axes '{axes}', not two celestial ones")
    excluded = np.asarray(hdu.data) == 0

    def is_excluded(places: SkyCoord) -> np.ndarray:
        try:
            x, y = wcs.world_to_pixel(places)
        except NoConvergence as error:
            raise _refusal(path, f"its distortion has no inverse ({error})") from error
        # what the projection cannot show is no number, and thus outside
        column, row = (np.nan_to_num(np.rint(place), nan=-1.0) for place in (x, y))
        n_rows, n_columns = excluded.shape
        seen = (column >= 0) & (column < n_columns) & (row >= 0) & (row < n_rows)
        found = np.zeros(places.shape, dtype=bool)
        found[seen] = excluded[row[seen].astype(int), column[seen].astype(int)]
        return found

    rows, columns = np.nonzero(excluded)
    cells = wcs.pixel_to_world(columns, rows).icrs
    on_sky = np.isfinite(cells.ra.deg) & np.isfinite(cells.dec.deg)
    # wcslib ends a cylinder half a turn from its reference, though the image goes on
    if str(wcs.wcs.ctype[0]).endswith(_CYLINDERS) and not on_sky.all():
        raise _refusal(path, "goes on more than 180 deg from its reference longitude")
    size = float(np.hypot(*proj_plane_pixel_scales(wcs)))
    return cells[on_sky], size, is_excluded


def _healpix_cells(hdu: fits.BinTableHDU, path: Path) -> _Cells:
    word = read_word(hdu.header, "COORDSYS").upper()
    frame = next((name for name, words in _FRAMES.items() if word in words), None)
    if frame is None:
        raise InputError(
            what=f"is a HEALPix map with COORDSYS {word or 'missing'}",
            where=str(path),
            fix="Write COORDSYS = C (ICRS) or G (galactic) into its header",
        )
    # RING, whatever the order in the file; pixels that a partial map lacks are not zero
    excluded = np.asarray(hp.read_map(hdu, dtype=np.float64)) == 0
    nside = hp.get_nside(excluded)

    def is_excluded(places: SkyCoord) -> np.ndarray:
        found: np.ndarray = excluded[_pixels_of(places.transform_to(frame), nside)]
        return found

    cells = _places(np.flatnonzero(excluded), nside, frame=frame).icrs
    return cells, float(np.degrees(hp.max_pixrad(nside))), is_excluded


def _places(pixels: np.ndarray, nside: int, *, frame: str = "icrs") -> SkyCoord:
    lon, lat = hp.pix2ang(nside, pixels, lonlat=True)
    return SkyCoord(lon, lat, unit="deg", frame=frame)


def _pixels_of(places: SkyCoord, nside: int) -> np.ndarray:
    place = places.spherical
    pixels = hp.ang2pix(nside, place.lon.deg, place.lat.deg, lonlat=True)
    return np.asarray(pixels, dtype=np.int64)


def _near(pixels: np.ndarray, size: float, nside: int) -> np.ndarray:
    """Pixels closer to any of the given ones than a size [deg], and some more."""
    coarse = min(nside, _MAX_COARSE_NSIDE)
    while coarse > 1 and np.degrees(hp.nside2resol(coarse)) < size:
        coarse //= 2
    parents = distinct_pixels(hp.vec2pix(coarse, *hp.pix2vec(nside, pixels), nest=True))
    around = hp.get_all_neighbours(coarse, parents, nest=True).ravel()
    parents = np.union1d(parents, around[around >= 0])
    n_children = (nside // coarse) ** 2
    children = parents[:, np.newaxis] * n_children + np.arange(n_children)
    return np.asarray(hp.nest2ring(nside, children.ravel()), dtype=np.int64)


def _bounds(pixels: np.ndarray, nside: int) -> tuple[np.ndarray, float]:
    """Centre, as a vector, and radius [deg] of a disc that holds pixels."""
    vectors = np.array(hp.pix2vec(nside, pixels))
    mean = vectors.mean(axis=1)
    # parts that balance each other, as a belt around the sky, have no middle
    length = np.linalg.norm(mean)
    centre = mean / length if length > 1e-6 else np.array([0.0, 0.0, 1.0])
    chord = np.linalg.norm(vectors - centre[:, np.newaxis], axis=0).max()
    radius = np.degrees(2 * np.arcsin(min(chord / 2, 1.0)) + hp.max_pixrad(nside))
    return centre, min(float(radius), 180.0)
