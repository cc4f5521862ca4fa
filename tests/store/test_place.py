from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import EarthLocation

from bkgpipe.errors import InputError
from bkgpipe.store.place import read_place

_GEOCENTRIC = dict(
    zip(
        ("OBSGEO-X", "OBSGEO-Y", "OBSGEO-Z"),
        (
            float(each.to_value(u.m))
            for each in EarthLocation.from_geodetic(16.5, -23.27, 1835.0).geocentric
        ),
        strict=True,
    )
)


@pytest.mark.parametrize(
    "header",
    [
        {"GEOLON": 16.5, "GEOLAT": "-23.27", "ALTITUDE": 1835},
        {"OBSGEO-L": 16.5, "OBSGEO-B": -23.27, "OBSGEO-H": 1835.0},
        {"GEOLON": "", "GEOLAT": None, **_GEOCENTRIC},
        _GEOCENTRIC,
    ],
)
def test_each_way_to_say_where_it_is(header: dict[str, Any]) -> None:
    found = read_place(header, where="file")
    assert found == pytest.approx(
        {"longitude": 16.5, "latitude": -23.27, "altitude": 1835.0}, abs=1e-6
    )


def test_degrees_come_first() -> None:
    found = read_place({"GEOLON": 1.0, "GEOLAT": 2.0} | _GEOCENTRIC, where="file")
    assert (found["longitude"], found["latitude"]) == (1.0, 2.0)
    assert np.isnan(found["altitude"])


def test_no_place() -> None:
    assert np.isnan([*read_place({"OBSGEO-X": 1.0}, where="file").values()]).all()


@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.1])
def test_a_place_that_is_not_on_the_earth(scale: float) -> None:
    header = {key: value * scale for key, value in _GEOCENTRIC.items()}
    with pytest.raises(InputError, match=r"OBSGEO-X, OBSGEO-Y, OBSGEO-Z are .*metres"):
        read_place(header, where="file")


def test_a_word_is_named() -> None:
    with pytest.raises(InputError, match=r"file: GEOLAT is 'south', expected a number"):
        read_place({"GEOLON": 16.5, "GEOLAT": "south"}, where="file")
