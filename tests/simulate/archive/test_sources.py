from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from gammapy.modeling.models import (
    FoVBackgroundModel,
    GaussianSpatialModel,
    Models,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
)

from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.simulate.archive.responses import ResponseRow, built_in_responses
from bkgpipe.simulate.archive.sources import (
    draw_model_events,
    model_regions,
    read_models,
)

_DAY = 86400.0
_CRAB = (83.63, 22.01)


def _point(name: str = "point", **place: float) -> SkyModel:
    lon, lat = place.get("lon", _CRAB[0]), place.get("lat", _CRAB[1])
    return SkyModel(
        spectral_model=PowerLawSpectralModel(
            index=2.4, amplitude=3.5e-11 * u.Unit("cm-2 s-1 TeV-1")
        ),
        spatial_model=PointSpatialModel(
            lon_0=lon * u.deg, lat_0=lat * u.deg, frame="icrs"
        ),
        name=name,
    )


def _wide(sigma: float = 0.3) -> SkyModel:
    model = _point("wide")
    model.spatial_model = GaussianSpatialModel(
        lon_0=_CRAB[0] * u.deg, lat_0=22.5 * u.deg, sigma=sigma * u.deg, frame="icrs"
    )
    return model


def _file(folder: Path, *models: Any) -> Path:
    path = folder / "models.yaml"
    Models(list(models)).write(path)
    return path


@pytest.fixture
def run(run: Run) -> Run:
    stop = run.time_start + 5000 / _DAY
    place = {"ra": 83.63, "dec": 21.51}
    return replace(run, obs_id=5, deadc=0.9, ontime=5000.0, time_stop=stop, **place)


def _gti(run: Run) -> np.ndarray:
    return np.array([[run.time_start, run.time_stop]])


def _draw(run: Run, path: Path, *, seed: int = 1, gti: np.ndarray | None = None) -> Any:
    return draw_model_events(
        run,
        [path],
        gti=_gti(run) if gti is None else gti,
        responses=(path.parent, ()),
        offset_max=4.0,
        seed=(seed, run.obs_id),
    )


def test_a_point_has_the_events_that_its_flux_gives(run: Run, tmp_path: Path) -> None:
    (events,) = _draw(run, _file(tmp_path, _point()))
    area = built_in_responses()["aeff"]
    energy = np.geomspace(0.011, 199.0, 4000) * u.TeV
    flux = _point().spectral_model(energy)
    value = flux * area.evaluate(energy_true=energy, offset=0.5 * u.deg)
    expected = (np.trapezoid(value, energy) * 5000 * u.s * 0.9).to_value("")
    assert 300 < expected < 5000
    assert events.ra.size == pytest.approx(expected, abs=4 * np.sqrt(expected))
    error = 5 * 0.07 / np.sqrt(expected)
    assert (events.ra.mean() - 83.63) * np.cos(0.384) == pytest.approx(0.0, abs=error)
    assert events.dec.mean() == pytest.approx(22.01, abs=error)
    assert events.dec.std() == pytest.approx(0.07, rel=0.15)
    assert events.time.min() >= run.time_start
    assert events.time.max() <= run.time_stop


def test_a_wide_source_is_wide(run: Run, tmp_path: Path) -> None:
    (events,) = _draw(run, _file(tmp_path, _wide()))
    assert events.dec.std() == pytest.approx(np.hypot(0.3, 0.07), rel=0.1)
    assert events.dec.mean() == pytest.approx(22.5, abs=0.06)


def test_events_follow_the_intervals(run: Run, tmp_path: Path) -> None:
    start = run.time_start
    gti = start + np.array([[0.0, 1000.0], [3000.0, 5000.0]]) / _DAY
    first, second = _draw(run, _file(tmp_path, _point()), gti=gti)
    for events, interval in zip((first, second), gti, strict=True):
        assert interval[0] <= events.time.min()
        assert events.time.max() <= interval[1]
    assert second.ra.size == pytest.approx(2 * first.ra.size, rel=0.4)


def test_equal_seeds_give_equal_events(run: Run, tmp_path: Path) -> None:
    path = _file(tmp_path, _point())
    (one,), (same,), (other,) = (_draw(run, path, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.energy, same.energy)
    assert other.energy.size != one.energy.size or other.energy[0] != one.energy[0]


def test_a_source_that_is_not_seen_costs_nothing(run: Run, tmp_path: Path) -> None:
    assert _draw(run, _file(tmp_path, _point(lat=-50.0))) == []


def test_a_dark_source_has_no_events(run: Run, tmp_path: Path) -> None:
    model = _point()
    model.spectral_model.amplitude.value = 0.0
    (events,) = _draw(run, _file(tmp_path, model))
    assert events.ra.size == events.time.size == 0


def test_models_are_a_catalogue(tmp_path: Path) -> None:
    point, wide = model_regions(_file(tmp_path, _point(), _wide()))
    assert (point.name, point.ra, point.dec) == ("point", *_CRAB)
    assert point.extension == 0.0
    assert wide.extension == pytest.approx(0.3)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: .*cannot be read.*with gammapy"):
        read_models(tmp_path / "none.yaml")


def test_all_that_is_no_source_is_named_at_once(tmp_path: Path) -> None:
    shapeless = SkyModel(spectral_model=PowerLawSpectralModel(), name="shapeless")
    background = FoVBackgroundModel(dataset_name="any", name="bkg")
    path = _file(tmp_path, _point(), shapeless, background)
    with pytest.raises(
        InputError, match=r"2 of 3 .*\n.*shapeless: .*\n.*bkg: "
    ) as caught:
        read_models(path)
    assert "spatial model each" in caught.value.fix


def test_responses_that_are_not_there_are_named(run: Run, tmp_path: Path) -> None:
    row = ResponseRow("aeff", "aeff_2d", "absent.fits", "AEFF")
    with pytest.raises(InputError, match=r"run 5, source point .*other responses"):
        draw_model_events(
            run,
            [_file(tmp_path, _point())],
            gti=_gti(run),
            responses=(tmp_path, (row,)),
            offset_max=4.0,
            seed=(1,),
        )
