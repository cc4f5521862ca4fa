from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from gammapy.maps import Map, MapAxis
from gammapy.modeling.models import (
    ConstantSpatialModel,
    FoVBackgroundModel,
    Models,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
    create_cosmic_ray_spectral_model,
)

from bkgpipe.errors import InputError
from bkgpipe.geometry.frames import from_fov
from bkgpipe.simulate.mixing.diffuse import diffuse_counts, read_sky_models
from bkgpipe.simulate.mixing.grid import bin_grid, plane_steps, radial_grid
from bkgpipe.simulate.mixing.rates import cosmic_counts, live_time, read_responses
from bkgpipe.store.store import read_runs

ENERGY = np.geomspace(0.7, 20.0, 7)
PLANE = plane_steps(2.0, pixel=0.25)


def _sheet(value: float = 1.0) -> SkyModel:
    return SkyModel(
        spatial_model=ConstantSpatialModel(value=value * u.Unit("sr-1")),
        spectral_model=PowerLawSpectralModel(),
        name="sheet",
    )


def test_models_are_read_from_yaml(tmp_path):
    Models([_sheet()]).write(tmp_path / "sky.yaml")

    assert read_sky_models(tmp_path / "sky.yaml").names == ["sheet"]


def test_a_cube_is_a_model(tmp_path):
    axis = MapAxis.from_energy_bounds(
        0.1, 100, nbin=5, unit="TeV", name="energy_true", node_type="center"
    )
    cube = Map.create(npix=(4, 3), binsz=2, axes=[axis], unit="cm-2 s-1 TeV-1 sr-1")
    cube.data += 1e-9
    cube.write(tmp_path / "cube.fits")

    (model,) = read_sky_models(tmp_path / "cube.fits")

    assert model.spatial_model.is_energy_dependent


def test_an_image_or_text_is_no_model(tmp_path):
    Map.create(npix=(4, 3), binsz=2).write(tmp_path / "image.fits")
    (tmp_path / "text.yaml").write_text("- 1\n")

    for name in ("image.fits", "text.yaml", "gone.yaml"):
        with pytest.raises(InputError, match=r"no model of the sky.*YAML"):
            read_sky_models(tmp_path / name)


def test_only_the_sky_is_diffuse(tmp_path):
    background = FoVBackgroundModel(dataset_name="x")
    Models([_sheet(), background]).write(tmp_path / "both.yaml")

    with pytest.raises(InputError, match="not of the sky"):
        read_sky_models(tmp_path / "both.yaml")


def test_a_sheet_is_seen_as_the_responses_say(hess_store):
    run = read_runs(hess_store).runs[0]
    responses = read_responses(hess_store, run, names=("aeff", "edisp", "psf"))
    electrons = SkyModel(
        spatial_model=ConstantSpatialModel(value=1 / (4 * np.pi) * u.Unit("sr-1")),
        spectral_model=create_cosmic_ray_spectral_model("electron"),
    )

    counts = diffuse_counts(
        responses,
        run,
        Models([electrons]),
        energy_edges=ENERGY,
        plane_edges=PLANE,
        use_psf=False,
    )

    shared = {"energy_edges": ENERGY, "plane_edges": PLANE, "offset_max": 2.0}
    found = bin_grid(counts, fov_alignment="RADEC", **shared)
    offsets = np.linspace(0, 2, 9)
    folded = cosmic_counts(responses, energy_edges=ENERGY, offsets=offsets)
    expected = radial_grid(live_time(responses) * folded, offsets=offsets, **shared)
    # the same by two ways; gammapy takes the energy dispersion at the centre for all
    assert found.total == pytest.approx(expected.total, rel=0.04)


def test_a_point_is_where_it_is_in_the_field(hess_store):
    run = read_runs(hess_store).runs[0]
    responses = read_responses(hess_store, run, names=("aeff", "edisp", "psf"))
    lon, lat = 1.1, -0.4
    ra, dec = from_fov(np.array([lon]), np.array([lat]), pointing=(run.ra, run.dec))
    point = SkyModel(
        spatial_model=PointSpatialModel(
            lon_0=ra[0] * u.deg, lat_0=dec[0] * u.deg, frame="icrs"
        ),
        spectral_model=PowerLawSpectralModel(amplitude="1e-11 cm-2 s-1 TeV-1"),
    )

    counts = diffuse_counts(
        responses,
        run,
        Models([point]),
        energy_edges=ENERGY,
        plane_edges=PLANE,
        use_psf=True,
    )

    centers = (PLANE[:-1] + PLANE[1:]) / 2
    assert counts.shape == (6, centers.size, centers.size)
    image = counts.sum(axis=0)
    assert image.sum() > 1
    assert image.sum(axis=1) @ centers / image.sum() == pytest.approx(lon, abs=0.05)
    assert image.sum(axis=0) @ centers / image.sum() == pytest.approx(lat, abs=0.05)
