"""Background models on the sky, as gammapy reads and projects them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.time import Time
from gammapy.data import DataStore, FixedPointingInfo
from gammapy.irf import Background2D, Background3D, FoVAlignment
from gammapy.makers.utils import make_map_background_irf
from gammapy.maps import MapAxis, WcsGeom

from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.stages.validate.data import ScoreBins
from bkgpipe.store.index import find_index

__all__ = [
    "make_geometry",
    "model_energies",
    "open_data_store",
    "project_model",
    "read_model",
    "read_store_model",
]

_CLASSES = {"bkg_3d": Background3D, "bkg_2d": Background2D}
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError)


def read_model(path: Path, *, word: str) -> Background2D | Background3D:
    """Read a model from its own file, so that nothing mirrors it.

    Parameters
    ----------
    path : Path
        FITS file.
    word : str
        ``bkg_3d`` or ``bkg_2d``.

    Returns
    -------
    Background2D or Background3D
        The model.

    Raises
    ------
    InputError
        If there is no such model.
    """
    try:
        return _CLASSES[word].read(path)
    except _UNREADABLE as error:
        raise _no_model(str(path), error) from error


def read_store_model(store: Path, obs_id: int) -> Background2D | Background3D:
    """Read the model of a run from a store, with all that gammapy does to it.

    Parameters
    ----------
    store : Path
        Folder of the store.
    obs_id : int
        Run number.

    Returns
    -------
    Background2D or Background3D
        The model; that of H.E.S.S. DL3 DR1 is marked as mirrored.

    Raises
    ------
    InputError
        If the store cannot be read, or has no model of this run.
    """
    where = f"run {obs_id} of {store}"
    try:
        model = open_data_store(store).obs(obs_id, required_irf=[]).bkg
    except _UNREADABLE as error:
        raise _no_model(where, error) from error
    if model is None:
        raise _no_model(where, "the index names none")
    return model


@lru_cache(maxsize=2)
def open_data_store(store: Path) -> DataStore:
    """Open a store in gammapy, once and not for each run.

    Parameters
    ----------
    store : Path
        Folder of the store.

    Returns
    -------
    DataStore
        The store, also when one file holds both indexes.

    Raises
    ------
    InputError
        If it has no index.
    """
    index = find_index(store, "hdu-index")
    if index.name.startswith("hdu-index"):
        return DataStore.from_dir(store)
    return DataStore.from_file(index)


def _no_model(where: str, reason: object) -> InputError:
    return InputError(
        what=f"has no background model that gammapy can read ({reason})",
        where=where,
        fix="Name a store whose index has a bkg row for this run",
    )


def model_energies(model: Background2D | Background3D) -> tuple[float, float]:
    """Return the energies that a model has bins for.

    Parameters
    ----------
    model : Background2D or Background3D
        The model.

    Returns
    -------
    tuple of float
        Lowest and highest energy [TeV].
    """
    edges = model.axes["energy"].edges.to_value("TeV")
    return float(edges[0]), float(edges[-1])


def project_model(
    model: Background2D | Background3D,
    run: Run,
    *,
    bins: ScoreBins,
    seconds: float,
    oversampling: int = 4,
) -> np.ndarray:
    """Predict the events of a run.

    Parameters
    ----------
    model : Background2D or Background3D
        The model.
    run : Run
        The run, for its pointing, start and place.
    bins : ScoreBins
        Energies and pixels.
    seconds : float
        Time by which the rate is multiplied: GADF wants the on-time [s].
    oversampling : int
        Finer steps in each energy bin, over which gammapy integrates.

    Returns
    -------
    np.ndarray
        Events predicted in finer pixels, shape ``(n_energy, n_fine, n_fine)``; zero
        where the model is not defined.

    Raises
    ------
    InputError
        If the model turns with the sky and the start of the run is not known.

    References
    ----------
    gammapy, ``make_map_background_irf``, as `MapDatasetMaker` calls it.
    """
    start = _start_time(model, run)
    altitude = run.altitude if np.isfinite(run.altitude) else 0.0
    has_place = np.isfinite([run.longitude, run.latitude]).all()
    place = (
        EarthLocation.from_geodetic(run.longitude, run.latitude, altitude)
        if has_place
        else None
    )
    centre = SkyCoord(run.ra, run.dec, unit="deg", frame="icrs")
    if model.has_offset_axis:
        # as MapDatasetMaker does by default, so that nothing is extrapolated in offset
        model = model.pad(1, mode="edge", axis_name="offset")
    found = make_map_background_irf(
        pointing=FixedPointingInfo(fixed_icrs=centre),
        ontime=seconds * u.s,
        bkg=model,
        geom=make_geometry(run, bins),
        time_start=start,
        oversampling=oversampling,
        location=place,
    )
    predicted: np.ndarray = np.nan_to_num(found.data, nan=0.0, posinf=0.0, neginf=0.0)
    return predicted


def _start_time(model: Background2D | Background3D, run: Run) -> Time:
    if np.isfinite(run.time_start):
        return Time(run.time_start, format="mjd", scale="tt")
    if not model.has_offset_axis and model.fov_alignment == FoVAlignment.ALTAZ:
        raise InputError(
            what="has no start time, without which an ALTAZ model cannot be projected",
            where=f"run {run.obs_id}",
            fix="Set [export] alignment = RADEC",
        )
    # gammapy asks for a time, but does not use it for a model that stays on the sky
    return Time("J2000")


def make_geometry(run: Run, bins: ScoreBins) -> WcsGeom:
    """Make the finer pixels of a run as gammapy has them.

    Parameters
    ----------
    run : Run
        The run, for its pointing.
    bins : ScoreBins
        Energies and pixels.

    Returns
    -------
    WcsGeom
        Geometry; its pixels count to the north, then to the west.
    """
    axis = MapAxis.from_energy_edges(bins.energy_edges * u.TeV)
    return WcsGeom.create(
        skydir=SkyCoord(run.ra, run.dec, unit="deg", frame="icrs"),
        npix=bins.n_fine,
        binsz=bins.fine_pixel,
        proj="TAN",
        frame="icrs",
        axes=[axis],
    )
