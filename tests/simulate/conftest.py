from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bkgpipe.settings import settings_template
from bkgpipe.simulate.archive.data import Distribution, PointSource, Simulation
from bkgpipe.simulate.archive.make import write_simulated_store
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.simulate.overlay.settings import OverlaySettings
from bkgpipe.simulate.settings import read_simulate_settings

_NEAR = Distribution(law="uniform", values=(20.0, 25.0))
_OFF = Simulation(
    n_runs=10,
    first_obs_id=101,
    duration=240,
    seed=2,
    zenith=_NEAR,
    sources=(PointSource(fov_lon=1.2, fov_lat=0.5, rate=3.0),),
)
_TARGETS = Simulation(
    n_runs=3,
    first_obs_id=901,
    duration=200,
    seed=4,
    zenith=_NEAR,
    time_start=55200.8,
    sources=(PointSource(fov_lon=-0.6, fov_lat=0.1, rate=0.3),),
)
_NO_BACKGROUND = Truth(norm=1e-12)


@pytest.fixture
def off_simulation() -> Simulation:
    """What the OFF runs are drawn from."""
    return _OFF


@pytest.fixture(scope="session")
def overlay_stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with OFF runs, targets that have a source alone, and a production."""
    folder = tmp_path_factory.mktemp("overlay")
    write_simulated_store(folder / "off", simulation=_OFF, truth=Truth())
    write_simulated_store(folder / "targets", simulation=_TARGETS, truth=_NO_BACKGROUND)
    given = {"data.store": "off", "mask.catalogs": "off/sources.ecsv"}
    given |= {"data.output": "out", "select.min_livetime": "0 s"}
    (folder / "luigi.cfg").write_text(settings_template(given), encoding="utf-8")
    return folder


@pytest.fixture
def make_overlay(overlay_stores: Path) -> Callable[..., OverlaySettings]:
    def make_settings(*overrides: str) -> OverlaySettings:
        given = [
            f"overlay.store={overlay_stores / 'targets'}",
            f"overlay.off_store={overlay_stores / 'off'}",
            f"overlay.production={overlay_stores / 'luigi.cfg'}",
            "overlay.offset_max=2.5 deg",
        ]
        return read_simulate_settings(None, [*given, *overrides]).overlay

    return make_settings
