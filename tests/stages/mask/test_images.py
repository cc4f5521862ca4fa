from __future__ import annotations

from pathlib import Path

import healpy as hp
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from bkgpipe.errors import InputError
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.mask.images import read_mask_file

NSIDE = 512
PIXEL = hp.nside2pixarea(NSIDE, degrees=True)
CRAB = SkyCoord(83.633, 22.0145, unit="deg")
SHAPE = (50, 80)  # rows, columns


def _wcs(
    centre: SkyCoord, *, frame: str = "icrs", projection: str = "TAN", width: float = 1
) -> WCS:
    place = centre.transform_to(frame).spherical
    prefix = {"icrs": ("RA--", "DEC-"), "galactic": ("GLON", "GLAT")}[frame]
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"{word}-{projection}" for word in prefix]
    wcs.wcs.crval = [place.lon.deg, place.lat.deg]
    wcs.wcs.crpix = [SHAPE[1] / 2 + 0.5, SHAPE[0] / 2 + 0.5]
    wcs.wcs.cdelt = [-width, width]
    return wcs


def _write_image(path: Path, image: np.ndarray, wcs: WCS) -> None:
    fits.PrimaryHDU(image, header=wcs.to_header()).writeto(path)


def _write_healpix(path: Path, kept: np.ndarray, **header: object) -> None:
    hp.write_map(path, kept, dtype=kept.dtype, **header)


def _positions(region: ExclusionRegion) -> SkyCoord:
    lon, lat = hp.pix2ang(NSIDE, region.pixels, lonlat=True)
    return SkyCoord(lon, lat, unit="deg")


def _check_bounds(region: ExclusionRegion) -> None:
    centre = SkyCoord(region.ra, region.dec, unit="deg")
    distance = _positions(region).separation(centre).deg
    assert distance.max() < region.radius < distance.max() + 0.5
    assert region.pixels.dtype == np.int64
    assert (np.diff(region.pixels) > 0).all()


@pytest.mark.parametrize("frame", ["icrs", "galactic"])
@pytest.mark.parametrize("width", [0.02, 0.5])
def test_image(tmp_path: Path, frame: str, width: float) -> None:
    wcs = _wcs(CRAB, frame=frame, width=width)
    image = np.ones(SHAPE, dtype=np.uint8)
    image[10:22, 30:60] = 0
    _write_image(tmp_path / "mask.fits", image, wcs)

    region = read_mask_file(tmp_path / "mask.fits", nside=NSIDE)

    assert region.name == "mask.fits"
    assert region.origin == str(tmp_path / "mask.fits")
    assert np.isnan(region.extension) or region.extension == 0
    _check_bounds(region)
    x, y = wcs.world_to_pixel(_positions(region))
    margin = 0.5 + 0.1 / width  # a pixel may hold the centre of a cell, and stand out
    assert 30 - margin < x.min() < x.max() < 59 + margin
    assert 10 - margin < y.min() < y.max() < 21 + margin
    # no pixel with its centre in the excluded part is left out
    lon, lat = hp.pix2ang(NSIDE, np.arange(hp.nside2npix(NSIDE)), lonlat=True)
    near = np.flatnonzero(SkyCoord(lon, lat, unit="deg").separation(CRAB).deg < 40)
    x, y = wcs.world_to_pixel(SkyCoord(lon[near], lat[near], unit="deg"))
    inside = (x > 29.5) & (x < 59.5) & (y > 9.5) & (y < 21.5)
    assert np.isin(near[inside], region.pixels).all()


def test_image_in_an_extension_with_blank_values(tmp_path: Path) -> None:
    image = np.full(SHAPE, np.nan)
    image[25, 40] = 0.0
    wcs = _wcs(CRAB, width=0.01)
    header = wcs.to_header()
    header["DATE-OBS"] = "26/03/04"
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(image, header=header, name="MASK")]
    fits.HDUList(hdus).writeto(tmp_path / "mask.fits.gz")

    region = read_mask_file(tmp_path / "mask.fits.gz", nside=NSIDE)

    # a cell far smaller than a pixel still excludes the pixel that it is in
    place = wcs.pixel_to_world(40, 25)
    expected = hp.ang2pix(NSIDE, place.ra.deg, place.dec.deg, lonlat=True)
    assert region.pixels.tolist() == [expected]
    _check_bounds(region)


def test_image_of_the_whole_sky(tmp_path: Path) -> None:
    wcs = _wcs(
        SkyCoord(0, 0, unit="deg", frame="galactic"),
        frame="galactic",
        projection="AIT",
        width=6,
    )
    # the corners are not on the sky, and do not matter
    _write_image(tmp_path / "sky.fits", np.zeros(SHAPE, dtype=np.int16), wcs)

    region = read_mask_file(tmp_path / "sky.fits", nside=128)

    assert region.pixels.size == pytest.approx(hp.nside2npix(128), rel=0.01)
    assert region.radius == pytest.approx(180.0, abs=1.0)


