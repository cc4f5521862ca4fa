"""Region files of DS9 and CASA as regions to exclude."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import healpy as hp
import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS
from regions import (
    CircleAnnulusSkyRegion,
    CircleSkyRegion,
    EllipseAnnulusSkyRegion,
    EllipseSkyRegion,
    PolygonSkyRegion,
    RectangleAnnulusSkyRegion,
    RectangleSkyRegion,
    Regions,
)

from bkgpipe.datamodel import ExclusionRegion
from bkgpipe.errors import InputError
from bkgpipe.io.regular import require_regular
from bkgpipe.text import decode_text, printable

__all__ = ["read_regions"]

_AREAS = (
    CircleSkyRegion,
    CircleAnnulusSkyRegion,
    EllipseSkyRegion,
    EllipseAnnulusSkyRegion,
    PolygonSkyRegion,
    RectangleSkyRegion,
    RectangleAnnulusSkyRegion,
)
_MAX_RADIUS = 45.0  # deg; the tangent plane ends at 90


def read_regions(path: Path, *, nside: int) -> tuple[ExclusionRegion, ...]:
    """Read the regions of a DS9 or CRTF file.

    Parameters
    ----------
    path : Path
        Region file, in sky coordinates; CRTF files start with ``#CRTF``.
    nside : int
        HEALPix resolution of the mask.

    Returns
    -------
    tuple of ExclusionRegion
        Circles as discs; other shapes as the pixels of which they hold the centre, at
        least one. A CRTF ``box`` lies between the meridians and the parallels of its
        corners. Annotations are left out.

    Raises
    ------
    InputError
        If the file is unreadable, or has shapes without area, in pixel coordinates,
        with a minus sign, or larger than half the sky.
    """
    shapes = [
        (number, shape)
        for number, shape in enumerate(_parse(path), start=1)
        if shape.meta.get("type") != "ann"
    ]
    return tuple(
        _make_region(shape, path=path, number=number, nside=nside)
        for number, shape in shapes
    )


def _parse(path: Path) -> list[Any]:
    try:
        require_regular(path)
        text = decode_text(path.read_bytes())
        parse = _parse_crtf if text.startswith("#CRTF") else _parse_ds9
        with warnings.catch_warnings():
            # the parser skips what it does not know, and that would not be excluded
            warnings.simplefilter("error", AstropyUserWarning)
            return parse(text)
    except (OSError, ValueError, TypeError, IndexError, AstropyUserWarning) as error:
        raise InputError(
            what=f"the region file cannot be read ({error})",
            where=str(path),
            fix="Write it as DS9 or CRTF regions in sky coordinates",
        ) from error


def _parse_ds9(text: str) -> list[Any]:
    return list(Regions.parse(text, format="ds9"))


def _parse_crtf(text: str) -> list[Any]:
    shapes = Regions.parse(text, format="crtf")
    # the parser makes one shape of each line but these
    lines = [
        line
        for line in text.split("\n")
        if line and not line.startswith("#") and line.split()[0] != "global"
    ]
    return [
        _between_corners(shape) if _crtf_kind(line) == "box" else shape
        for line, shape in zip(lines, shapes, strict=True)
    ]


def _crtf_kind(line: str) -> str:
    """Word before the coordinates, as ``box`` of ``ann box [[...``."""
    return line.partition("[")[0].split()[-1].lstrip("+-")


def _between_corners(shape: Any) -> Any:
    """Make a polygon of what the parser read from two opposite corners.

    It takes the difference of their longitudes for a width, which it is on the equator
    alone, and the longer way around when longitude zero is between them.
    """
    if not isinstance(shape, RectangleSkyRegion):
        return shape
    place = shape.center.spherical
    lon, width = place.lon.deg, shape.width.to_value(u.deg)
    if width > 180.0:
        lon, width = lon + 180.0, 360.0 - width
    north = shape.height.to_value(u.deg) / 2
    n_steps = int(np.ceil(width))  # as a side of a polygon is a great circle
    east = np.linspace(-width / 2, width / 2, n_steps + 1)
    corners = SkyCoord(
        lon + np.concatenate([east, -east]),
        place.lat.deg + np.repeat([-north, north], east.size),
        unit="deg",
        frame=shape.center.frame.replicate_without_data(),
    )
    return PolygonSkyRegion(corners, meta=shape.meta)


def _make_region(shape: Any, *, path: Path, number: int, nside: int) -> ExclusionRegion:
    kind = type(shape).__name__
    where = f"{path}, shape {number} ({kind})"
    _require_area(shape, where)
    centre, radius = _bounds(shape)
    place = centre.icrs
    if not (np.isfinite([place.ra.deg, place.dec.deg]).all() and radius < _MAX_RADIUS):
        raise _refusal(where, f"has no place or is larger than {_MAX_RADIUS:g} deg")
    pixels = np.empty(0, dtype=np.int64)
    if not isinstance(shape, CircleSkyRegion):
        pixels = _pixels(shape, place, radius, nside)
        radius += float(np.degrees(hp.max_pixrad(nside)))
    return ExclusionRegion(
        name=printable(str(shape.meta.get("text") or shape.meta.get("label") or where)),
        origin=str(path),
        ra=float(place.ra.deg),
        dec=float(place.dec.deg),
        radius=radius,
        pixels=pixels,
    )


def _require_area(shape: Any, where: str) -> None:
    if not isinstance(shape, _AREAS):
        raise _refusal(where, "has no area or is in pixel coordinates")
    if not shape.meta.get("include", True):
        raise _refusal(where, "has a minus sign, which only DS9 understands")


def _refusal(where: str, what: str) -> InputError:
    return InputError(
        what=what,
        where=where,
        fix="Use circle, ellipse, box, polygon or annulus in sky coordinates",
    )


def _bounds(shape: Any) -> tuple[SkyCoord, float]:
    """Centre and radius [deg] of a disc that holds a shape."""
    if isinstance(shape, PolygonSkyRegion):
        corners = shape.vertices.icrs
        mean = SkyCoord(corners.cartesian.mean(), frame="icrs")
        return mean, float(corners.separation(mean).max().deg)
    if isinstance(shape, CircleSkyRegion):
        size = shape.radius
    elif isinstance(shape, CircleAnnulusSkyRegion):
        size = shape.outer_radius
    elif isinstance(shape, EllipseSkyRegion | RectangleSkyRegion):
        size = np.hypot(shape.width, shape.height) / 2
    else:
        size = np.hypot(shape.outer_width, shape.outer_height) / 2
    return shape.center, float(size.to_value(u.deg))


def _pixels(shape: Any, centre: SkyCoord, radius: float, nside: int) -> np.ndarray:
    """Pixels that have their centre in a shape, seen in a plane about its centre."""
    vector = centre.cartesian.xyz.value
    pixels = hp.query_disc(nside, vector, np.radians(radius * 1.02), inclusive=True)
    lon, lat = hp.pix2ang(nside, pixels, lonlat=True)
    # sides of polygons are great circles, other shapes keep lengths from the centre
    plane = _plane(centre, "TAN" if isinstance(shape, PolygonSkyRegion) else "ARC")
    inside = shape.contains(SkyCoord(lon, lat, unit="deg"), plane)
    found: np.ndarray = pixels[inside].astype(np.int64)
    if found.size:
        return found
    return np.array([hp.vec2pix(nside, *vector)], dtype=np.int64)


def _plane(centre: SkyCoord, projection: str) -> WCS:
    plane = WCS(naxis=2)
    plane.wcs.ctype = [f"RA---{projection}", f"DEC--{projection}"]
    plane.wcs.crval = [centre.ra.deg, centre.dec.deg]
    plane.wcs.crpix = [1.0, 1.0]
    plane.wcs.cdelt = [-0.01, 0.01]
    return plane
