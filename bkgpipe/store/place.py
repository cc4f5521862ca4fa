"""Where on the Earth the observatory is, from headers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import EarthLocation

from bkgpipe.store.values import read_number, wrong_value

__all__ = ["read_place"]

_KEYS = {
    "longitude": ("GEOLON", "OBSGEO-L"),
    "latitude": ("GEOLAT", "OBSGEO-B"),
    "altitude": ("ALTITUDE", "OBSGEO-H"),
}
_GEOCENTRIC = ("OBSGEO-X", "OBSGEO-Y", "OBSGEO-Z")
_MAX_ALTITUDE = 20_000.0  # m above or below the ellipsoid, more than any mountain


def read_place(header: Mapping[str, Any], *, where: str) -> dict[str, float]:
    """Read where the observatory is.

    Parameters
    ----------
    header : mapping of str to object
        Header of an observation index or of events.
    where : str
        Its file, for the error.

    Returns
    -------
    dict of str to float
        ``longitude`` and ``latitude`` [deg] and ``altitude`` [m]: GEOLON, GEOLAT and
        ALTITUDE, or OBSGEO-L, -B and -H, or from OBSGEO-X, -Y and -Z; NaN when it has
        none of them.

    Raises
    ------
    InputError
        If one of them is no number, or the last three are no place on the Earth.

    References
    ----------
    FITS standard 4.0, section 8.4.1: OBSGEO-X, -Y and -Z are ITRF coordinates in
    metres. GADF 0.3, section "Events".
    """
    place = {
        name: read_number(header, *keys, where=where) for name, keys in _KEYS.items()
    }
    if math.isfinite(place["longitude"]) and math.isfinite(place["latitude"]):
        return place
    coordinates = [read_number(header, key, where=where) for key in _GEOCENTRIC]
    if not np.isfinite(coordinates).all():
        return place
    found = EarthLocation.from_geocentric(*coordinates, unit=u.m).to_geodetic()
    altitude = float(found.height.to_value(u.m))
    if not abs(altitude) < _MAX_ALTITUDE:
        raise wrong_value(
            f"{', '.join(_GEOCENTRIC)} are {', '.join(f'{m:g}' for m in coordinates)}",
            "a place on the Earth, in metres from its centre",
            where=where,
            fix="Correct the keywords, or write GEOLON, GEOLAT and ALTITUDE",
        )
    return {
        "longitude": float(found.lon.to_value(u.deg)),
        "latitude": float(found.lat.to_value(u.deg)),
        "altitude": altitude,
    }
