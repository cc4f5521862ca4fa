from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from gammapy.irf import Background2D, Background3D
from gammapy.maps import MapAxis

from bkgpipe.geometry.frames import unit_vectors
from bkgpipe.stages.sky.model import WrittenModel

ENERGY = MapAxis.from_energy_edges(np.geomspace(0.2, 20.0, 8) * u.TeV)
LON = MapAxis.from_edges(np.linspace(-2.5, 2.5, 6), unit="deg", name="fov_lon")
LAT = MapAxis.from_edges(np.linspace(-2.5, 2.5, 5), unit="deg", name="fov_lat")
OFFSET = MapAxis.from_edges(np.linspace(0.0, 2.5, 7), unit="deg", name="offset")
UNIT = "s-1 TeV-1 sr-1"
N_STEPS = 4000


def _rate(*shape: int) -> np.ndarray:
    return np.exp(np.random.default_rng(4).normal(0.0, 1.0, shape))


def _written(*axes: MapAxis, rate: np.ndarray) -> WrittenModel:
    return WrittenModel(
        fov_alignment="RADEC",
        energy_range=(0.2, 20.0),
        energy=ENERGY.center.to_value("TeV"),
        places=tuple(axis.center.to_value("deg") for axis in axes),
        rate=rate,
    )


def _integrate(model, energies: tuple[float, float], **place: np.ndarray):
    """Fine steps through what gammapy evaluates."""
    energy = np.geomspace(*energies, N_STEPS)[:, np.newaxis] * u.TeV
    rate = model.evaluate(energy=energy, **{k: v * u.deg for k, v in place.items()})
    return np.trapezoid(rate.to_value(UNIT), energy.to_value("TeV"), axis=0)


def test_three_dimensions_are_those_of_gammapy():
    rate = _rate(7, 5, 4)
    lon, lat = np.array([0.3, -2.4, 1.0, 2.4]), np.array([0.1, 2.4, -1.7, 0.0])
    theirs = Background3D(
        axes=[ENERGY, LON, LAT], data=rate, unit=UNIT, fov_alignment="RADEC"
    )
    bands = [(0.25, 1.0), (1.0, 19.0)]

    found = _written(LON, LAT, rate=rate).integrate(unit_vectors(lon, lat), bands)

    for band, each in zip(bands, found, strict=True):
        expected = _integrate(theirs, band, fov_lon=lon, fov_lat=lat)
        np.testing.assert_allclose(each, expected, rtol=1e-5)


def test_two_dimensions_are_those_of_gammapy():
    rate = _rate(7, 6)
    lon, lat = np.array([0.3, -1.4, 0.0]), np.array([0.0, 0.0, 2.45])
    theirs = Background2D(axes=[ENERGY, OFFSET], data=rate, unit=UNIT)
    theirs = theirs.pad(1, mode="edge", axis_name="offset")  # as its makers do

    found = _written(OFFSET, rate=rate).integrate(unit_vectors(lon, lat), [(0.25, 6.0)])

    expected = _integrate(theirs, (0.25, 6.0), offset=np.abs(lon + lat))
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)


def test_bands_add_up():
    model = _written(LON, LAT, rate=_rate(7, 5, 4))
    vectors = unit_vectors(np.array([0.5, 1.0]), np.array([0.0, -1.0]))

    parts = model.integrate(vectors, [(0.2, 0.7), (0.7, 3.0), (3.0, 20.0)])
    whole = model.integrate(vectors, [(0.2, 20.0)])

    np.testing.assert_allclose(parts.sum(axis=0), whole[0], rtol=1e-12)


@pytest.mark.parametrize("band", [(1.0, 1.0), (5.0, 2.0)])
def test_a_band_of_no_width_is_empty(band):
    model = _written(LON, LAT, rate=_rate(7, 5, 4))

    assert not model.integrate(unit_vectors(np.zeros(3), np.zeros(3)), [band]).any()
