"""Make BAccMod's models of the runs of each fold from those of the other folds.

`score_baccmod.py` starts this in an interpreter that has BAccMod; it needs nothing of
bkgpipe. Usage: ``python rival_baccmod_store.py job.json``.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from baccmod import RadialAcceptanceMapCreator
from gammapy.data import DataStore
from gammapy.maps import MapAxis
from regions import CircleSkyRegion


class _NearRegions(RadialAcceptanceMapCreator):
    """The same, but each run is only asked for the regions near its field.

    All regions in each run give the same masks, and take some ten times as long.
    """

    def _create_map(
        self, obs: Any, geom: Any, exclude_regions: Any, add_bkg: bool = False
    ) -> Any:
        del exclude_regions  # all of them
        near = self._get_exclusion_regions_for_obs(obs)
        return super()._create_map(obs, geom, near, add_bkg)


def main(job: dict[str, Any]) -> None:
    """Write a model for each run of each fold."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    store = DataStore.from_dir(job["store"])
    maker = _make(job)
    everyone = [obs_id for fold in job["folds"] for obs_id in fold]
    for number, fold in enumerate(job["folds"], start=1):
        started = time.process_time()
        others = sorted(set(everyone) - set(fold))
        models = maker.create_acceptance_map_per_observation(
            store.get_observations(fold, required_irf=[]),
            off_observations=store.get_observations(others, required_irf=[]),
            zenith_binning=True,
            zenith_interpolation=True,
            runwise_normalisation=False,
        )
        for obs_id, model in models.items():
            hdu = model.to_table_hdu()
            hdu.name = "BACKGROUND"
            path = Path(job["models"], f"bkg_{obs_id}.fits")
            hdu.writeto(path, overwrite=True)
        seconds = time.process_time() - started
        print(f"BAccMod, fold {number}: {len(models)} models, {seconds:.0f} s of CPU")
        sys.stdout.flush()


def _make(job: dict[str, Any]) -> RadialAcceptanceMapCreator:
    energy = MapAxis.from_energy_edges(np.array(job["energy_edges"]) * u.TeV)
    offset = MapAxis.from_bounds(
        0.0, 2.5, nbin=job["offset_bins"], unit="deg", name="offset"
    )
    return _NearRegions(
        energy,
        offset,
        exclude_regions=[_circle(*circle) for circle in job["circles"]],
        cos_zenith_binning_method="min_livetime",
        cos_zenith_binning_parameter_value=job["livetime"],
    )


def _circle(ra: float, dec: float, radius: float) -> CircleSkyRegion:
    return CircleSkyRegion(SkyCoord(ra, dec, unit="deg"), radius * u.deg)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
