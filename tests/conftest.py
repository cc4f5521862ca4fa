from __future__ import annotations

import fcntl
import gc
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

# As in the command: the arrays of tests are small, and threads that wait for each
# other take several times the CPU time of the work. To be said before NumPy loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import hypothesis
import luigi
import numpy as np
import pytest
from astropy.io import fits

from bkgpipe.chain.inputs import forget
from bkgpipe.core.run import Run
from bkgpipe.flow import MakeProduction, StageTask, report
from bkgpipe.settings import settings_template
from bkgpipe.simulate.archive.data import PointSource, Simulation
from bkgpipe.simulate.archive.make import write_simulated_store
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.tools.monitor.data import (
    Change,
    Monitor,
    MonitorBins,
    RunCurve,
    RunLevel,
    RunRates,
    SearchLimits,
    ZenithLaw,
)

# How long an example takes says how busy the machine is
hypothesis.settings.register_profile("bkgpipe", deadline=None)
hypothesis.settings.load_profile("bkgpipe")

pytest_plugins = [
    "of_arrays",
    "of_commands",
    "of_files",
    "of_forks",
    "of_pictures",
    "of_settings",
]

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

_RUN = Run(
    obs_id=1,
    target="Crab",
    ra=83.63,
    dec=22.51,
    zenith=49.3,
    azimuth=23.0,
    ontime=1680.0,
    livetime=1512.0,
    deadc=0.9,
    time_start=53343.92,
    time_stop=53343.92 + 1680.0 / 86400.0,
    muon_efficiency=0.9,
    nsb=1.0,
    telescopes="1,2,3,4",
    quality=0,
    safe_energy_min=0.5,
    longitude=16.5002,
    latitude=-23.2717,
    altitude=1835.0,
    events_file="data/hess_dl3_dr1_obs_id_000001.fits.gz",
    events_hdu="EVENTS",
    file_size=1000,
    file_time=1,
)


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what was imported, which stays anyway."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Run]:
    """Factory `make_run(obs_id=1, **changes)`: a H.E.S.S.-like run on the Crab."""

    def make(obs_id: int = 1, **changes: Any) -> Run:
        return replace(_RUN, obs_id=obs_id, **changes)

    return make


