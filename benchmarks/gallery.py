"""Fit four sources in three dimensions with models of bkgpipe and of the observatory.

Crab nebula, PKS 2155-304 (steady), MSH 15-52 and RX J1713.7-3946 of H.E.S.S. DL3 DR1,
each fitted by gammapy with a power law, position and extension, and norm and tilt of
the background, three times: with models from the OFF runs alone, which never saw the
field, with models from all runs, and with those of the observatory in the store. All
three fits have the same events and bins: energies above the peak of the observatory's
background (a rule of Mohrmann et al. 2019, A&A 632, A72), bias below 10 %, and offsets
below 2 deg.

It prints two tables in Markdown, fluxes and backgrounds, and writes ``gallery.ecsv``
and ``gallery.png`` to FOLDER. It takes some minutes.
Usage: ``python benchmarks/gallery.py FOLDER [--data $GAMMAPY_DATA]``
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
from gallery_targets import TARGETS, Target  # noqa: E402
from gammapy.data import DataStore, Observation  # noqa: E402
from gammapy.datasets import MapDataset  # noqa: E402
from gammapy.makers import MapDatasetMaker, SafeMaskMaker  # noqa: E402
from gammapy.maps import Map, MapAxis, WcsGeom  # noqa: E402
from gammapy.modeling import Fit  # noqa: E402
from gammapy.modeling.models import (  # noqa: E402
    FoVBackgroundModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    SpatialModel,
)
from matplotlib.figure import Figure  # noqa: E402

from bkgpipe.plot.axes import COLORS, MARKERS  # noqa: E402

_OFFSET_MAX = 2.0 * u.deg
_WIDTH, _PIXEL = 4.5, 0.03  # deg
_BINS = 12  # a decade
_ENERGY_TRUE = MapAxis.from_energy_bounds(
    "0.08 TeV", "150 TeV", nbin=10, per_decade=True, name="energy_true"
)
_UNIT = u.Unit("TeV-1 s-1 cm-2")
_STEP, _FARTHEST = 0.02, 0.3  # deg, first step and limit of the position
_THRESHOLD = 1.0  # TeV, of the integral flux
_PAPER = "Mohrmann et al."


@dataclass(frozen=True, kw_only=True, eq=False)
class Stacked:
    """Maps of a target, with the background of each model.

    Attributes
    ----------
    datasets : dict of str to MapDataset
        Stacked runs, by the name of the background models; counts are the same.
    ratios : dict of str to list of float
        Predicted over counted events outside the source, of each run, before any fit.
    """

    datasets: dict[str, MapDataset]
    ratios: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What a fit found.

    Attributes
    ----------
    target : Target
        The source.
    models : str
        Name of the background models.
    flux, index, norm, tilt : tuple of float
        Value and error; flux above 1 TeV [cm-2 s-1].
    shape : str
        Extension in words.
    ratios : list of float
        Predicted over counted events outside the source, of each run, before the fit.
    residual : np.ndarray
        Counted over predicted events outside the source after the fit, its error, and
        energy [TeV], shape ``(3, n_energy)``.
    """

    target: Target
    models: str
    flux: tuple[float, float]
    index: tuple[float, float]
    norm: tuple[float, float]
    tilt: tuple[float, float]
    shape: str
    ratios: list[float]
    residual: np.ndarray


def main(arguments: argparse.Namespace) -> None:
    """Make models and maps, fit them, print the tables and draw the figure."""
    started = time.perf_counter()
    stores = _stores(arguments)
    print(f"{time.perf_counter() - started:.0f} s: models made", flush=True)
    found: list[Found] = []
    for target in TARGETS:
        stacked = _stack(target, stores)
        found += [_fit(target, name, stacked) for name in stores]
        seconds = time.perf_counter() - started
        print(f"{seconds:.0f} s: {target.name}", flush=True)
    _table(found).write(arguments.folder / "gallery.ecsv", overwrite=True)
    _figure(found).savefig(arguments.folder / "gallery.png", dpi=90)
    publish(_flux_table(found), name="gallery fluxes", page=arguments.page)
    publish(_background_table(found), name="gallery background", page=arguments.page)
    print(f"{arguments.folder / 'gallery'}.ecsv and .png")


def _stores(arguments: argparse.Namespace) -> dict[str, DataStore]:
    """Make both productions, and open them and the observatory's store."""
    release = arguments.data / "hess-dl3-dr1"
    on_runs = sorted({*runs_of(release)} - {*runs_of(release, OFF_TARGET)})
    return {
        "OFF runs": make_models(arguments, held_out=on_runs).store,
        "all runs": make_models(arguments).store,
        OBSERVATORY: DataStore.from_dir(release),
    }


