from __future__ import annotations

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from gammapy.irf import Background2D, Background3D
from gammapy.maps import MapAxis
from gammapy.modeling.models import create_cosmic_ray_spectral_model

from bkgpipe.errors import InputError
from bkgpipe.simulate.archive.record import file_digest
from bkgpipe.simulate.mixing.inputs import foreign_events, own_file
from bkgpipe.simulate.mixing.rates import (
    background_limits,
    background_rate,
    cosmic_counts,
    live_time,
    own_model,
    read_background,
    read_responses,
)
from bkgpipe.store.store import read_runs

ENERGY = MapAxis.from_energy_edges(np.geomspace(0.2, 50.0, 8), unit="TeV")


def _field(name: str, n_bins: int) -> MapAxis:
    return MapAxis.from_edges(np.linspace(-3, 3, n_bins + 1), unit="deg", name=name)


def _model(alignment: str = "RADEC") -> Background3D:
    lon, lat = _field("fov_lon", 12), _field("fov_lat", 10)
    spectrum = ENERGY.center.value[:, np.newaxis, np.newaxis] ** -2.5
    field = np.exp(0.3 * lon.center.value[:, np.newaxis] - 0.1 * lat.center.value)
    return Background3D(
        axes=[ENERGY, lon, lat],
        data=spectrum * field,
        unit="s-1 TeV-1 sr-1",
        fov_alignment=alignment,
    )


def _write(path, *hdus) -> None:
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)


def _table(model) -> fits.BinTableHDU:
    hdu = model.to_table_hdu()
    hdu.name = "BACKGROUND"
    hdu.header["HDUCLAS2"] = "BKG"
    return hdu


def test_rates_are_those_of_the_model_up_to_its_edges():
    lon, lat = np.array([[0.3, -2.9]]), np.array([[0.2, 2.5]])
    energy = np.array([0.1, 0.2, 1.0, 50.0, 60.0])

    rate, alignment = background_rate(_model(), energy=energy, fov_lon=lon, fov_lat=lat)

    expected = energy[:, np.newaxis, np.newaxis] ** -2.5 * np.exp(0.3 * lon - 0.1 * lat)
    assert rate.shape == (5, 1, 2)
    np.testing.assert_allclose(rate[1:4], expected[1:4], rtol=1e-6)
    # outside its energies there is none
    assert (rate[[0, 4]] == 0).all()
    assert alignment == "RADEC"


@pytest.mark.parametrize(
    ("given", "sign", "expected"),
    [("ALTAZ", 1, "ALTAZ"), ("RADEC", 1, "RADEC"), ("REVERSE_LON_RADEC", -1, "RADEC")],
)
def test_alignments_and_the_mirrored_one(given, sign, expected):
    lon, lat = np.array([[1.0]]), np.array([[0.0]])

    rate, alignment = background_rate(
        _model(given), energy=np.array([1.0]), fov_lon=lon, fov_lat=lat
    )

    assert rate[0, 0, 0] == pytest.approx(np.exp(0.3 * sign))
    assert alignment == expected


def test_a_radial_model_is_looked_up_by_its_offset():
    offset = MapAxis.from_edges(np.linspace(0, 4, 9), unit="deg", name="offset")
    data = np.outer(np.ones(7), np.exp(-offset.center.value))
    model = Background2D(axes=[ENERGY, offset], data=data, unit="s-1 TeV-1 sr-1")
    lon, lat = np.array([[1.5, 0.0]]), np.array([[0.0, 2.0]])

    rate, alignment = background_rate(
        model, energy=np.array([1.0]), fov_lon=lon, fov_lat=lat
    )

    np.testing.assert_allclose(rate[0, 0], np.exp([-1.5, -2.0]), rtol=1e-6)
    assert alignment == "RADEC"


def test_a_model_is_read_from_its_file(tmp_path):
    _write(tmp_path / "model.fits", _table(_model("ALTAZ")))

    model = read_background(tmp_path / "model.fits")

    assert model.fov_alignment == "ALTAZ"
    np.testing.assert_allclose(model.data, _model().data)
    assert background_limits(model) == pytest.approx((0.2, 50.0))
    assert len(file_digest(tmp_path / "model.fits")) == 64


