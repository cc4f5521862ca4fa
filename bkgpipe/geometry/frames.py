"""Directions in the field of view, and where the zenith is as seen from there.

Field-of-view vectors have x toward the pointing, y toward growing longitude and z
toward growing latitude. Longitude grows with decreasing right ascension (RADEC) or
decreasing azimuth (ALTAZ), as in GADF and in gammapy's field-of-view frames.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import astropy.units as u
import numpy as np
from astropy.coordinates import ICRS, AltAz, EarthLocation
from astropy.time import Time
from astropy.utils import iers

from bkgpipe.core.run import Run
from bkgpipe.core.usable import require_place
from bkgpipe.errors import InputError

__all__ = [
    "fov_matrix",
    "from_fov",
    "galactic_latitude",
    "load_earth_orientation",
    "lon_lat",
    "offset_angle",
    "pointing_of",
    "swap_alignment",
    "to_fov",
    "unit_vectors",
    "zenith_angle",
    "zenith_position_angle",
]

_GALACTIC_POLE = (192.85948, 27.12825)  # ICRS [deg]

# A cubic through the four nearest nodes puts the zenith off by less than 0.01 arcsec
_NODES_PER_DAY = 86400.0 / 240.0


def unit_vectors(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Turn longitude and latitude into unit vectors.

    Parameters
    ----------
    lon, lat : np.ndarray
        Spherical coordinates, shape ``(n,)`` [deg].

    Returns
    -------
    np.ndarray
        Unit vectors, shape ``(n, 3)``.
    """
    lon, lat = np.radians(lon), np.radians(lat)
    ring = np.cos(lat)
    return np.column_stack([ring * np.cos(lon), ring * np.sin(lon), np.sin(lat)])


def galactic_latitude(ra: np.ndarray | float, dec: np.ndarray | float) -> np.ndarray:
    """Return the Galactic latitude of directions.

    Parameters
    ----------
    ra, dec : np.ndarray or float
        Directions (ICRS), any shape [deg].

    Returns
    -------
    np.ndarray
        Latitude, same shape [deg].

    References
    ----------
    ESA 1997, The Hipparcos and Tycho Catalogues, volume 1, section 1.5.3.

    Examples
    --------
    >>> print(galactic_latitude(83.633, 22.014).round(2))
    -5.78
    """
    north_ra, north_dec = np.radians(_GALACTIC_POLE)
    lon, lat = np.radians(ra), np.radians(dec)
    sine = np.sin(lat) * np.sin(north_dec)
    sine = sine + np.cos(lat) * np.cos(north_dec) * np.cos(lon - north_ra)
    latitude: np.ndarray = np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0)))
    return latitude