@pytest.fixture(scope="session")
def halve_good_time() -> Callable[[Path], None]:
    """End the good time intervals of events files in the middle of their runs."""

    def halve(path: Path) -> None:
        with fits.open(path, memmap=False) as hdus:
            gti = hdus["GTI"].data
            gti["STOP"] = (gti["START"] + gti["STOP"]) / 2
            hdus.writeto(path, overwrite=True)

    return halve


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
def make_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, Callable[[Path], None]], Path]:
    """Factory `make_once(name, fill)`: a folder that all processes of a session read.

    The first that asks for it fills it, while the others wait.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    (root / "once").mkdir(exist_ok=True)

    def make(name: str, fill: Callable[[Path], None]) -> Path:
        folder = root / "once" / name
        done = folder.with_name(f"{name}.done")
        with folder.with_name(f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def simulate_archive(make_once: Callable[..., Path]) -> Callable[..., Path]:
    """Factory `simulate_archive(*, duration, seed)`: a store of runs 1001 to 1008.

    To be read and copied only.
    """

    def simulate(*, duration: float, seed: int) -> Path:
        simulation = Simulation(
            n_runs=8,
            first_obs_id=1001,
            duration=duration,
            seed=seed,
            sources=(PointSource(fov_lon=0.5, fov_lat=0.2, rate=0.2),),
        )

        def fill(folder: Path) -> None:
            # like most stores without checksums: tests may change what they like
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("bkgpipe.store.fits_file.with_sums", bytes)
                write_simulated_store(
                    folder / "store", simulation=simulation, truth=Truth()
                )

        return make_once(f"archive-{duration}-{seed}", fill) / "store"

    return simulate


@pytest.fixture(scope="session")
def _archive(simulate_archive: Callable[..., Path]) -> Path:
    return simulate_archive(duration=300, seed=3)


def _make_production(folder: Path, changes: dict[str, str]) -> MakeProduction:
    given = _GIVEN | {key.replace("__", "."): text for key, text in changes.items()}
    config = folder / "luigi.cfg"
    config.write_text(settings_template(given), encoding="utf-8")
    forget()
    return MakeProduction(config=str(config))


@pytest.fixture
def production(
    _archive: Path, tmp_path: Path
) -> Iterator[Callable[..., MakeProduction]]:
    """Make a `MakeProduction` on a copy of the archive that a test may damage."""
    shutil.copytree(_archive, tmp_path / "store")
    yield lambda **changes: _make_production(tmp_path, changes)
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


@pytest.fixture
def finish(
    production: Callable[..., MakeProduction],
    build: Callable[[StageTask], bool],
    make_once: Callable[..., Path],
    _archive: Path,
    tmp_path: Path,
) -> Callable[..., MakeProduction]:
    """Make a `MakeProduction` that is done: a copy of the one that the session makes.

    Copies take milliseconds more than links, and tests may cut and change them.
    """

    def make(**changes: str) -> MakeProduction:
        def fill(folder: Path) -> None:
            shutil.copytree(_archive, folder / "store")
            assert build(_make_production(folder, changes))

        name = sha256(json.dumps(changes, sort_keys=True).encode()).hexdigest()[:12]
        made = make_once(f"production-{name}", fill)
        shutil.copytree(made / "out", tmp_path / "out", dirs_exist_ok=True)
        task = production(**changes)
        assert task.complete()
        return task

    return make


@pytest.fixture(scope="session")
def make_run_rates() -> Callable[..., RunRates]:
    """Factory: counts of a run of 14 x 2 min, 2 energies, 3 offsets, as expected."""
    return _make_run_rates


def _make_run_rates(counts: np.ndarray | None = None, **changes: Any) -> RunRates:
    if counts is None:
        counts = np.full((14, 2, 3), 100)
    n_time = len(counts)
    given = {
        "obs_id": 7,
        "target": "Crab",
        "time_edges": 53343.9 + np.arange(n_time + 1) / 720.0,
        "livetime": np.full(n_time, 108.0),
        "zenith": np.full(n_time, 20.0),
        "counts": counts,
        "gaps": np.empty((0, 2)),
        "gap_log_p": np.empty(0),
        "n_read": int(counts.sum()),
        "n_invalid": 0,
        "n_outside_gti": 0,
        "n_outside_bins": 0,
        "is_tracked": True,
    }
    return RunRates(**(given | changes))


@pytest.fixture(scope="session")
def monitor_bins() -> MonitorBins:
    """Bins of `make_run_rates`."""
    return MonitorBins(
        time_bin=120.0,
        energy_edges=np.array([0.01, 0.5, 200.0]),
        offset_edges=np.array([0.0, 1.0, 1.8, 2.5]),
    )


@pytest.fixture(scope="session")
def no_law() -> ZenithLaw:
    """Zenith law of a rate that does not depend on the zenith angle."""
    return ZenithLaw(coefficients=np.zeros((3, 2)), errors=np.zeros((3, 2)), n_runs=20)


@pytest.fixture
def make_monitor(
    monitor_bins: MonitorBins, no_law: ZenithLaw
) -> Callable[..., Monitor]:
    """Factory: run 7 with a drop, a burst and a gap, run 8 too low, run 9 left out."""
    rates = tuple(_make_run_rates(obs_id=obs_id) for obs_id in (7, 8))
    curve = RunCurve(
        rates=rates[0],
        expected=np.full(14, 600.0),
        expected_bands=np.full((14, 2, 3), 100.0),
        changes=(
            _make_change(kind="drop", change=-0.4, band="0 to 1 deg", band_change=-0.7),
            _make_change(kind="burst", change=0.5),
            _make_change(kind="gap", change=-1.0, p_value=0.0),
        ),
    )
    levels = tuple(
        RunLevel(
            obs_id=obs_id,
            target="Crab",
            time=53343.9,
            zenith=20.0,
            rate=rate,
            expected=5.0,
            error=0.1,
            is_outlier=rate < 4,
        )
        for obs_id, rate in ((7, 5.1), (8, 2.5))
    )
    given = {
        "bins": monitor_bins,
        "limits": SearchLimits(),
        "rates": rates,
        "law": no_law,
        "curves": (curve,),
        "levels": levels,
        "level_exponent": 1.4,
        "scatter": 0.1,
        "left_out": {9: "its file is gone"},
    }
    return lambda **changes: Monitor(**(given | changes))


def _make_change(**changes: Any) -> Change:
    given = {
        "obs_id": 7,
        "target": "Crab",
        "start": 53343.9,
        "stop": 53343.9 + 4 / 1440,
        "start_minute": 0.0,
        "stop_minute": 4.0,
        "error": 0.03,
        "significance": 9.0,
        "p_value": 1e-9,
        "band_error": 0.05,
    }
    return Change(**(given | changes))
