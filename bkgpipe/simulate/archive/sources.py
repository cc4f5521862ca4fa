"""Sources in simulated runs: gammapy models, folded with instrument responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.time import Time
from gammapy.data import GTI
from gammapy.datasets import MapDataset, MapDatasetEventSampler
from gammapy.irf import IRF, EDispMap, PSFMap
from gammapy.makers.utils import (
    make_edisp_map,
    make_map_exposure_true_energy,
    make_psf_map,
)
from gammapy.maps import MapAxis, WcsGeom, WcsNDMap
from gammapy.modeling.models import Models, SkyModel
from gammapy.utils.fits import HDULocation

from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.simulate.archive.responses import ResponseRow, built_in_responses
from bkgpipe.stages.mask.data import ExclusionRegion

__all__ = ["SourceEvents", "draw_model_events", "model_regions", "read_models"]

# Small against a point spread function; or a tenth of a width; or a share of a field
_PIXEL = 0.02  # deg
_MAX_PIXELS = 200
# Responses change slowly over a field
_RESPONSE_PIXEL = 0.5  # deg
_PER_DECADE = 16
_MARGIN = 0.2  # deg
_RAD_MAX = 0.66  # deg


class SourceEvents(NamedTuple):
    """Events of sources, not in order.

    Attributes
    ----------
    ra, dec : np.ndarray
        Reconstructed direction, ICRS, shape ``(n_events,)`` [deg].
    energy : np.ndarray
        Reconstructed energy, shape ``(n_events,)`` [TeV].
    time : np.ndarray
        TT as modified Julian date, shape ``(n_events,)`` [d].
    """

    ra: np.ndarray
    dec: np.ndarray
    energy: np.ndarray
    time: np.ndarray


class _Scene(NamedTuple):
    """A source, and maps of the responses around it."""

    dataset: MapDataset
    models: Models
    area: WcsNDMap
    spread: PSFMap
    dispersion: EDispMap


@lru_cache(maxsize=16)
def read_models(path: Path) -> Models:
    """Read the models of a file, once for all runs.

    Parameters
    ----------
    path : Path
        File of gammapy models (YAML).

    Returns
    -------
    Models
        Sources, each with a spectrum and a shape.

    Raises
    ------
    InputError
        If the file cannot be read, or holds what is no source, all of it at once.
    """
    try:
        models = Models.read(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            what=f"the models cannot be read ({error})",
            where=str(path),
            fix="Write the file with gammapy: Models([...]).write(path)",
        ) from error
    problems = [
        f"{model.name}: {type(model).__name__} is no source in the sky"
        for model in models
        if not (isinstance(model, SkyModel) and model.spatial_model is not None)
    ]
    if problems or not len(models):
        listed = "".join(f"\n  - {problem}" for problem in problems)
        raise InputError(
            what=f"{len(problems)} of {len(models)} models are no sources:{listed}",
            where=str(path),
            fix="Give models with a spectral and a spatial model each",
        )
    return models


def model_regions(path: Path) -> tuple[ExclusionRegion, ...]:
    """Return the sources of a file of models as a catalogue.

    Parameters
    ----------
    path : Path
        File of gammapy models.

    Returns
    -------
    tuple of ExclusionRegion
        One for each model, with its width as extension, zero for a point.

    Raises
    ------
    InputError
        If the models cannot be used.
    """
    return tuple(
        ExclusionRegion(
            name=model.name,
            origin=path.name,
            ra=float(model.position.icrs.ra.deg),
            dec=float(model.position.icrs.dec.deg),
            radius=float("nan"),
            extension=_extension(model),
        )
        for model in read_models(path)
    )


def draw_model_events(
    run: Run,
    paths: Sequence[Path],
    *,
    gti: np.ndarray,
    responses: tuple[Path, Sequence[ResponseRow]],
    area: str = "hess",
    offset_max: float,
    seed: Sequence[int],
) -> list[SourceEvents]:
    """Draw the events of all models that a run sees.

    gammapy's sampler draws true energies and directions from the flux times the
    exposure of each good time interval, then point spread and energy dispersion.

    Parameters
    ----------
    run : Run
        The run.
    paths : sequence of Path
        Files of gammapy models.
    gti : np.ndarray
        Good time intervals, shape ``(n_intervals, 2)``, TT as modified Julian date
        [d].
    responses : tuple of Path and sequence of ResponseRow
        Folder of the store, and the rows of its HDU index with the responses; those
        that are built in when there are no rows.
    area : str
        Effective area of those that are built in: ``hess`` or ``cta``.
    offset_max : float
        Edge of the field [deg].
    seed : sequence of int
        Numbers that the random numbers follow from.

    Returns
    -------
    list of SourceEvents
        Events of each model and interval, those beyond the edge of the field too.

    Raises
    ------
    InputError
        If the responses cannot be read, or a model cannot be folded with them.
    """
    pointing = SkyCoord(run.ra * u.deg, run.dec * u.deg)
    sources = [(path, model) for path in paths for model in read_models(path)]
    drawn = []
    for number, (path, model) in enumerate(sources):
        reach = offset_max + _radius(model) + _RAD_MAX
        if model.position.separation(pointing).deg > reach:
            continue
        state = int(np.random.SeedSequence([*seed, number]).generate_state(1)[0])
        sampler = MapDatasetEventSampler(random_state=state, keep_mc_id=False)
        try:
            irfs = _load(*responses, area=area)
            scene = _make_scene(model, pointing, irfs, offset_max)
            drawn += [
                _sample(sampler, scene, deadc=run.deadc, interval=interval)
                for interval in gti
            ]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                what=f"cannot be folded with the responses ({error})",
                where=f"run {run.obs_id}, source {model.name} ({path.name})",
                fix="Correct the model, or choose other responses with irfs",
            ) from error
    return drawn


def _radius(model: SkyModel) -> float:
    radius = model.spatial_model.evaluation_radius
    return 0.0 if radius is None else float(radius.to_value("deg"))


def _extension(model: SkyModel) -> float:
    """Width of a Gaussian, radius of a disc; of templates all that is not zero."""
    shape = model.spatial_model.parameters
    for name in ("sigma", "r_0", "radius"):
        if name in shape.names:
            return float(shape[name].quantity.to_value("deg"))
    return _radius(model)


def _load(store: Path, rows: Sequence[ResponseRow], *, area: str) -> Mapping[str, IRF]:
    return _read_responses(store, tuple(rows)) if rows else built_in_responses(area)


@lru_cache(maxsize=2)
def _read_responses(store: Path, rows: tuple[ResponseRow, ...]) -> dict[str, IRF]:
    found = {}
    for row in rows:
        file = Path(row.file)
        location = HDULocation(
            row.hdu_class,
            base_dir=str(store),
            file_dir=str(file.parent),
            file_name=file.name,
            hdu_name=row.hdu_name,
        )
        found[row.hdu_type] = location.load()
    return found


def _geometry(
    model: SkyModel, pointing: SkyCoord, area: IRF, offset_max: float
) -> WcsGeom:
    """Return pixels around a source; a wide source is seen in the field alone."""
    width = 2 * (_radius(model) + _MARGIN)
    center = model.position.icrs
    if width > 2 * offset_max:
        width, center = 2 * offset_max, pointing
    energy = area.axes["energy_true"].edges
    axis = MapAxis.from_energy_bounds(
        energy[0], energy[-1], nbin=_PER_DECADE, per_decade=True, name="energy"
    )
    return WcsGeom.create(
        skydir=center,
        width=width,
        binsz=max(_PIXEL, _extension(model) / 10, width / _MAX_PIXELS),
        proj="TAN",
        frame="icrs",
        axes=[axis],
    )


def _make_scene(
    model: SkyModel, pointing: SkyCoord, irfs: Mapping[str, IRF], offset_max: float
) -> _Scene:
    """Make the maps of one source."""
    geom = _geometry(model, pointing, irfs["aeff"], offset_max)
    axes: dict[str, Any] = {"migra_axis": irfs["edisp"].axes["migra"]}
    if "rad" in irfs["psf"].axes.names:
        axes["rad_axis"] = irfs["psf"].axes["rad"]
    empty = MapDataset.create(
        geom,
        energy_axis_true=geom.axes["energy"].rename("energy_true"),
        binsz_irf=_RESPONSE_PIXEL,
        name=model.name,
        **axes,
    )
    # nothing is safe in an empty dataset, and what is masked has no events
    empty.mask_safe.data[...] = True
    spread = make_psf_map(irfs["psf"], pointing, empty.psf.psf_map.geom)
    dispersion = make_edisp_map(irfs["edisp"], pointing, empty.edisp.edisp_map.geom)
    area = make_map_exposure_true_energy(
        pointing, 1 * u.s, irfs["aeff"], empty.exposure.geom
    )
    area.data = np.clip(np.nan_to_num(area.data), 0.0, None)
    # or the models would be convolved, too
    empty.psf = empty.edisp = None
    return _Scene(
        dataset=empty,
        models=Models([model.copy(name=model.name)]),
        area=area,
        spread=spread,
        dispersion=dispersion,
    )


def _sample(
    sampler: MapDatasetEventSampler,
    scene: _Scene,
    *,
    deadc: float,
    interval: np.ndarray,
) -> SourceEvents:
    """Draw the events of a source in one good time interval."""
    start, stop = Time(interval, format="mjd", scale="tt")
    length = (stop - start).to("s")
    dataset = scene.dataset
    dataset.exposure = scene.area * (length.value * deadc)
    dataset.gti = GTI.create(0 * u.s, length, reference_time=start)
    # what is evaluated starts anew with the models
    dataset.models = scene.models
    # a source without any flux has no distribution to draw from, and no events
    with np.errstate(divide="ignore", invalid="ignore"):
        table = sampler.sample_sources(dataset)
    if not len(table):
        return SourceEvents(*(np.empty(0) for _ in range(4)))
    table = sampler.sample_psf(scene.spread, table)
    table = sampler.sample_edisp(scene.dispersion, table)
    return SourceEvents(
        ra=table["RA"].quantity.to_value("deg") % 360.0,
        dec=table["DEC"].quantity.to_value("deg"),
        energy=table["ENERGY"].quantity.to_value("TeV"),
        time=np.clip(np.asarray(table["TIME"].tt.mjd), *interval),
    )