def lon_lat(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn vectors into longitude and latitude.

    Parameters
    ----------
    vectors : np.ndarray
        Vectors of any length, shape ``(n, 3)``.

    Returns
    -------
    lon : np.ndarray
        Longitude from -180 to 180, shape ``(n,)`` [deg].
    lat : np.ndarray
        Latitude, shape ``(n,)`` [deg].

    Examples
    --------
    >>> lon_lat(np.array([[0.0, 2.0, 0.0]]))
    (array([90.]), array([0.]))
    """
    x, y, z = vectors.T
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


def offset_angle(vectors: np.ndarray) -> np.ndarray:
    """Return the distance of field-of-view vectors from the pointing.

    Parameters
    ----------
    vectors : np.ndarray
        Field-of-view vectors of either alignment, shape ``(n, 3)``.

    Returns
    -------
    np.ndarray
        Distance on the sphere, shape ``(n,)`` [deg].

    Examples
    --------
    >>> offset_angle(unit_vectors(np.array([3.0]), np.array([4.0]))).round(3)
    array([4.999])
    """
    x, y, z = vectors.T
    # The arc cosine of x alone would lose all digits near the pointing
    offset: np.ndarray = np.degrees(np.arctan2(np.hypot(y, z), x))
    return offset


def pointing_of(run: Run) -> tuple[float, float]:
    """Return the pointing of a run.

    Parameters
    ----------
    run : Run
        The run.

    Returns
    -------
    tuple of float
        Right ascension and declination, ICRS [deg].

    Raises
    ------
    InputError
        If the pointing is not known.
    """
    if not np.isfinite([run.ra, run.dec]).all():
        raise InputError(
            what=f"the pointing is not known, found ra {run.ra}, dec {run.dec}",
            where=f"run {run.obs_id}",
            fix="Add RA_PNT and DEC_PNT to the observation table, or drop the run",
        )
    return run.ra, run.dec


def fov_matrix(ra: float, dec: float) -> np.ndarray:
    """Return the matrix from ICRS vectors to RADEC field-of-view vectors.

    Parameters
    ----------
    ra, dec : float
        Pointing, ICRS [deg].

    Returns
    -------
    np.ndarray
        Rotation matrix, shape ``(3, 3)``: its rows are the pointing, the west
        (+fov_lon) and the north (+fov_lat); its transpose is its inverse.

    Examples
    --------
    >>> west_of_it = unit_vectors(np.array([9.0]), np.array([0.0]))
    >>> lon, lat = lon_lat(west_of_it @ fov_matrix(10.0, 0.0).T)
    >>> lon.round(6)
    array([1.])
    """
    lon, lat = np.radians(ra), np.radians(dec)
    pointing = [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]
    west = [np.sin(lon), -np.cos(lon), 0.0]
    north = [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)]
    return np.array([pointing, west, north])


def swap_alignment(
    vectors: np.ndarray, position_angle: float | np.ndarray
) -> np.ndarray:
    """Turn RADEC field-of-view vectors into ALTAZ ones, or back.

    Azimuth runs the other way round than right ascension, so the two frames are
    mirror images, and the mirror is its own inverse.

    Parameters
    ----------
    vectors : np.ndarray
        Field-of-view vectors, shape ``(n, 3)``.
    position_angle : float or np.ndarray
        Position angle of the zenith, from north over east; one, or ``(n,)`` [deg].

    Returns
    -------
    np.ndarray
        Vectors of the other alignment, shape ``(n, 3)``.
    """
    cos, sin = np.cos(np.radians(position_angle)), np.sin(np.radians(position_angle))
    x, y, z = vectors.T
    return np.column_stack([x, -cos * y - sin * z, cos * z - sin * y])


def to_fov(
    ra: np.ndarray,
    dec: np.ndarray,
    *,
    pointing: tuple[float, float],
    position_angle: float | np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Turn sky positions into field-of-view coordinates.

    Parameters
    ----------
    ra, dec : np.ndarray
        Positions, ICRS, shape ``(n,)`` [deg].
    pointing : tuple of float
        Right ascension and declination of the pointing, ICRS [deg].
    position_angle : float, np.ndarray or None
        Position angle of the zenith for ALTAZ, one or ``(n,)`` [deg]; None for RADEC.

    Returns
    -------
    fov_lon : np.ndarray
        Field-of-view longitude, shape ``(n,)`` [deg].
    fov_lat : np.ndarray
        Field-of-view latitude, shape ``(n,)`` [deg].

    References
    ----------
    GADF 0.3, section "Coordinates / Field of view".
    """
    vectors = unit_vectors(ra, dec) @ fov_matrix(*pointing).T
    if position_angle is not None:
        vectors = swap_alignment(vectors, position_angle)
    return lon_lat(vectors)


def from_fov(
    fov_lon: np.ndarray,
    fov_lat: np.ndarray,
    *,
    pointing: tuple[float, float],
    position_angle: float | np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Turn field-of-view coordinates into sky positions: the inverse of `to_fov`.

    Parameters
    ----------
    fov_lon, fov_lat : np.ndarray
        Field-of-view coordinates, shape ``(n,)`` [deg].
    pointing : tuple of float
        Right ascension and declination of the pointing, ICRS [deg].
    position_angle : float, np.ndarray or None
        Position angle of the zenith for ALTAZ, one or ``(n,)`` [deg]; None for RADEC.

    Returns
    -------
    ra : np.ndarray
        Right ascension from 0 to 360, shape ``(n,)`` [deg].
    dec : np.ndarray
        Declination, shape ``(n,)`` [deg].
    """
    vectors = unit_vectors(fov_lon, fov_lat)
    if position_angle is not None:
        vectors = swap_alignment(vectors, position_angle)
    ra, dec = lon_lat(vectors @ fov_matrix(*pointing))
    return ra % 360.0, dec


def zenith_angle(run: Run, time: np.ndarray) -> np.ndarray:
    """Return the zenith angle of the pointing of a run.

    Parameters
    ----------
    run : Run
        The run, for its pointing and the place of its observatory.
    time : np.ndarray
        TT as modified Julian date, in any order, shape ``(n,)`` [d].

    Returns
    -------
    np.ndarray
        Angle between zenith and pointing, without refraction, shape ``(n,)`` [deg].

    Raises
    ------
    InputError
        If the pointing is not known.
    """
    zenith = _zenith_vectors(run, time) @ fov_matrix(*pointing_of(run)).T
    return offset_angle(zenith)


def zenith_position_angle(run: Run, time: np.ndarray) -> np.ndarray:
    """Return the position angle of the zenith, seen from the pointing of a run.

    Parameters
    ----------
    run : Run
        The run, for its pointing and the place of its observatory.
    time : np.ndarray
        TT as modified Julian date, in any order, shape ``(n,)`` [d].

    Returns
    -------
    np.ndarray
        Position angle from north over east, shape ``(n,)`` [deg]; it does not jump
        by 360 from one time to the next.

    Raises
    ------
    InputError
        If the place of the observatory or the pointing is not known.
    """
    require_place(run)
    if time.size == 0:
        return np.empty(0)
    order = np.argsort(time)
    zenith = _zenith_vectors(run, time[order]) @ fov_matrix(*pointing_of(run)).T
    angle = np.empty(time.shape)
    east, north = -zenith[:, 1], zenith[:, 2]
    angle[order] = np.unwrap(np.degrees(np.arctan2(east, north)), period=360.0)
    return angle


def _zenith_vectors(run: Run, time: np.ndarray) -> np.ndarray:
    """Interpolate the zenith (ICRS, ``(n, 3)``) between nodes at round four minutes.

    The vector is interpolated, not the angle, which turns fast near the zenith; by
    Lagrange's polynomial, the same wherever other times are.
    """
    before = np.floor(time * _NODES_PER_DAY)
    nodes = np.unique(np.unique(before)[:, np.newaxis] + np.arange(-1, 3))
    vectors = _exact_zenith_vectors(run, nodes / _NODES_PER_DAY)
    first, x = np.searchsorted(nodes, before) - 1, time * _NODES_PER_DAY - before
    outer, inner = x * (1 - x) / 6, (1 + x) * (2 - x) / 2
    weights = (outer * (x - 2), inner * (1 - x), inner * x, -outer * (1 + x))
    parts = [w[:, np.newaxis] * vectors[first + i] for i, w in enumerate(weights)]
    zenith: np.ndarray = np.sum(parts, axis=0)
    return zenith


def load_earth_orientation() -> None:
    """Read the tables of the Earth's rotation into memory.

    They are read when they are first needed, which takes most of a second; a process
    that forks workers reads them once for all of them.
    """
    with _offline():
        iers.earth_orientation_table.get()


@contextmanager
def _offline() -> Iterator[None]:
    # Without the network, times after the tables that come with astropy are wrong by
    # less than a second of Earth rotation: 15 arcsec
    with (
        iers.conf.set_temp("auto_download", False),
        iers.conf.set_temp("auto_max_age", None),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


def _exact_zenith_vectors(run: Run, time: np.ndarray) -> np.ndarray:
    altitude = run.altitude if np.isfinite(run.altitude) else 0.0
    place = EarthLocation.from_geodetic(run.longitude, run.latitude, altitude)
    with _offline():
        obstime = Time(time, format="mjd", scale="tt")
        zenith = AltAz(
            az=np.zeros(time.shape) * u.deg,
            alt=np.full(time.shape, 90.0) * u.deg,
            obstime=obstime,
            location=place,
        ).transform_to(ICRS())
    return unit_vectors(zenith.ra.deg, zenith.dec.deg)
