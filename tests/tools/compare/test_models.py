from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from bkgpipe.core.binning import Binning
from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import InputError
from bkgpipe.stages.export.gadf import Origin, write_bkg_2d, write_bkg_3d
from bkgpipe.stages.smooth.data import NodeModel
from bkgpipe.stages.stack.data import Conditions
from bkgpipe.tools.compare.models import StoreModels, read_file_model, read_file_run

AXES = Binning(
    energy_edges=np.geomspace(0.1, 100.0, 4),
    fov_lon_edges=np.linspace(-2.0, 3.0, 5),
    fov_lat_edges=np.linspace(-2.0, 2.0, 6),
    offset_edges=np.linspace(0.0, 2.0, 8),
)
HEADER = ProductHeader(
    stage="export", fingerprint="abc", inputs="0", seconds=1.0, version="1"
)


def _model(*, obs_id: int = 7, has_errors: bool = True) -> NodeModel:
    rng = np.random.default_rng(1)
    shapes = (AXES.shape_3d, AXES.shape_2d)
    errors = [rng.uniform(0.01, 0.2, shape) for shape in shapes] if has_errors else None
    return NodeModel(
        stack_id=1,
        obs_id=obs_id,
        binning=AXES,
        bkg_3d=rng.uniform(1.0, 2.0, AXES.shape_3d),
        bkg_2d=rng.uniform(1.0, 2.0, AXES.shape_2d),
        n_filled_3d=0,
        n_filled_2d=0,
        fov_alignment="ALTAZ",
        n_runs=3,
        livetime=7200.0,
        conditions=Conditions(
            zenith=20.0, azimuth=0.0, cos_zenith=0.94, deadc=0.9, muon_efficiency=1.0
        ),
        error_3d=errors[0] if errors else np.empty(0),
        error_2d=errors[1] if errors else np.empty(0),
        systematic=0.07,
    )


def test_an_image_is_read_with_its_errors(tmp_path: Path) -> None:
    model = _model()
    write_bkg_3d(tmp_path / "x.fits", model, header=HEADER, origin=Origin())
    found = read_file_model(tmp_path / "x.fits")
    assert found.is_3d
    np.testing.assert_allclose(found.energy_edges, AXES.energy_edges)
    np.testing.assert_allclose(found.field_edges[0], AXES.fov_lon_edges)
    np.testing.assert_allclose(found.field_edges[1], AXES.fov_lat_edges)
    np.testing.assert_allclose(found.rate, model.bkg_3d)
    np.testing.assert_allclose(found.error, model.error_3d)
    assert found.fov_alignment == "ALTAZ"
    assert (found.systematic, found.deadc) == (0.07, 0.9)
    assert found.ontime == pytest.approx(8000.0)
    assert read_file_run(tmp_path / "x.fits") == 7


def test_rings_are_read_without_a_frame(tmp_path: Path) -> None:
    model = _model(obs_id=-1, has_errors=False)
    write_bkg_2d(tmp_path / "x.fits", model, header=HEADER, origin=Origin())
    found = read_file_model(tmp_path / "x.fits")
    assert not found.is_3d
    np.testing.assert_allclose(found.rate, model.bkg_2d)
    assert found.error.size == 0
    assert found.fov_alignment == ""
    assert read_file_run(tmp_path / "x.fits") is None


def test_a_model_beside_events_of_the_release_is_mirrored(tmp_path: Path) -> None:
    model = _model()
    write_bkg_3d(tmp_path / "x.fits", model, header=HEADER, origin=Origin())
    with fits.open(tmp_path / "x.fits") as hdus:
        events = fits.BinTableHDU.from_columns([], name="EVENTS")
        events.header["CREATOR"] = "SASH FITS::EventListWriter"
        events.header["HDUVERS"] = "0.2"
        hdus.append(events)
        hdus.writeto(tmp_path / "y.fits")
    found = read_file_model(tmp_path / "y.fits")
    np.testing.assert_allclose(found.rate, model.bkg_3d[:, ::-1])
    np.testing.assert_allclose(found.error, model.error_3d[:, ::-1])
    np.testing.assert_allclose(found.field_edges[0], np.linspace(-3.0, 2.0, 5))
    assert found.fov_alignment == "RADEC"


@pytest.mark.parametrize("read", [read_file_model, read_file_run])
def test_a_file_without_a_model_is_told(tmp_path: Path, read) -> None:  # type: ignore[no-untyped-def]
    fits.HDUList([fits.PrimaryHDU()]).writeto(tmp_path / "x.fits")
    with pytest.raises(InputError, match=r"x\.fits: .*no HDU of class BKG.*GADF"):
        read(tmp_path / "x.fits")


@pytest.mark.parametrize("read", [read_file_model, read_file_run])
def test_a_damaged_file_is_told(tmp_path: Path, read) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "x.fits"
    write_bkg_3d(path, _model(), header=HEADER, origin=Origin())
    path.write_bytes(path.read_bytes()[:7000])
    with pytest.raises(InputError, match=r"x\.fits: "):
        read(path)


def test_the_release_is_read_as_gammapy_mirrors_it(hess_store: Path) -> None:
    models = StoreModels(hess_store)
    assert len(models.obs_ids) == 105
    found = models.read(20136)
    assert found.fov_alignment == "RADEC"
    assert found.error.size == 0
    assert np.isnan([found.systematic, found.deadc, found.ontime]).all()
    path = hess_store / "data" / "hess_dl3_dr1_obs_id_020136.fits.gz"
    raw = fits.getdata(path, "BKG")["BKG"][0]
    np.testing.assert_allclose(
        found.rate.sum(axis=(0, 2)), raw.sum(axis=(0, 2))[::-1] * 1e6, rtol=1e-3
    )
    # the whole file, taken by itself, is mirrored likewise
    np.testing.assert_array_equal(read_file_model(path).rate, found.rate)


def test_a_run_that_a_store_does_not_have_is_told(hess_store: Path) -> None:
    with pytest.raises(InputError, match=r"run 1 of .*bkg row"):
        StoreModels(hess_store).read(1)


def test_a_folder_that_is_no_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"hdu-index"):
        StoreModels(tmp_path)
