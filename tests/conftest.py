from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import luigi
import pytest

from bkgpipe.datamodel import PointSource, Simulation, Truth
from bkgpipe.production.inputs import forget
from bkgpipe.settings import settings_template
from bkgpipe.tasks import Production, StageTask, report
from bkgpipe.simulation.store import write_simulated_store

_GIVEN = {
    "data.store": "store",
    "data.output": "out",
    "data.chunk_size": "3",
    "mask.catalogs": "store/sources.ecsv",
    "binning.per_decade": "3",
    "binning.fov_bins": "10",
    "binning.offset_bins": "5",
    "stack.min_hours": "0.1 h",
    "stack.min_counts": "0",
    "stack.azimuth_edges": "0, 360 deg",
    "rank.hours": "0.2 h",
    "smooth.method": "gaussian",
    "select.min_livetime": "1 min",
}


@pytest.fixture(scope="session")
def gammapy_data() -> Path:
    folder = os.environ.get("BKGPIPE_TEST_DATA") or os.environ.get("GAMMAPY_DATA")
    if not folder or not (Path(folder) / "hess-dl3-dr1").is_dir():
        pytest.skip("set GAMMAPY_DATA to a folder with hess-dl3-dr1 to run this test")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def hess_store(gammapy_data: Path) -> Path:
    return gammapy_data / "hess-dl3-dr1"


@pytest.fixture(scope="session")
def _archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive") / "store"
    simulation = Simulation(
        n_runs=8,
        first_obs_id=1001,
        duration=300,
        seed=3,
        sources=(PointSource(fov_lon=0.5, fov_lat=0.2, rate=0.2),),
    )
    write_simulated_store(folder, simulation=simulation, truth=Truth())
    return folder


@pytest.fixture
def production(_archive: Path, tmp_path: Path) -> Iterator[Callable[..., Production]]:
    """Make a `Production` on a copy of the archive that a test may damage."""
    (tmp_path / "store" / "data").mkdir(parents=True)
    for path in _archive.rglob("*"):
        if path.is_file():
            copy = tmp_path / "store" / path.relative_to(_archive)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    forget()

    def make(**changes: str) -> Production:
        given = _GIVEN | {key.replace("__", "."): text for key, text in changes.items()}
        config = tmp_path / "luigi.cfg"
        config.write_text(settings_template(given), encoding="utf-8")
        forget()
        return Production(config=str(config))

    yield make
    forget()


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Callable[[StageTask], bool]:
    """Run a task as Luigi does, in this process."""

    # Drawing takes most of the time of so small a production.
    monkeypatch.setattr(report, "_MAX_MODELS", 1)

    def run(task: StageTask) -> bool:
        forget()
        return bool(luigi.build([task], local_scheduler=True, log_level="CRITICAL"))

    return run
