"""Compare what each method of gammapy's SafeMaskMaker leaves, by background model.

Five runs of H.E.S.S. DL3 DR1 are reduced with bkgpipe's models of all runs and with the
observatory's, on 16 bins a decade from 0.1 TeV, and the mask of each method is made
0.5 deg from the pointing. Printed are the lowest energies that it leaves. gammapy adds
to every method that the background must be above zero; ``offset-max`` shows what that
alone does.
Usage: ``python benchmarks/safe_masks.py FOLDER [--data $GAMMAPY_DATA]``
"""

from __future__ import annotations

import argparse

import astropy.units as u
import numpy as np
from gallery_common import (
    OBSERVATORY,
    common_arguments,
    make_geom,
    make_models,
    open_stores,
    publish,
    rows_to_markdown,
)
from gammapy.data import DataStore, Observation
from gammapy.datasets import MapDataset
from gammapy.makers import MapDatasetMaker, SafeMaskMaker
from gammapy.maps import MapAxis

_RUNS = (20136, 20326, 23523, 33787, 47802)
_METHODS = ("aeff-default", "aeff-max", "edisp-bias", "offset-max", "bkg-peak")
_OWN = "bkgpipe"
_BINS = 16  # a decade
_ENERGY_TRUE = MapAxis.from_energy_bounds(
    "0.05 TeV", "150 TeV", nbin=20, per_decade=True, name="energy_true"
)


def main(arguments: argparse.Namespace) -> None:
    """Make models and masks, and print the energies."""
    stores = {
        _OWN: make_models(arguments).store,
        OBSERVATORY: DataStore.from_dir(arguments.data / "hess-dl3-dr1"),
    }
    safe = dict(stores[OBSERVATORY].obs_table["OBS_ID", "SAFE_ENERGY_LO"].iterrows())
    rows = []
    for obs_id, observations in open_stores(stores, _RUNS).items():
        lowest = {name: _lowest(one) for name, one in observations.items()}
        cells = [_cell(lowest[_OWN][m], lowest[OBSERVATORY][m]) for m in _METHODS]
        zenith = observations[_OWN].get_pointing_altaz(observations[_OWN].tmid).zen.deg
        rows.append([str(obs_id), f"{zenith:.0f}", f"{safe[obs_id]:.2f}", *cells])
    header = ["run", "zenith [deg]", "`SAFE_ENERGY_LO`", *(f"`{m}`" for m in _METHODS)]
    table = rows_to_markdown(header, rows)
    publish(table, name="safe masks", page=arguments.page)


def _lowest(observation: Observation) -> dict[str, float]:
    """Find the lowest energy that each method leaves [TeV]."""
    pointing = observation.get_pointing_icrs(observation.tmid)
    geom = make_geom(pointing, width=5.0, pixel=0.1, bins=_BINS)
    empty = MapDataset.create(geom, energy_axis_true=_ENERGY_TRUE)
    dataset = MapDatasetMaker().run(empty, observation)
    edges = geom.axes["energy"].edges.to_value("TeV")
    lowest = {}
    for method in _METHODS:
        maker = SafeMaskMaker(
            methods=[method], offset_max=2 * u.deg, fixed_offset=0.5 * u.deg
        )
        masked = maker.run(dataset.copy(), observation)
        left = masked.mask_safe.data.any(axis=(1, 2))
        lowest[method] = float(edges[np.argmax(left)]) if left.any() else np.nan
    return lowest


def _cell(own: float, other: float) -> str:
    """One energy if both agree, otherwise that of bkgpipe and the observatory's."""
    same = np.isclose(own, other)
    return f"{own:.2f}" if same else f"{own:.2f} / {other:.2f}"


if __name__ == "__main__":
    main(common_arguments(__doc__ or "").parse_args())
