"""Diffuse emission in the field of a run, from models of gammapy."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from gammapy.data import Observation
from gammapy.datasets import MapDataset
from gammapy.makers import MapDatasetMaker
from gammapy.maps import MapAxis, WcsGeom
from gammapy.modeling.models import (
    Models,
    PowerLawNormSpectralModel,
    SkyModel,
    TemplateSpatialModel,
)

from bkgpipe.core.run import Run
from bkgpipe.errors import InputError

__all__ = ["diffuse_counts", "read_sky_models"]

_UNREADABLE = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError)
_YAML = (".yaml", ".yml")
_TRUE_PER_DECADE = 24
_REACH = 3.0


def read_sky_models(path: Path) -> Models:
    """Read models of emission from the sky.

    Parameters
    ----------
    path : Path
        YAML file of gammapy's models, or a FITS cube of a differential flux.

    Returns
    -------
    Models
        The models.

    Raises
    ------
    InputError
        If it is neither.
    """
    try:
        models = _read(path, path.stat().st_mtime_ns)
    except _UNREADABLE as error:
        raise InputError(
            what=f"holds no model of the sky that gammapy can read ({error})",
            where=str(path),
            fix="Give a YAML file of gammapy models, or a FITS cube with energy_true",
        ) from error
    if not all(isinstance(model, SkyModel) for model in models) or not len(models):
        raise InputError(
            what="holds models that are not of the sky, or none",
            where=str(path),
            fix="Leave only sky models in it",
        )
    return models


@lru_cache(maxsize=4)
def _read(path: Path, _changed: int) -> Models:
    """Read a file once, not for each run."""
    if path.suffix in _YAML:
        return Models.read(path)
    spatial = TemplateSpatialModel.read(path, normalize=False)
    if spatial.is_energy_dependent:
        flux = PowerLawNormSpectralModel()
        return Models([SkyModel(spatial_model=spatial, spectral_model=flux)])
    raise ValueError("the cube has no energy_true axis")


def diffuse_counts(
    observation: Observation,
    run: Run,
    models: Models,
    *,
    energy_edges: np.ndarray,
    plane_edges: np.ndarray,
    use_psf: bool,
) -> np.ndarray:
    """Fold emission from the sky with the responses of a run.

    Parameters
    ----------
    observation : Observation
        The run, with its responses.
    run : Run
        The run, for its pointing.
    models : Models
        Sky models.
    energy_edges : np.ndarray
        Edges in reconstructed energy, shape ``(n_energy + 1,)`` [TeV].
    plane_edges : np.ndarray
        Edges of the plane that touches the sky at the pointing, both axes, equal
        steps, shape ``(n_plane + 1,)`` [deg].
    use_psf : bool
        Smear it by the point spread function.

    Returns
    -------
    np.ndarray
        Events in the live time of the run in RADEC alignment, shape
        ``(n_energy, n_plane, n_plane)``.

    Raises
    ------
    InputError
        If gammapy cannot fold them.
    """
    parts = ["exposure", "edisp", *(["psf"] * use_psf)]
    try:
        empty = MapDataset.create(
            _geometry(run, energy_edges, plane_edges),
            energy_axis_true=_true_axis(energy_edges),
            name=f"run-{run.obs_id}",
        )
        dataset = MapDatasetMaker(selection=parts).run(empty, observation)
        if not use_psf:
            dataset.psf = None
        # names of a dataset would tie them to another
        dataset.models = models.copy(copy_data=False)
        predicted = dataset.npred_signal().data
    except _UNREADABLE as error:
        raise InputError(
            what=f"the diffuse emission cannot be folded with the responses ({error})",
            where=f"run {run.obs_id}",
            fix="Restore the instrument responses, or exclude the run",
        ) from error
    # FITS pixels count to the west, as longitude does, then to the north
    counts: np.ndarray = np.nan_to_num(predicted).transpose(0, 2, 1).astype(float)
    return counts


def _geometry(run: Run, energy_edges: np.ndarray, plane_edges: np.ndarray) -> WcsGeom:
    return WcsGeom.create(
        skydir=SkyCoord(run.ra, run.dec, unit="deg", frame="icrs"),
        npix=plane_edges.size - 1,
        binsz=plane_edges[1] - plane_edges[0],
        proj="TAN",
        frame="icrs",
        axes=[MapAxis.from_energy_edges(energy_edges * u.TeV)],
    )


def _true_axis(energy_edges: np.ndarray) -> MapAxis:
    return MapAxis.from_energy_bounds(
        energy_edges[0] / _REACH,
        energy_edges[-1] * _REACH,
        nbin=_TRUE_PER_DECADE,
        per_decade=True,
        unit="TeV",
        name="energy_true",
    )
