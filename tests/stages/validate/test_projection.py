from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from gammapy.irf import Background2D, Background3D
from gammapy.maps import MapAxis

from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.stages.validate.data import ScoreBins
from bkgpipe.stages.validate.projection import (
    make_geometry,
    model_energies,
    project_model,
    read_model,
    read_store_model,
)

BINS = ScoreBins(energy_edges=np.geomspace(1.0, 8.0, 4))
CENTER = (slice(None), *[slice(BINS.n_fine // 2, BINS.n_fine // 2 + 1)] * 2)


def _axes() -> list[MapAxis]:
    energy = MapAxis.from_energy_edges(np.geomspace(0.1, 100.0, 25) * u.TeV)
    lon = MapAxis.from_edges(np.linspace(-3, 3, 13), unit="deg", name="fov_lon")
    lat = MapAxis.from_edges(np.linspace(-3, 3, 15), unit="deg", name="fov_lat")
    return [energy, lon, lat]


def _falling() -> np.ndarray:
    """A rate of E**-2, which gammapy integrates exactly, at the energy centres."""
    return _axes()[0].center.to_value("TeV") ** -2.0


def _model_3d(shape: np.ndarray) -> Background3D:
    data = _falling()[:, np.newaxis, np.newaxis] * shape
    return Background3D(
        axes=_axes(), data=data, unit="s-1 TeV-1 sr-1", fov_alignment="RADEC"
    )


def _model_2d() -> Background2D:
    offset = MapAxis.from_edges(np.linspace(0, 3, 8), unit="deg", name="offset")
    data = _falling()[:, np.newaxis] * np.ones(7)
    return Background2D(axes=[_axes()[0], offset], data=data, unit="s-1 TeV-1 sr-1")


def _flat() -> np.ndarray:
    low, high = BINS.energy_edges[:-1], BINS.energy_edges[1:]
    counts: np.ndarray = (1 / low - 1 / high) * np.radians(BINS.fine_pixel) ** 2 * 100
    return counts


@pytest.mark.parametrize("model", [_model_3d(np.ones((12, 14))), _model_2d()])
def test_a_flat_model_predicts_rate_times_solid_angle(
    run: Run, model: Background2D | Background3D
) -> None:
    predicted = project_model(model, run, bins=BINS, seconds=100.0)
    assert predicted.shape == (3, BINS.n_fine, BINS.n_fine)
    np.testing.assert_allclose(predicted[CENTER].ravel(), _flat(), rtol=1e-3)


def test_longitude_grows_along_the_last_axis(run: Run) -> None:
    shape = np.exp(np.linspace(-1.0, 1.0, 12))[:, np.newaxis] * np.ones(14)
    predicted = project_model(_model_3d(shape), run, bins=BINS, seconds=1.0)
    profile = predicted[0, BINS.n_fine // 2]
    assert (np.diff(profile) > 0).all()


def test_offsets_are_padded_as_gammapys_maker_does(run: Run) -> None:
    rising = _model_2d()
    rising.data *= np.exp(np.arange(7.0))
    predicted = project_model(rising, run, bins=BINS, seconds=100.0)
    # the first node is at 0.21 deg
    np.testing.assert_allclose(predicted[CENTER].ravel(), _flat(), rtol=1e-3)


def test_nothing_is_predicted_beyond_the_energies_of_the_model(run: Run) -> None:
    bins = ScoreBins(energy_edges=np.array([10.0, 50.0, 300.0, 600.0]))
    predicted = project_model(_model_2d(), run, bins=bins, seconds=1.0)
    assert (predicted[0] > 0).all()
    assert (predicted[2] == 0).all()


def test_a_run_without_a_place_can_be_projected(run: Run) -> None:
    nowhere = replace(run, longitude=np.nan, latitude=np.nan, altitude=np.nan)
    predicted = project_model(_model_2d(), nowhere, bins=BINS, seconds=1.0)
    assert (predicted > 0).all()


def test_a_model_that_stays_on_the_sky_needs_no_time(run: Run) -> None:
    timeless = replace(run, time_start=np.nan)
    model = _model_3d(np.ones((12, 14)))
    found, expected = (
        project_model(model, each, bins=BINS, seconds=1.0) for each in (timeless, run)
    )
    np.testing.assert_array_equal(found, expected)
    model._fov_alignment = "ALTAZ"
    with pytest.raises(InputError, match=r"run .*no start time.*alignment = RADEC"):
        project_model(model, timeless, bins=BINS, seconds=1.0)


def test_a_model_tells_its_energies() -> None:
    assert model_energies(_model_2d()) == pytest.approx((0.1, 100.0))


def test_an_altaz_model_turns_with_the_sky(run: Run) -> None:
    model = _model_3d(np.exp(np.linspace(-1.0, 1.0, 14)) * np.ones((12, 1)))
    model._fov_alignment = "ALTAZ"
    predicted = project_model(model, run, bins=BINS, seconds=600.0)
    assert np.isfinite(predicted).all()
    assert predicted.sum() > 0


def test_pixels_lie_in_the_plane_that_touches_the_sky(run: Run) -> None:
    geometry = make_geometry(run, BINS).to_image()
    lon, lat = geometry.pix_to_coord((BINS.n_fine - 0.5, (BINS.n_fine - 1) / 2))
    shift = np.radians(lon.to_value("deg") - run.ra)
    # to the west, where right ascension is less, by the arc of a tangent
    assert shift < 0
    height = np.radians(lat.to_value("deg"))
    dec = np.radians(run.dec)
    cos = np.sin(dec) * np.sin(height) + np.cos(dec) * np.cos(height) * np.cos(shift)
    assert np.tan(np.arccos(cos)) == pytest.approx(np.radians(2.0), rel=1e-6)


def test_models_are_read_from_their_own_files(tmp_path: Path) -> None:
    path = tmp_path / "bkg.fits"
    table = _model_2d().to_table_hdu()
    table.name = "BACKGROUND"
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    model = read_model(path, word="bkg_2d")
    assert model.data.shape == (24, 7)


@pytest.mark.parametrize("word", ["bkg_3d", "bkg_2d"])
def test_a_missing_model_is_told(tmp_path: Path, word: str) -> None:
    with pytest.raises(InputError, match=r"bkg\.fits: .*Name a store"):
        read_model(tmp_path / "bkg.fits", word=word)


def test_a_missing_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"hdu-index.* missing.*Set .data. store"):
        read_store_model(tmp_path / "none", 7)


def test_models_of_the_release_are_mirrored(hess_store: Path) -> None:
    assert read_store_model(hess_store, 20136).fov_alignment == "REVERSE_LON_RADEC"


def test_a_run_that_the_store_does_not_know_is_told(hess_store: Path) -> None:
    with pytest.raises(InputError, match=r"run 1 of .*bkg row for this run"):
        read_store_model(hess_store, 1)