def _stack(target: Target, stores: Mapping[str, DataStore]) -> Stacked:
    """Make maps of each run, and stack them."""
    geom = make_geom(target.position, width=_WIDTH, pixel=_PIXEL, bins=_BINS)
    total = MapDataset.create(geom, energy_axis_true=_ENERGY_TRUE)
    sums = {name: Map.from_geom(geom) for name in stores}
    ratios: dict[str, list[float]] = {name: [] for name in stores}
    outside = _outside(target, geom)
    obs_ids = runs_of(stores[OBSERVATORY].hdu_table.base_dir, target.runs)
    for observations in open_stores(stores, obs_ids).values():
        dataset = _reduce(target, observations[OBSERVATORY], geom)
        backgrounds = {
            name: make_background(one, geom)
            for name, one in observations.items()
            if name != OBSERVATORY
        }
        backgrounds[OBSERVATORY] = dataset.background
        # A bin that one of the models does not reach is left out for all
        for background in backgrounds.values():
            dataset.mask_safe.data &= background.data > 0
        total.stack(dataset)
        used = dataset.mask_safe.data & outside.data
        counted = dataset.counts.data[used].sum()
        for name, background in backgrounds.items():
            sums[name].stack(background, weights=dataset.mask_safe)
            ratios[name].append(float(background.data[used].sum() / counted))
    datasets = {}
    for name, background in sums.items():
        datasets[name] = total.copy(name=name)
        datasets[name].background = background
        datasets[name].mask_fit = _without(target.others, geom)
    return Stacked(datasets=datasets, ratios=ratios)


def _reduce(target: Target, observation: Observation, geom: WcsGeom) -> MapDataset:
    """Make maps of a run with the observatory's model, and their safe range."""
    empty = MapDataset.create(geom, energy_axis_true=_ENERGY_TRUE)
    safe = SafeMaskMaker(
        methods=["offset-max", "edisp-bias", "bkg-peak"],
        offset_max=_OFFSET_MAX,
        position=target.position,
    )
    return safe.run(MapDatasetMaker().run(empty, observation), observation)


def _without(circles: Sequence[tuple[float, float, float]], geom: WcsGeom) -> Map:
    kept = np.ones(geom.data_shape, dtype=bool)
    for ra, dec, radius in circles:
        kept &= geom.separation(SkyCoord(ra, dec, unit="deg")) > radius * u.deg
    return Map.from_geom(geom, data=kept)


def _outside(target: Target, geom: WcsGeom) -> Map:
    source = (target.ra, target.dec, target.radius)
    return _without((*target.others, source), geom)


def _fit(target: Target, name: str, stacked: Stacked) -> Found:
    """Fit source and background together."""
    dataset = stacked.datasets[name]
    source, background = _models(target, name)
    dataset.models = [source, background]
    result = Fit().run([dataset])
    if not result.success:
        print(f"{target.name}, {name}: {result.message}")
    spectrum = source.spectral_model
    norm, tilt = background.parameters["norm"], background.parameters["tilt"]
    return Found(
        target=target,
        models=name,
        flux=_flux(target, spectrum),
        index=(spectrum.index.value, spectrum.index.error),
        norm=(norm.value, norm.error),
        tilt=(tilt.value, tilt.error),
        shape=_shape(source.spatial_model),
        ratios=stacked.ratios[name],
        residual=_residual(dataset, _outside(target, dataset.counts.geom)),
    )


def _models(target: Target, dataset_name: str) -> tuple[SkyModel, FoVBackgroundModel]:
    spatial = target.spatial.copy()
    spatial.frame = "icrs"
    for name in target.free:
        spatial.parameters[name].frozen = False
    for name, value in {"lon_0": target.ra, "lat_0": target.dec}.items():
        place = spatial.parameters[name]
        place.quantity = value * u.deg
        # Without a first step Minuit takes 1 % of 330 deg, and loses the source
        place.error, place.min, place.max = _STEP, value - _FARTHEST, value + _FARTHEST
    amplitude, _, index, _ = target.paper
    spectral = PowerLawSpectralModel(
        index=index, amplitude=amplitude * _UNIT, reference=target.reference * u.TeV
    )
    norm = PowerLawNormSpectralModel()
    norm.tilt.frozen = False
    background = FoVBackgroundModel(spectral_model=norm, dataset_name=dataset_name)
    return SkyModel(spectral, spatial, name="source"), background


def _shape(spatial: SpatialModel) -> str:
    names = {"sigma": "sigma", "e": "e", "r_0": "r", "eta": "eta"}
    return ", ".join(
        f"{word} {spatial.parameters[name].value:.3f} ± "
        f"{spatial.parameters[name].error:.3f}"
        for name, word in names.items()
        if name in spatial.parameters.free_parameters.names
    )


def _residual(dataset: MapDataset, outside: Map) -> np.ndarray:
    """Compare counts with the fit outside the source, in each energy bin."""
    used = dataset.mask.data & outside.data
    predicted = np.where(used, dataset.npred().data, 0).sum(axis=(1, 2))
    counts = np.where(used, dataset.counts.data, 0).sum(axis=(1, 2))
    filled = predicted > 20
    energy = dataset.counts.geom.axes["energy"].center.to_value("TeV")[filled]
    ratio = counts[filled] / predicted[filled]
    return np.array([ratio, predicted[filled] ** -0.5, energy])