def test_a_file_without_a_model_is_refused(tmp_path):
    _write(tmp_path / "none.fits")
    _write(tmp_path / "two.fits", _table(_model()), _table(_model()))

    with pytest.raises(InputError, match=r"has 0 background tables.*GADF"):
        read_background(tmp_path / "none.fits")
    with pytest.raises(InputError, match="has 2 background tables"):
        read_background(tmp_path / "two.fits")
    with pytest.raises(InputError, match=r"gone\.fits.*cannot be read"):
        read_background(tmp_path / "gone.fits")


def test_rates_must_be_rates(tmp_path):
    model = _model()
    model.data[0, 1, 2] = -1.0
    model.data[1, 2, 3] = np.nan
    _write(tmp_path / "model.fits", _table(model))

    with pytest.raises(InputError, match="2 of 840 rates are negative or not finite"):
        read_background(tmp_path / "model.fits")


def test_own_models_of_real_runs_are_mirrored(hess_store):
    run = read_runs(hess_store).runs[0]

    assert own_model(hess_store, run).fov_alignment == "REVERSE_LON_RADEC"
    assert own_file(hess_store, run).endswith("020136.fits.gz")
    assert own_file(hess_store, replace(run, obs_id=1)) == ""


def test_a_run_without_a_model_is_refused(hess_store):
    run = replace(read_runs(hess_store).runs[0], obs_id=1)

    with pytest.raises(InputError, match=r"run 1 of .*no background model"):
        own_model(hess_store, run)


def test_missing_responses_are_refused(hess_store):
    run = replace(read_runs(hess_store).runs[0], obs_id=1)

    with pytest.raises(InputError, match=r"run 1 of .*aeff, edisp cannot be read"):
        read_responses(hess_store, run, names=("aeff", "edisp"))


def test_electrons_are_folded_as_an_integral_says(hess_store):
    run = read_runs(hess_store).runs[0]
    responses = read_responses(hess_store, run, names=("aeff", "edisp"))
    edges, offsets = np.array([0.8, 1.0, 1.6]), np.array([0.3, 1.1, 2.1])

    counts = cosmic_counts(responses, energy_edges=edges, offsets=offsets)

    true = np.geomspace(0.1, 20.0, 3000)
    # gammapy's flux is that of the whole sky
    flux = create_cosmic_ray_spectral_model("electron")(true * u.TeV) / (
        4 * np.pi * u.sr
    )
    expected = np.zeros(counts.shape)
    for column, offset in enumerate(offsets * u.deg):
        area = responses.aeff.evaluate(energy_true=true * u.TeV, offset=offset)
        weight = (flux * area).to_value("s-1 sr-1 TeV-1")
        for row in range(2):
            energy = np.linspace(edges[row], edges[row + 1], 21)
            energy = (energy[:-1] + energy[1:]) / 2
            migra = energy[:, np.newaxis] / true
            density = responses.edisp.evaluate(
                energy_true=true * u.TeV, migra=migra, offset=offset
            ).value
            density = np.where((migra > 0.2) & (migra < 5), density, 0) / true
            seen = np.trapezoid(weight * density.mean(axis=0), true)
            expected[row, column] = seen * (edges[row + 1] - edges[row])
    np.testing.assert_allclose(counts, expected, rtol=0.005)
    assert live_time(responses) == pytest.approx(run.livetime, rel=1e-4)


def _store(tmp_path, hdus: fits.HDUList):
    (tmp_path / "data").mkdir()
    hdus.writeto(tmp_path / "data" / "run_7.fits")
    return tmp_path


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (("BKG_TYPE", [0, 0, 0]), ""),
        (("BKG_TYPE", [0, 1, 99]), "2 events have a BKG_TYPE"),
        (("MC_ID", [1, 2, 1]), ""),
        (("MC_ID", [1, 0, 1]), "1 events have MC_ID 0"),
        (("OTHER", [0, 0, 0]), "neither BKG_TYPE nor MC_ID"),
    ],
)
def test_events_that_are_not_signal(make_events, run, tmp_path, *, column, reason):
    hdus = make_events(n_events=3)
    events = hdus["EVENTS"]
    columns = [*events.columns, fits.Column(column[0], "J", array=column[1])]
    hdus["EVENTS"] = fits.BinTableHDU.from_columns(
        columns, header=events.header, name="EVENTS"
    )

    found = foreign_events(_store(tmp_path, hdus), run)

    assert found.startswith(reason)
    assert bool(found) == bool(reason)


def test_no_events_are_no_background(make_events, run, tmp_path):
    assert foreign_events(_store(tmp_path, make_events(n_events=0)), run) == ""
