"""Region files of DS9 and CASA as regions to exclude."""

from __future__ import annotations

import warnings
from itertools import takewhile
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
    PixCoord,
    PolygonPixelRegion,
    PolygonSkyRegion,
    RectangleAnnulusSkyRegion,
    RectangleSkyRegion,
    Regions,
)

from bkgpipe.core.regular import require_regular
from bkgpipe.errors import InputError
from bkgpipe.stages.mask.data import ExclusionRegion
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
    found = []
    wheres = [f"{path}, shape {n} ({type(shape).__name__})" for n, shape in shapes]
    for (_, shape), where in zip(shapes, wheres, strict=True):
        _require_area(shape, where)
    points = _to_icrs([_points_of(shape) for _, shape in shapes])
    for (_, shape), where, corners in zip(shapes, wheres, points, strict=True):
        found.append(_make_region(shape, corners, path=path, where=where, nside=nside))
    return tuple(found)


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


def _points_of(shape: Any) -> SkyCoord:
    return shape.vertices if isinstance(shape, PolygonSkyRegion) else shape.center


def _to_icrs(places: list[SkyCoord]) -> list[np.ndarray]:
    """Return right ascension and declination of points, ``(n_points, 2)`` [deg].

    Neighbours of one frame are converted together: one by one, thousands of shapes
    take seconds.
    """
    found: list[np.ndarray] = []
    start = 0
    while start < len(places):
        frame = places[start].frame
        same = takewhile(frame.is_equivalent_frame, (p.frame for p in places[start:]))
        part = [each.spherical.reshape(-1) for each in same]
        lon = np.concatenate([each.lon.deg for each in part])
        lat = np.concatenate([each.lat.deg for each in part])
        bare = frame.replicate_without_data()
        icrs = SkyCoord(lon, lat, unit="deg", frame=bare).icrs
        joined = np.stack([icrs.ra.deg, icrs.dec.deg], axis=1)
        found += np.split(joined, np.cumsum([each.size for each in part])[:-1])
        start += len(part)
    return found


def _make_region(
    shape: Any, points: np.ndarray, *, path: Path, where: str, nside: int
) -> ExclusionRegion:
    if not np.isfinite(points).all():
        raise _refusal(where, "has no place")
    ra, dec = points[0]
    corners = hp.ang2vec(*points.T, lonlat=True)
    if isinstance(shape, PolygonSkyRegion):
        ra, dec = np.ravel(hp.vec2ang(corners.mean(axis=0), lonlat=True))
    centre = hp.ang2vec(ra, dec, lonlat=True)
    radius = _radius(shape, corners, centre)
    if not radius < _MAX_RADIUS:
        raise _refusal(where, f"is larger than {_MAX_RADIUS:g} deg")
    pixels = np.empty(0, dtype=np.int64)
    if not isinstance(shape, CircleSkyRegion):
        pixels = _pixels(shape, points, centre, nside=nside, radius=radius)
        radius += float(np.degrees(hp.max_pixrad(nside)))
    return ExclusionRegion(
        name=printable(str(shape.meta.get("text") or shape.meta.get("label") or where)),
        origin=str(path),
        ra=float(ra),
        dec=float(dec),
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


def _radius(shape: Any, corners: np.ndarray, centre: np.ndarray) -> float:
    """Radius [deg] of a disc about its centre that holds a shape."""
    if isinstance(shape, PolygonSkyRegion):
        across = np.linalg.norm(np.cross(corners, centre), axis=1)
        return float(np.degrees(np.arctan2(across, corners @ centre).max()))
    if isinstance(shape, CircleSkyRegion):
        size = shape.radius
    elif isinstance(shape, CircleAnnulusSkyRegion):
        size = shape.outer_radius
    elif isinstance(shape, EllipseSkyRegion | RectangleSkyRegion):
        size = np.hypot(shape.width, shape.height) / 2
    else:
        size = np.hypot(shape.outer_width, shape.outer_height) / 2
    return float(size.to_value(u.deg))


def _pixels(
    shape: Any, points: np.ndarray, centre: np.ndarray, *, nside: int, radius: float
) -> np.ndarray:
    """Pixels that have their centre in a shape, seen in a plane about its centre."""
    pixels = hp.query_disc(nside, centre, np.radians(radius * 1.02), inclusive=True)
    place = np.stack(hp.pix2ang(nside, pixels, lonlat=True), axis=1)
    ra, dec = np.ravel(hp.vec2ang(centre, lonlat=True))
    if isinstance(shape, PolygonSkyRegion):
        # its sides are great circles, which are straight in the tangent plane
        plane = _plane(ra, dec, "TAN")
        corners, found = (plane.all_world2pix(each, 0).T for each in (points, place))
        inside = PolygonPixelRegion(PixCoord(*corners)).contains(PixCoord(*found))
    else:
        # other shapes keep lengths from the centre
        sky = SkyCoord(*place.T, unit="deg")
        inside = shape.contains(sky, _plane(ra, dec, "ARC"))
    held: np.ndarray = pixels[inside].astype(np.int64)
    if held.size:
        return held
    return np.array([hp.vec2pix(nside, *centre)], dtype=np.int64)


def _plane(ra: float, dec: float, projection: str) -> WCS:
    plane = WCS(naxis=2)
    plane.wcs.ctype = [f"RA---{projection}", f"DEC--{projection}"]
    plane.wcs.crval = [ra, dec]
    plane.wcs.crpix = [1.0, 1.0]
    plane.wcs.cdelt = [-0.01, 0.01]
    return plane