def _flux(target: Target, spectrum: PowerLawSpectralModel) -> tuple[float, float]:
    """Integrate a power law above 1 TeV, with its error to first order.

    gammapy's own ``integral_error`` draws samples, so that its last digits are chance.
    """
    values = np.array([spectrum.amplitude.value, spectrum.index.value])
    covariance = spectrum.covariance.get_subcovariance(
        [spectrum.amplitude, spectrum.index]
    ).data
    return _integrate(values, covariance, target.reference)


def _paper_flux(target: Target) -> tuple[float, float]:
    """Integrate the paper's power law; its errors are independent at its energy."""
    amplitude, amplitude_error, index, index_error = target.paper
    covariance = np.diag([amplitude_error**2, index_error**2])
    return _integrate(np.array([amplitude, index]), covariance, target.reference)


def _integrate(
    values: np.ndarray, covariance: np.ndarray, reference: float
) -> tuple[float, float]:
    amplitude, index = values
    flux = amplitude * reference**index * _THRESHOLD ** (1 - index) / (index - 1)
    slope = flux * (np.log(reference / _THRESHOLD) - 1 / (index - 1))
    gradient = np.array([flux / amplitude, slope])
    return float(flux), float(np.sqrt(gradient @ covariance @ gradient))


def _flux_table(found: Sequence[Found]) -> str:
    rows = []
    for target in TARGETS:
        flux, index = _paper_flux(target), target.paper[2:]
        rows.append([target.name, _PAPER, *_words(flux, index), ""])
        rows += [
            ["", one.models, *_words(one.flux, one.index), one.shape]
            for one in found
            if one.target is target
        ]
    header = ["source", "background models", "flux above 1 TeV", "index", "shape [deg]"]
    return rows_to_markdown(header, rows)


def _words(flux: tuple[float, float], index: tuple[float, ...]) -> list[str]:
    value, error = (1e12 * one for one in flux)
    return [f"{value:.2f} ± {error:.2f}", f"{index[0]:.3f} ± {index[1]:.3f}"]


def _background_table(found: Sequence[Found]) -> str:
    header = ["source", "runs", "background models", "norm", "tilt"]
    header.append("predicted / counted per run")
    rows = [
        [
            one.target.name if i % 3 == 0 else "",
            str(len(one.ratios)) if i % 3 == 0 else "",
            one.models,
            f"{one.norm[0]:.3f} ± {one.norm[1]:.3f}",
            f"{one.tilt[0]:+.3f} ± {one.tilt[1]:.3f}",
            f"{np.mean(one.ratios):.3f} ± {np.std(one.ratios):.3f}",
        ]
        for i, one in enumerate(found)
    ]
    return rows_to_markdown(header, rows)


def _table(found: Sequence[Found]) -> Table:
    columns: dict[str, list[object]] = {
        "source": [one.target.name for one in found],
        "models": [one.models for one in found],
    }
    for name in ("flux", "index", "norm", "tilt"):
        values, errors = zip(*(getattr(one, name) for one in found), strict=True)
        columns |= {name: list(values), f"{name}_error": list(errors)}
    columns["ratio_mean"] = [float(np.mean(one.ratios)) for one in found]
    columns["ratio_std"] = [float(np.std(one.ratios)) for one in found]
    return Table(columns)


def _figure(found: Sequence[Found]) -> Figure:
    """Draw fluxes over the paper, and the background spectrum after the fit."""
    figure = Figure(figsize=(10, 2.2 * len(TARGETS)), layout="constrained")
    axes = figure.subplots(len(TARGETS), 2, width_ratios=(1, 2), sharex="col")
    for (left, right), target in zip(axes, TARGETS, strict=True):
        flux, error = _paper_flux(target)
        left.axvspan(1 - error / flux, 1 + error / flux, color="0.9")
        for ax in (left.axvline, right.axhline):
            ax(1.0, color="0.5", linewidth=1)
        own = [one for one in found if one.target is target]
        for i, one in enumerate(own):
            style = {"fmt": MARKERS[i], "color": COLORS[i], "label": one.models}
            value, width = (part / flux for part in one.flux)
            left.errorbar(value, -i, xerr=width, **style)
            ratio, width, energy = one.residual
            right.errorbar(energy * 1.04**i, ratio, yerr=width, ms=3, lw=1, **style)
        left.set(title=target.name, ylim=(-len(own) + 0.4, 0.6), yticks=[])
        right.set(xscale="log", ylim=(0.75, 1.25), ylabel="counted / predicted")
    axes[-1, 0].set_xlabel(f"flux above 1 TeV / {_PAPER} 2019")
    axes[-1, 1].set_xlabel("energy [TeV], outside the source, after the fit")
    axes[0, 1].legend(fontsize="small", ncols=3, frameon=False)
    return figure


if __name__ == "__main__":
    main(common_arguments(__doc__ or "").parse_args())
