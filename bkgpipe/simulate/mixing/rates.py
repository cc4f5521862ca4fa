"""Rates of background components, from models of others and instrument responses."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.table import Table
from gammapy.data import Observation
from gammapy.irf import Background2D, Background3D, FoVAlignment
from gammapy.maps import MapAxis
from gammapy.modeling.models import create_cosmic_ray_spectral_model

from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.stages.export.copy import BKG_NAMES
from bkgpipe.stages.validate.projection import open_data_store, read_store_model
from bkgpipe.store.files import inflate, open_fits, read_content
from bkgpipe.store.values import read_word

__all__ = [
    "Background",
    "Responses",
    "background_limits",
    "background_rate",
    "cosmic_counts",
    "live_time",
    "own_model",
    "read_background",
    "read_responses",
]

Background: TypeAlias = Background2D | Background3D
Responses: TypeAlias = Observation

_UNREADABLE = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError)
_RATE = "s-1 TeV-1 sr-1"
_SKY = 4 * np.pi * u.sr
# Values on an outermost edge count as outside for gammapy
_INWARD = 1e-9
# True energies beyond the reconstructed ones that can end up among them
_REACH = 5.0


def read_background(path: Path) -> Background:
    """Read a model from a FITS file, as its own header describes it.

    Parameters
    ----------
    path : Path
        File with one ``bkg_2d`` or ``bkg_3d`` table.

    Returns
    -------
    Background2D or Background3D
        The model.

    Raises
    ------
    InputError
        If there is no such model in it, or its values are no rates.
    """
    return _read_background(path, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=4)
def _read_background(path: Path, _changed: int) -> Background:
    """Read a file once, not for each run."""
    where = str(path)
    content = inflate(read_content(path, where=where), where=where)
    with open_fits(content, where=where) as hdus:
        tables = [hdu for hdu in hdus if _is_background(hdu)]
        if len(tables) != 1:
            raise InputError(
                what=f"has {len(tables)} background tables, expected one",
                where=where,
                fix="Give a FITS file with a bkg_2d or bkg_3d table as GADF has them",
            )
        return _require_rates(_make_background(tables[0]), where)


def _is_background(hdu: fits.hdu.base._BaseHDU) -> bool:
    is_named = read_word(hdu.header, "HDUCLAS2") == "BKG" or hdu.name in BKG_NAMES
    return isinstance(hdu, fits.BinTableHDU) and is_named


def _make_background(hdu: fits.BinTableHDU) -> Background:
    table = Table.read(hdu)
    kind = Background3D if "DETX_LO" in table.colnames else Background2D
    return kind.from_table(table)


def _require_rates(model: Background, where: str) -> Background:
    rates = model.quantity.to_value(_RATE)
    if not bool(np.isfinite(rates).all()) or not bool((rates >= 0).all()):
        n_bad = int((~(np.isfinite(rates) & (rates >= 0))).sum())
        raise InputError(
            what=f"{n_bad} of {rates.size} rates are negative or not finite",
            where=where,
            fix="Make the model again, or name another one",
        )
    return model


def own_model(store: Path, run: Run) -> Background:
    """Read the model that the HDU index of a store names for a run.

    gammapy mirrors any background of H.E.S.S. DL3 DR1; models of bkgpipe are not such
    and stay as they are.

    Parameters
    ----------
    store : Path
        Folder of the store.
    run : Run
        The run.

    Returns
    -------
    Background2D or Background3D
        The model.

    Raises
    ------
    InputError
        If there is none, or its values are no rates.
    """
    where = f"background of run {run.obs_id} in {store}"
    model = _require_rates(read_store_model(store, run.obs_id), where)
    meta = model.meta or {}
    if not str(meta.get("CREATOR", "")).startswith("bkgpipe"):
        return model
    return type(model)(
        axes=model.axes,
        data=model.data,
        unit=model.unit,
        meta=meta,
        fov_alignment=meta.get("FOVALIGN", "RADEC"),
    )


def background_limits(model: Background) -> tuple[float, float]:
    """Return the energies at which a model begins and ends.

    Parameters
    ----------
    model : Background2D or Background3D
        The model.

    Returns
    -------
    tuple of float
        Lowest and highest energy [TeV].
    """
    low, high = model.axes["energy"].edges.to_value("TeV")[[0, -1]]
    return float(low), float(high)


def background_rate(
    model: Background,
    *,
    energy: np.ndarray,
    fov_lon: np.ndarray,
    fov_lat: np.ndarray,
) -> tuple[np.ndarray, str]:
    """Look a model up as gammapy does for its predictions.

    Between the centres of its bins that is linear in the logarithm of the rate; outside
    its axes there is none.

    Parameters
    ----------
    model : Background2D or Background3D
        The model.
    energy : np.ndarray
        Energies, growing, shape ``(n_energy,)`` [TeV].
    fov_lon, fov_lat : np.ndarray
        Places in the field in the alignment that is returned, shape ``(n_lon, n_lat)``
        [deg].

    Returns
    -------
    rate : np.ndarray
        Rates, shape ``(n_energy, n_lon, n_lat)`` [s-1 TeV-1 sr-1].
    fov_alignment : str
        ``ALTAZ`` or ``RADEC``.
    """
    first, last = background_limits(model)
    inward = energy.clip(first * (1 + _INWARD), last * (1 - _INWARD))
    is_within = (energy >= first * (1 - _INWARD)) & (energy <= last * (1 + _INWARD))
    alignment = model.fov_alignment
    if model.has_offset_axis:
        lat, lon = np.radians(fov_lat), np.radians(fov_lon)
        cosine = np.cos(lat) * np.cos(lon)
        # the arc cosine alone would lose all digits near the pointing
        sine = np.hypot(np.sin(lat), np.cos(lat) * np.sin(lon))
        field = {"offset": np.degrees(np.arctan2(sine, cosine)) * u.deg}
        alignment = FoVAlignment.RADEC
    else:
        sign = -1.0 if alignment == FoVAlignment.REVERSE_LON_RADEC else 1.0
        field = {"fov_lon": sign * fov_lon * u.deg, "fov_lat": fov_lat * u.deg}
    values = model.evaluate(energy=inward[:, np.newaxis, np.newaxis] * u.TeV, **field)
    rate = values.to_value(_RATE) * is_within[:, np.newaxis, np.newaxis]
    is_altaz = alignment == FoVAlignment.ALTAZ
    return np.nan_to_num(rate, posinf=0.0), "ALTAZ" if is_altaz else "RADEC"


def read_responses(store: Path, run: Run, *, names: tuple[str, ...]) -> Observation:
    """Read instrument responses of a run.

    Parameters
    ----------
    store : Path
        Folder of the store.
    run : Run
        The run.
    names : tuple of str
        Responses as gammapy calls them: ``aeff``, ``edisp`` or ``psf``.

    Returns
    -------
    Observation
        The run in gammapy, these responses read.

    Raises
    ------
    InputError
        If one of them is missing or damaged.
    """
    where = f"run {run.obs_id} of {store}"
    missing, reason = list(names), "the index names none"
    try:
        observation = open_data_store(store).obs(run.obs_id, required_irf=[])
        missing = [name for name in names if getattr(observation, name) is None]
    except _UNREADABLE as error:
        reason = str(error)
    if missing:
        raise InputError(
            what=f"{', '.join(missing)} cannot be read ({reason})",
            where=where,
            fix="Restore the instrument responses, or exclude the run",
        )
    return observation


def live_time(responses: Responses) -> float:
    """Return the live time of a run: its good time intervals less dead time.

    Parameters
    ----------
    responses : Observation
        The run in gammapy.

    Returns
    -------
    float
        Live time [s].
    """
    return float(responses.observation_live_time_duration.to_value("s"))


def cosmic_counts(
    observation: Observation, *, energy_edges: np.ndarray, offsets: np.ndarray
) -> np.ndarray:
    """Fold the spectrum of cosmic-ray electrons with the responses of a run.

    The flux is the same from all directions, so that only the place in the field
    matters; gammapy gives it for the whole sky, 4 pi sr. Electrons are taken to be seen
    as gamma rays are.

    Parameters
    ----------
    observation : Observation
        The run, with ``aeff`` and ``edisp``.
    energy_edges : np.ndarray
        Edges in reconstructed energy, shape ``(n_energy + 1,)`` [TeV].
    offsets : np.ndarray
        Offsets, shape ``(n_offset,)`` [deg].

    Returns
    -------
    np.ndarray
        Events per live time and solid angle, shape ``(n_energy, n_offset)``
        [s-1 sr-1].

    References
    ----------
    gammapy, ``create_cosmic_ray_spectral_model``; Bernloehr et al. 2013, Astroparticle
    Physics 43, 171, table 3.
    """
    area, dispersion = observation.aeff, observation.edisp
    axis = MapAxis.from_energy_edges(energy_edges * u.TeV)
    true = _true_axis(area.axes["energy_true"].edges, energy_edges)
    flux = create_cosmic_ray_spectral_model("electron")
    per_area = flux.integral(true.edges[:-1], true.edges[1:]) / _SKY
    columns = []
    for offset in offsets * u.deg:
        kernel = dispersion.to_edisp_kernel(
            offset, energy_axis_true=true, energy_axis=axis
        )
        seen = per_area * area.evaluate(energy_true=true.center, offset=offset)
        columns.append(seen.to_value("s-1 sr-1") @ kernel.pdf_matrix)
    counts: np.ndarray = np.nan_to_num(np.column_stack(columns)).clip(min=0.0)
    return counts


def _true_axis(edges: u.Quantity, energy_edges: np.ndarray) -> MapAxis:
    """Make a fine axis of the true energies that can end up in the range."""
    first, last = edges.to_value("TeV")[[0, -1]]
    low = max(float(first), energy_edges[0] / _REACH)
    high = min(float(last), energy_edges[-1] * _REACH)
    return MapAxis.from_energy_bounds(
        low, high, nbin=48, per_decade=True, unit="TeV", name="energy_true"
    )
