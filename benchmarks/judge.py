"""Judge models by their files alone, with masks, bins and scores of its own.

The chain is run five times on H.E.S.S. DL3 DR1, each time without every fifth run, and
the models that it writes for these runs are judged beside those of the observatory.
Nothing of ``bkgpipe validate`` is used: gammapy projects the models on the sky, and
discs around the sources of gamma-cat and 3HWC, with other radii, are left out. Bins are
pixels of 0.25 deg within 2 deg, in seven energy bins from 0.5 to 30 TeV that are wholly
above the safe energy of the run, as far as the run's events of that energy, spread
evenly, would be 0.143 or more in a pixel. What is printed is the Poisson deviance per
bin as predicted, after a free norm of each run, and after one of each run and energy,
no degrees of freedom taken off, and predicted over counted: mean and standard deviation
over runs. The observatory's models are read per live time, which they are.

The code of an earlier judge is lost. It had 1.0184, 1.0069, 0.9976 and a standard
deviation of 0.102 for the observatory's models; radii and the least number of events
were chosen so that these come out again.
Usage: ``python benchmarks/judge.py FOLDER [--data $GAMMAPY_DATA]``
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence

# One thread, also where the shell does not say so: before numpy is loaded
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import astropy.units as u  # noqa: E402
import numpy as np  # noqa: E402
from astropy.coordinates import SkyCoord  # noqa: E402
from astropy.table import Table  # noqa: E402
from gallery_common import (  # noqa: E402
    OBSERVATORY,
    common_arguments,
    make_background,
    make_models,
    open_stores,
    publish,
    rows_to_markdown,
    runs_of,
)
from gammapy.data import DataStore, Observation  # noqa: E402
from gammapy.maps import Map, MapAxis, WcsGeom  # noqa: E402
from scipy.special import xlogy  # noqa: E402

_FOLDS = 5
_OFFSET_MAX, _PIXEL, _FINER = 2.0, 0.25, 5  # deg, deg, parts of a pixel's side
_BINS, _PARTS = 7, 2  # bins, and parts of each in which gammapy integrates the models
_EDGES = np.geomspace(0.5, 30.0, _BINS * _PARTS + 1)  # TeV
_SMALLEST, _LARGEST, _EXTENSIONS = 0.5, 1.5, 3.0  # deg, deg, in units of the extension
_FEWEST = 0.143  # events in a pixel, if those of its run and energy were spread evenly
_LEAST = 1e-6  # events predicted; an event where there are none would be impossible
_OWN = "bkgpipe, runs left out"


def main(arguments: argparse.Namespace) -> None:
    """Make the models of each fold, and print the scores of both."""
    folder = arguments.data / "hess-dl3-dr1"
    release, obs_ids = DataStore.from_dir(folder), sorted(runs_of(folder))
    discs = _discs(arguments)
    found: dict[str, list[np.ndarray]] = {}
    for first in range(_FOLDS):
        fold = obs_ids[first::_FOLDS]
        store = make_models(arguments, held_out=fold).store
        stores = {_OWN: store, OBSERVATORY: release}
        for counts, area, predicted in _runs(stores, fold, discs):
            for name, mean in predicted.items():
                found.setdefault(name, []).append(_score(counts, mean, area))
        print(f"Fold {first + 1} of {_FOLDS} is done", flush=True)
    header = ["models", "as predicted", "free norm", "free norm per energy"]
    header += ["predicted / counted"]
    rows = [_row(name, np.array(scores)) for name, scores in found.items()]
    publish(rows_to_markdown(header, rows), name="judge", page=arguments.page)


def _discs(arguments: argparse.Namespace) -> tuple[SkyCoord, np.ndarray]:
    """Return centres and radii [deg] of what is left out."""
    catalogs = arguments.data / "catalogs"
    gamma = Table.read(catalogs / "gammacat" / "gammacat.fits.gz")
    water = Table.read(catalogs / "3HWC.ecsv")
    parts = [
        (table["ra"], table["dec"], table[extension])
        for table, extension in ((gamma, "morph_sigma"), (water, "search_radius"))
    ]
    ra, dec, extension = (
        np.nan_to_num(np.ma.filled(np.ma.concatenate(columns).astype(float), 0.0))
        for columns in zip(*parts, strict=True)
    )
    radius = np.clip(_EXTENSIONS * extension, _SMALLEST, _LARGEST)
    return SkyCoord(ra, dec, unit="deg"), radius


def _runs(
    stores: Mapping[str, DataStore],
    obs_ids: Sequence[int],
    discs: tuple[SkyCoord, np.ndarray],
) -> Iterator[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]]:
    """Yield counts, parts of bins used, and predictions, ``(n_energy, n_pixels)``."""
    safe = dict(stores[OBSERVATORY].obs_table["OBS_ID", "SAFE_ENERGY_LO"].iterrows())
    for obs_id, opened in open_stores(stores, obs_ids).items():
        release = opened[OBSERVATORY]
        geom = _geom(release)
        is_safe = np.repeat(_EDGES[:-1:_PARTS] >= safe[obs_id], _PARTS)
        used = _used(geom, discs) & is_safe[:, np.newaxis, np.newaxis]
        events = Map.from_geom(geom)
        events.fill_events(release.events)
        predicted = {
            name: _pixels(make_background(observation, geom).data, used)
            for name, observation in opened.items()
        }
        ontime = release.observation_time_duration
        share = release.observation_live_time_duration / ontime
        predicted[OBSERVATORY] *= share.to_value("")
        ones = np.ones(geom.data_shape)
        yield _pixels(events.data, used), _pixels(ones, used), predicted


def _geom(observation: Observation) -> WcsGeom:
    axis = MapAxis.from_energy_edges(_EDGES * u.TeV, name="energy")
    center = observation.get_pointing_icrs(observation.tmid)
    n_pixels = round(2 * _OFFSET_MAX / _PIXEL) * _FINER
    return WcsGeom.create(
        skydir=center, npix=n_pixels, binsz=_PIXEL / _FINER, proj="TAN", axes=[axis]
    )


def _used(geom: WcsGeom, discs: tuple[SkyCoord, np.ndarray]) -> np.ndarray:
    """Tell the finer pixels within the field and outside all discs."""
    image = geom.to_image()
    used = image.separation(geom.center_skydir).deg < _OFFSET_MAX
    centers, radii = discs
    near = centers.separation(geom.center_skydir).deg < _OFFSET_MAX + _LARGEST
    for center, radius in zip(centers[near], radii[near], strict=True):
        used &= image.separation(center).deg > radius
    return used


def _pixels(cube: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Add up the parts of each bin that are used."""
    n_side = used.shape[-1] // _FINER
    split = _BINS, _PARTS, n_side, _FINER, n_side, _FINER
    fine = np.where(used, cube, 0.0).reshape(split)
    pixels: np.ndarray = fine.sum(axis=(1, 3, 5)).reshape(_BINS, -1)
    return pixels


