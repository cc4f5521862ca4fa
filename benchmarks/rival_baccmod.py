"""Make models with BAccMod, and tell the CPU time of each run.

`bench_rivals.py` starts this in an interpreter that has BAccMod; it needs nothing of
bkgpipe. Usage: ``python rival_baccmod.py job.json`` prints one line of JSON.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from baccmod import Grid3DAcceptanceMapCreator, RadialAcceptanceMapCreator
from gammapy.data import DataStore
from gammapy.maps import MapAxis
from regions import CircleSkyRegion

# Of the same number of bins as ours: 20 across the field, 20 in offset
_CREATORS = {
    "2D": (RadialAcceptanceMapCreator, 20),
    "3D": (Grid3DAcceptanceMapCreator, 10),
}


def main(job: dict[str, Any]) -> None:
    """Print the CPU time [s] of each model of each run, and versions."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    store = DataStore.from_dir(job["store"])
    energy = MapAxis.from_energy_edges(np.array(job["energy_edges"]) * u.TeV)
    field = _seconds(job["field"], store, energy, job["offset_max"])
    whole = _seconds(job["all"], store, energy, job["offset_max"])
    names = ("BAccMod", "gammapy", "numpy")
    found = {name: version(name) for name in names}
    print(json.dumps({"field": field, "all": whole, "versions": found}))


def _seconds(
    runs: dict[str, list[list[float]]],
    store: DataStore,
    energy: MapAxis,
    offset_max: float,
) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in _CREATORS}
    for obs_id, circles in runs.items():
        regions = [_circle(*circle) for circle in circles]
        for name, (creator, n_bins) in _CREATORS.items():
            offset = MapAxis.from_bounds(
                0.0, offset_max, nbin=n_bins, unit="deg", name="offset"
            )
            started = time.process_time()
            maker = creator(energy, offset, exclude_regions=regions)
            _make_model(maker, store, int(obs_id))
            seconds[name].append(time.process_time() - started)
    return seconds


def _circle(ra: float, dec: float, radius: float) -> CircleSkyRegion:
    return CircleSkyRegion(SkyCoord(ra, dec, unit="deg"), radius * u.deg)


def _make_model(maker: Any, store: DataStore, obs_id: int) -> None:
    observations = store.get_observations([obs_id], required_irf=[])
    model = maker.create_acceptance_model(observations)
    with TemporaryDirectory() as folder:
        model.to_table_hdu().writeto(Path(folder, "model.fits"))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
