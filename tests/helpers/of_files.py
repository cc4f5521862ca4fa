from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from bkgpipe.core.binning import Binning
from bkgpipe.core.product import ProductHeader
from bkgpipe.core.run import Run
from bkgpipe.stages.count.data import Conservation, ControlEvents, RunCounts

BINNING = Binning(
    energy_edges=np.geomspace(0.1, 100.0, 4),
    fov_lon_edges=np.linspace(-2.0, 2.0, 5),
    fov_lat_edges=np.linspace(-2.0, 2.0, 6),
    offset_edges=np.linspace(0.0, 2.0, 7),
)
CLOCK = {"MJDREFI": 51910, "MJDREFF": 0.000742870370370241, "TIMESYS": "TT"}


@pytest.fixture(scope="session")
def run(make_run: Callable[..., Run]) -> Run:
    """Run 7, with numbers that tell one column from another."""
    return make_run(
        7,
        zenith=47.5,
        azimuth=12.5,
        ontime=1600.0,
        livetime=1440.0,
        time_start=53343.9,
        time_stop=53343.9 + 1600.0 / 86400.0,
        muon_efficiency=0.93,
        nsb=float("nan"),
        events_file="data/run_7.fits",
        file_size=100,
        file_time=5,
    )


@pytest.fixture
def binning() -> Binning:
    return BINNING


@pytest.fixture
def header() -> ProductHeader:
    return ProductHeader(
        stage="count", fingerprint="3fa9c1", inputs="a1b2", seconds=1.5, version="0.1"
    )


@pytest.fixture
def make_counts(run: Run) -> Callable[[int], RunCounts]:
    """Factory `make_counts(obs_id)`: random histograms of a run."""
    return partial(_make_counts, run)


def _make_counts(run: Run, obs_id: int) -> RunCounts:
    rng = np.random.default_rng(obs_id)
    n_energy, n_lon, n_lat = BINNING.shape_3d
    n_offset = BINNING.shape_2d[1]
    return RunCounts(
        run=replace(run, obs_id=obs_id),
        binning=BINNING,
        counts_3d=rng.poisson(300.0, (n_energy, n_lon, n_lat)),
        counts_2d=rng.poisson(3.0, (n_energy, n_offset)),
        solid_angle_3d=rng.random((n_lon, n_lat)),
        solid_angle_2d=rng.random(n_offset) * 1e-4,
        is_safe=np.array([False, True, True]),
        safe_energy_min=0.5,
        safe_energy_origin="table",
        ontime=1600.0,
        livetime=1440.0,
        position_angle=-170.0,
        conservation=Conservation(n_read=10, n_invalid=1, n_kept=9),
        control=ControlEvents(
            counts_outer=4,
            exposure_outer=2.5,
            counts_low=3,
            exposure_low=0.0,
            counts_rim=2,
            exposure_rim=1.5,
        ),
        checksum="ab" * 32,
    )


@pytest.fixture
def make_events() -> Callable[..., fits.HDUList]:
    """Factory `make_events(n_events=5, *, header={}, drop=(), units={}, gti=...)`."""
    return _make_events


def _make_events(
    n_events: int = 5,
    *,
    header: dict[str, Any] | None = None,
    drop: tuple[str, ...] = (),
    units: dict[str, str | None] | None = None,
    gti: list[tuple[float, float]] | None = None,
) -> fits.HDUList:
    defaults = {"RA": "deg", "DEC": "deg", "ENERGY": "TeV", "TIME": "s"}
    kinds = {"RA": "E", "DEC": "E", "ENERGY": "E", "TIME": "D"}
    steps = np.arange(n_events)
    values = {
        "RA": 83.5 + 0.1 * steps,
        "DEC": 22.0 + 0.2 * steps,
        "ENERGY": 0.5 * (1.0 + steps),
        "TIME": 123892000.0 + 100.0 * steps,
    }
    columns = [
        fits.Column(name, kinds[name], unit=unit, array=values[name])
        for name, unit in (defaults | (units or {})).items()
        if name not in drop
    ]
    events = fits.BinTableHDU.from_columns(columns, name="EVENTS")
    keys = CLOCK | {
        "OBS_ID": 7,
        "RA_PNT": 83.63,
        "DEC_PNT": 22.51,
        "TSTART": 123892000.0,
        "TSTOP": 123893600.0,
    }
    for key, value in (keys | (header or {})).items():
        if value is not None:
            events.header[key] = value
    hdus = fits.HDUList([fits.PrimaryHDU(), events])
    if gti != []:
        hdus.append(_make_gti(gti or [(123892000.0, 123893600.0)]))
    return hdus


def _make_gti(intervals: list[tuple[float, float]]) -> fits.BinTableHDU:
    start, stop = np.array(intervals).T
    columns = [
        fits.Column("START", "D", unit="s", array=start),
        fits.Column("STOP", "D", unit="s", array=stop),
    ]
    gti = fits.BinTableHDU.from_columns(columns, name="GTI")
    gti.header.update(CLOCK)
    return gti


@pytest.fixture
def observations() -> Table:
    """Observation index of three runs, not in order, without optional columns."""
    table = Table()
    table["OBS_ID"] = [9, 7, 8]
    table["RA_PNT"] = [10.0, 83.63, 20.0]
    table["DEC_PNT"] = [-10.0, 22.51, -20.0]
    table.meta.update(CLOCK)
    return table


@pytest.fixture
def hdu_rows() -> Table:
    """HDU index of the same runs; run 9 has no events."""
    table = Table()
    table["OBS_ID"] = [7, 7, 8]
    table["HDU_TYPE"] = ["aeff", "events", "EVENTS "]
    table["FILE_DIR"] = ["data", "data", "data"]
    table["FILE_NAME"] = ["irf_7.fits", "run_7.fits", "run_8.fits"]
    table["HDU_NAME"] = ["AEFF", "EVENTS", "EVENTS"]
    return table


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., Path]:
    """Factory `make_store(observations, hdu_rows, ending=".fits")`."""

    def _make_store(
        observations: Table, hdu_rows: Table, *, ending: str = ".fits"
    ) -> Path:
        store = tmp_path / "store"
        (store / "data").mkdir(parents=True)
        observations.write(store / f"obs-index{ending}", format="fits")
        hdu_rows.write(store / f"hdu-index{ending}", format="fits")
        return store

    return _make_store