def _score(counts: np.ndarray, mean: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Return three deviances, the number of bins, and predicted over counted."""
    total = np.maximum(area.sum(axis=1, keepdims=True), 1.0)
    kept = counts.sum(axis=1, keepdims=True) * area / total >= _FEWEST
    n, mu = counts * kept, np.maximum(mean, _LEAST) * kept
    of_energy = n.sum(axis=1) / np.maximum(mu.sum(axis=1), _LEAST)
    norms = 1.0, n.sum() / mu.sum(), of_energy[:, np.newaxis]
    deviances = [_deviance(n[kept], (mu * norm)[kept]) for norm in norms]
    return np.array([*deviances, np.count_nonzero(kept), mean.sum() / counts.sum()])


def _deviance(counts: np.ndarray, mean: np.ndarray) -> float:
    mean = np.maximum(mean, _LEAST)
    return float(2 * (mean - counts + xlogy(counts, counts / mean)).sum())


def _row(name: str, scores: np.ndarray) -> list[str]:
    deviances, ratios = scores[:, :3].sum(axis=0), scores[:, 4]
    cells = [f"{value / scores[:, 3].sum():.4f}" for value in deviances]
    return [name, *cells, f"{ratios.mean():.3f} ± {ratios.std(ddof=1):.3f}"]


if __name__ == "__main__":
    main(common_arguments(__doc__ or "").parse_args())
