"""Look for sources where there are none, and compare with Poisson noise.

The 45 OFF runs of H.E.S.S. DL3 DR1 are stacked by field with models of bkgpipe from
runs of other fields, with its models from all runs, and with those of the observatory.
Each model is scaled to its run by one norm outside the catalogued sources. The
significance is that of Li & Ma for a known background (the root of the Cash
difference), of the counts within a radius around each pixel. Its distribution is wider
than one where the background is wrong; how wide it is for Poisson noise alone, with the
norm refitted, is found from simulations of the same models.
Usage: ``python benchmarks/empty_fields.py FOLDER [--data $GAMMAPY_DATA]``
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

# One thread, also where the shell does not say so: before numpy is loaded
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import astropy.units as u  # noqa: E402
import numpy as np  # noqa: E402
from astropy.coordinates import SkyCoord  # noqa: E402
from astropy.table import Table  # noqa: E402
from gallery_common import (  # noqa: E402
    OBSERVATORY,
    OFF_TARGET,
    common_arguments,
    make_background,
    make_geom,
    make_models,
    open_stores,
    publish,
    rows_to_markdown,
    runs_of,
)
from gammapy.data import DataStore, Observation  # noqa: E402
from gammapy.maps import Map, WcsGeom  # noqa: E402
from scipy.signal import fftconvolve  # noqa: E402
from scipy.special import xlogy  # noqa: E402

_FIELD = 1.5  # deg; pointings that are closer are one field
_FOLDS = 5
_OFFSET_MAX, _PIXEL, _WIDTH = 2.0, 0.02, 5.0  # deg
_BINS = 12  # a decade
_BANDS = {"all": (0.1, 100.0), "below 1 TeV": (0.1, 1.0), "above 1 TeV": (1.0, 100.0)}
_RADII = (0.1, 0.25)  # deg
_FEWEST = 5.0  # events predicted within the radius, for a significance
_SOURCE_RADIUS, _EXTENSIONS = 0.35, 3.0  # deg; in units of the extension
_SEED = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """Runs of a field in bands of energy, zero where they do not count.

    Attributes
    ----------
    counts : np.ndarray
        Events, shape ``(n_runs, n_bands, n_lat, n_lon)``.
    predicted : np.ndarray
        Events expected, likewise.
    """

    counts: np.ndarray
    predicted: np.ndarray

    @property
    def scaled(self) -> Images:
        """The same, with the model of each run scaled to its counts in all bands."""
        counted = self.counts[:, 0].sum(axis=(1, 2))
        norm = counted / self.predicted[:, 0].sum(axis=(1, 2))
        predicted = self.predicted * norm[:, np.newaxis, np.newaxis, np.newaxis]
        return Images(counts=self.counts, predicted=predicted)

    def draw(self, rng: np.random.Generator) -> Images:
        """Draw counts from the prediction, and scale it to them.

        Parameters
        ----------
        rng : np.random.Generator
            Source of chance.

        Returns
        -------
        Images
            Counts drawn, and the model with the norm that fits them.
        """
        bands = rng.poisson(self.predicted[:, 1:])
        counts = np.concatenate([bands.sum(axis=1, keepdims=True), bands], axis=1)
        return Images(counts=counts, predicted=self.predicted).scaled


def main(arguments: argparse.Namespace) -> None:
    """Make models and images, and print how wide the significances are."""
    release = DataStore.from_dir(arguments.data / "hess-dl3-dr1")
    fields = _fields(release, runs_of(arguments.data / "hess-dl3-dr1", OFF_TARGET))
    print(f"{sum(map(len, fields))} OFF runs in {len(fields)} fields", flush=True)
    every = make_models(arguments).store
    sources = _sources(arguments)
    images: dict[str, list[Images]] = {}
    for first in range(_FOLDS):
        fold = fields[first::_FOLDS]
        held_out = make_models(arguments, held_out=[run for one in fold for run in one])
        stores = {
            "other fields": held_out.store,
            "all runs": every,
            OBSERVATORY: release,
        }
        for obs_ids in fold:
            for name, one in _field(stores, obs_ids, sources).items():
                images.setdefault(name, []).append(one)
        print(f"Fold {first + 1} of {_FOLDS} is done", flush=True)
    rows = [row for name, parts in images.items() for row in _rows(name, parts)]
    header = ["background models", "energies", "radius [deg]", "mean", "width"]
    header += ["noise: mean", "noise: width", "largest", "noise: largest"]
    table = rows_to_markdown(header, rows)
    publish(table, name="empty fields", page=arguments.page)


def _fields(store: DataStore, obs_ids: Sequence[int]) -> list[list[int]]:
    """Join runs with neighbouring pointings."""
    table = store.obs_table.select_obs_id(obs_ids)
    places = SkyCoord(table["RA_PNT"], table["DEC_PNT"], unit="deg")
    fields: list[list[int]] = []
    centers: list[SkyCoord] = []
    for obs_id, place in zip(obs_ids, places, strict=True):
        near = [one.separation(place).deg < _FIELD for one in centers]
        if any(near):
            fields[near.index(True)].append(obs_id)
        else:
            fields.append([obs_id])
            centers.append(place)
    return fields


def _sources(arguments: argparse.Namespace) -> Table:
    path = arguments.data / "catalogs" / "gammacat" / "gammacat.fits.gz"
    table = Table.read(path)["ra", "dec", "morph_sigma"]
    extension = np.nan_to_num(np.ma.filled(table["morph_sigma"], 0.0))
    table["radius"] = np.maximum(_SOURCE_RADIUS, _EXTENSIONS * extension)
    return table


def _field(
    stores: Mapping[str, DataStore], obs_ids: Sequence[int], sources: Table
) -> dict[str, Images]:
    """Make images of the runs of a field with each model."""
    safe = dict(stores[OBSERVATORY].obs_table["OBS_ID", "SAFE_ENERGY_LO"].iterrows())
    opened = open_stores(stores, obs_ids)
    center = _pointing(opened[obs_ids[0]][OBSERVATORY])
    geom = make_geom(center, width=_WIDTH, pixel=_PIXEL, bins=_BINS)
    outside = _outside(geom.to_image(), sources)
    counts: list[np.ndarray] = []
    predicted: dict[str, list[np.ndarray]] = {name: [] for name in stores}
    for obs_id, observations in opened.items():
        backgrounds = {n: make_background(o, geom) for n, o in observations.items()}
        near = geom.separation(_pointing(observations[OBSERVATORY])).deg < _OFFSET_MAX
        used = geom.energy_mask(energy_min=safe[obs_id] * u.TeV).data & near & outside
        for background in backgrounds.values():
            used &= background.data > 0
        events = Map.from_geom(geom)
        events.fill_events(observations[OBSERVATORY].events)
        counts.append(_bands(events, used))
        for name, background in backgrounds.items():
            predicted[name].append(_bands(background, used))
    return {
        name: Images(counts=np.array(counts), predicted=np.array(parts)).scaled
        for name, parts in predicted.items()
    }


def _pointing(observation: Observation) -> SkyCoord:
    return observation.get_pointing_icrs(observation.tmid)


def _outside(geom: WcsGeom, sources: Table) -> np.ndarray:
    kept = np.ones(geom.data_shape, dtype=bool)
    for ra, dec, radius in sources["ra", "dec", "radius"].iterrows():
        place = SkyCoord(ra, dec, unit="deg")
        if place.separation(geom.center_skydir).deg < _WIDTH:
            kept &= geom.separation(place).deg > radius
    return kept


def _bands(cube: Map, used: np.ndarray) -> np.ndarray:
    """Add up the energies of each band where a bin is used."""
    energy = cube.geom.axes["energy"].center.to_value("TeV")
    data = np.where(used, cube.data, 0.0)
    return np.array(
        [
            data[(energy > low) & (energy < high)].sum(axis=0)
            for low, high in _BANDS.values()
        ]
    )


def _rows(
    name: str, fields: Sequence[Images], n_draws: int = 20
) -> Iterator[list[str]]:
    """Tell mean and width of the significance, and those of Poisson noise."""
    rng = np.random.default_rng(_SEED)
    found = _moments(fields)
    drawn = [_moments([one.draw(rng) for one in fields]) for _ in range(n_draws)]
    for i, key in enumerate((b, r) for r in _RADII for b in _BANDS):
        mean, width, largest = found[i]
        noise = np.array([part[i] for part in drawn])
        cells = [
            f"{value:.3f} ± {spread:.3f}"
            for value, spread in zip(noise.mean(axis=0), noise.std(axis=0), strict=True)
        ]
        row = [name if i == 0 else "", key[0], f"{key[1]}", f"{mean:.3f}"]
        ends = f"{largest:.1f}", f"{noise[:, 2].mean():.1f} ± {noise[:, 2].std():.1f}"
        yield [*row, f"**{width:.3f}**", *cells[:2], *ends]


def _moments(fields: Sequence[Images]) -> np.ndarray:
    """Mean, width and largest significance, ``(n_radii * n_bands, 3)``."""
    moments = []
    for radius in _RADII:
        kernel = _disc(radius)
        for band in range(len(_BANDS)):
            values = np.concatenate([_significance(f, band, kernel) for f in fields])
            moments.append([values.mean(), values.std(), values.max()])
    return np.array(moments)


def _disc(radius: float) -> np.ndarray:
    reach = int(radius / _PIXEL)
    lat, lon = np.mgrid[-reach : reach + 1, -reach : reach + 1] * _PIXEL
    return (np.hypot(lat, lon) <= radius).astype(float)


def _significance(field: Images, band: int, kernel: np.ndarray) -> np.ndarray:
    """Significance of each pixel, from the Cash difference [sigma]."""
    counts, predicted = (
        fftconvolve(part[:, band].sum(axis=0), kernel, mode="same")
        for part in (field.counts, field.predicted)
    )
    enough = predicted > _FEWEST
    n, mu = np.maximum(np.round(counts[enough]), 0), predicted[enough]
    difference = np.maximum(xlogy(n, n / mu) - n + mu, 0)
    significance: np.ndarray = np.sign(n - mu) * np.sqrt(2 * difference)
    return significance


if __name__ == "__main__":
    main(common_arguments(__doc__ or "").parse_args())