@pytest.mark.parametrize("nest", [False, True])
@pytest.mark.parametrize("coord", ["C", "G"])
@pytest.mark.parametrize("nside", [64, 1024])
def test_healpix(tmp_path: Path, nest: bool, coord: str, nside: int) -> None:
    frame = {"C": "icrs", "G": "galactic"}[coord]
    place = CRAB.transform_to(frame).spherical
    vector = hp.ang2vec(place.lon.deg, place.lat.deg, lonlat=True)
    excluded = hp.query_disc(nside, vector, np.radians(5.0), nest=nest)
    kept = np.ones(hp.nside2npix(nside), dtype=np.float32)
    kept[excluded] = 0
    _write_healpix(tmp_path / "mask.fits", kept, nest=nest, coord=coord)

    region = read_mask_file(tmp_path / "mask.fits", nside=NSIDE)

    area = excluded.size * hp.nside2pixarea(nside, degrees=True)
    assert region.pixels.size * PIXEL == pytest.approx(area, rel=0.05)
    assert region.pixels.size * PIXEL > 0.99 * area
    assert _positions(region).separation(CRAB).deg.max() < 6.5
    assert CRAB.separation(SkyCoord(region.ra, region.dec, unit="deg")).deg < 0.3
    _check_bounds(region)


def test_same_grid_gives_the_same_pixels(tmp_path: Path) -> None:
    kept = np.ones(hp.nside2npix(NSIDE), dtype=bool)
    kept[[7, 70, 700000]] = False
    _write_healpix(tmp_path / "mask.fits", kept, coord="C")

    region = read_mask_file(tmp_path / "mask.fits", nside=NSIDE)

    assert region.pixels.tolist() == [7, 70, 700000]


def test_belt_around_the_sky(tmp_path: Path) -> None:
    _, latitude = hp.pix2ang(32, np.arange(hp.nside2npix(32)), lonlat=True)
    kept = (abs(latitude) > 5).astype(np.float32)
    _write_healpix(tmp_path / "mask.fits", kept, coord="G")

    region = read_mask_file(tmp_path / "mask.fits", nside=NSIDE)

    assert abs(_positions(region).galactic.b.deg).max() < 7
    assert region.pixels.size / hp.nside2npix(NSIDE) == pytest.approx(
        (kept == 0).mean(), rel=0.02
    )
    _check_bounds(region)


def test_pixels_that_a_partial_map_lacks_are_kept(tmp_path: Path) -> None:
    values = np.full(hp.nside2npix(64), hp.UNSEEN)
    values[3000:3005] = [0, 1, 0, 1, 1]
    _write_healpix(tmp_path / "mask.fits", values, coord="C", partial=True)

    region = read_mask_file(tmp_path / "mask.fits", nside=NSIDE)

    assert region.pixels.size == 2 * (NSIDE // 64) ** 2


def test_nothing_excluded(tmp_path: Path) -> None:
    _write_image(tmp_path / "one.fits", np.ones(SHAPE), _wcs(CRAB))
    _write_healpix(tmp_path / "two.fits", np.ones(12 * 16**2), coord="C")
    for name in ("one", "two"):
        with pytest.raises(InputError, match=rf"{name}\.fits: excludes.*Write zero"):
            read_mask_file(tmp_path / f"{name}.fits", nside=NSIDE)


def test_healpix_without_frame(tmp_path: Path) -> None:
    _write_healpix(tmp_path / "mask.fits", np.zeros(12 * 16**2))
    with pytest.raises(InputError, match=r"mask\.fits: .*missing.*Write COORDSYS = C"):
        read_mask_file(tmp_path / "mask.fits", nside=NSIDE)


@pytest.mark.parametrize("shape", [SHAPE, (3, *SHAPE)])
def test_images_without_two_celestial_axes(tmp_path: Path, shape: tuple) -> None:
    fits.PrimaryHDU(np.zeros(shape)).writeto(tmp_path / "mask.fits")
    with pytest.raises(InputError, match=r"mask\.fits: .*not two cel.*Name FITS imag"):
        read_mask_file(tmp_path / "mask.fits", nside=NSIDE)


def test_image_that_leaves_its_cylinder(tmp_path: Path) -> None:
    wcs = _wcs(SkyCoord(0, 0, unit="deg"), projection="CAR", width=3)
    image = np.ones(SHAPE)
    image[20:30, 70:] = 0
    _write_image(tmp_path / "whole.fits", image, wcs)
    wcs.wcs.crpix[0] = 1
    _write_image(tmp_path / "over.fits", image, wcs)

    whole = read_mask_file(tmp_path / "whole.fits", nside=NSIDE)

    assert whole.pixels.size * PIXEL == pytest.approx(900, rel=0.05)
    with pytest.raises(InputError, match=r"over\.fits: goes on.*Name FITS images"):
        read_mask_file(tmp_path / "over.fits", nside=NSIDE)


def test_file_without_image(tmp_path: Path) -> None:
    fits.PrimaryHDU().writeto(tmp_path / "mask.fits")
    with pytest.raises(InputError, match=r"mask\.fits: has no image.*Name FITS images"):
        read_mask_file(tmp_path / "mask.fits", nside=NSIDE)


def test_file_that_is_no_fits(tmp_path: Path) -> None:
    (tmp_path / "mask.fits").write_text("words")
    for name in ("mask", "absent"):
        with pytest.raises(InputError, match=rf"{name}\.fits: .*cannot be read.*Name"):
            read_mask_file(tmp_path / f"{name}.fits", nside=NSIDE)
