from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bkgpipe.datamodel import Binning, Run, StoreSample

RUN = Run(
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


def _run(obs_id: int = 1, **changes: Any) -> Run:
    return replace(RUN, obs_id=obs_id, **changes)


def _binning(**changes: np.ndarray) -> Binning:
    axes = {
        "energy_edges": np.geomspace(0.1, 100.0, 5),
        "fov_lon_edges": np.linspace(-2.5, 2.5, 7),
        "fov_lat_edges": np.linspace(-2.5, 2.5, 9),
        "offset_edges": 2.5 * np.sqrt(np.linspace(0.0, 1.0, 6)),
    }
    return Binning(**(axes | changes))


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Run]:
    """Factory `make_run(obs_id=1, **changes)`: a H.E.S.S.-like run on the Crab."""
    return _run


@pytest.fixture(scope="session")
def make_binning() -> Callable[..., Binning]:
    """Factory `make_binning(**changes)`: 4 energies, 6 x 8 in the field, 5 offsets."""
    return _binning


@pytest.fixture(scope="session")
def make_offsets() -> Callable[[float], np.ndarray]:
    """Factory: offsets of events that fill a field of this radius evenly [deg]."""
    return lambda radius: radius * np.sqrt(np.linspace(0, 1, 30_000))


@pytest.fixture(scope="session")
def make_sample() -> Callable[..., StoreSample]:
    """Factory: 30,000 events, a quarter of a store of 4 h that the defaults fit."""

    def make(**changes: Any) -> StoreSample:
        offset = 2.5 * np.sqrt(np.linspace(0, 1, 30_000))
        given = {
            "runs": tuple(
                _run(
                    obs_id, livetime=1800.0, safe_energy_min=0.3, azimuth=45.0 * obs_id
                )
                for obs_id in range(8)
            ),
            "n_read": 2,
            "hours_read": 1.0,
            "energy": np.geomspace(0.2, 60, offset.size),
            "offset": offset,
            "fov_limit": 2.5,
            "has_area": True,
        }
        return StoreSample(**(given | changes))

    return make
