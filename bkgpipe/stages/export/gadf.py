"""Background models in the open format for gamma-ray astronomy (GADF)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import OutputError
from bkgpipe.stages.smooth.data import NodeModel
from bkgpipe.store.fits_file import NO_IMAGE, row_table, write_fits
from bkgpipe.store.gadf_names import GADF_URL, QUALITY_BITS, QUALITY_HDU_NAME

__all__ = [
    "BKG_HDU_NAME",
    "ERROR_HDU_NAME",
    "SYSTEMATIC_HDU_NAME",
    "Origin",
    "edge_cells",
    "gadf_rate",
    "write_bkg_2d",
    "write_bkg_3d",
]

# The name that gammapy looks for when it is given none
BKG_HDU_NAME = "BACKGROUND"
ERROR_HDU_NAME = "BACKGROUND_ERROR"
SYSTEMATIC_HDU_NAME = "SYSERR"
_MEV_PER_TEV = 1e6
# gammapy takes an energy that is the lowest edge but for rounding for one outside
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where the events behind a model come from, as their own header says.

    Attributes
    ----------
    telescope : str
        Observatory, keyword ``TELESCOP``.
    instrument : str
        Instrument or phase, keyword ``INSTRUME``.
    organisation : str
        Who answers for the data, keyword ``ORIGIN``.
    is_mirrored : bool
        True when gammapy mirrors any background of these events, as their creator is
        that of H.E.S.S. DL3 DR1. Copies of the events are safe from that.
    """

    telescope: str = "UNKNOWN"
    instrument: str = "UNKNOWN"
    organisation: str = "UNKNOWN"
    is_mirrored: bool = False


def gadf_rate(rate: np.ndarray) -> np.ndarray:
    """Convert a rate to the unit of GADF.

    Parameters
    ----------
    rate : np.ndarray
        Rate, any shape [s-1 TeV-1 sr-1].

    Returns
    -------
    np.ndarray
        Rate, same shape [s-1 MeV-1 sr-1].

    Examples
    --------
    >>> gadf_rate(np.array([1e6]))
    array([1.])
    """
    return rate / _MEV_PER_TEV


def edge_cells(binning: Binning, *, n_axes: int) -> dict[str, tuple[np.ndarray, str]]:
    """Return the edges of a model as GADF names them.

    Parameters
    ----------
    binning : Binning
        Axes.
    n_axes : int
        Three for energy and field-of-view coordinates, two for energy and offset, one
        for energy alone.

    Returns
    -------
    dict of str to tuple of np.ndarray and str
        Lower and upper edges and unit of each column.
    """
    axes = {"ENERG": (binning.energy_edges, "TeV")}
    if n_axes == 3:
        axes["DETX"] = (binning.fov_lon_edges, "deg")
        axes["DETY"] = (binning.fov_lat_edges, "deg")
    if n_axes == 2:
        axes["THETA"] = (binning.offset_edges, "deg")
    cells = {}
    for name, (edges, unit) in axes.items():
        cells[f"{name}_LO"] = (edges[:-1], unit)
        cells[f"{name}_HI"] = (edges[1:], unit)
    return cells


def _model_cells(model: NodeModel, *, n_axes: int) -> dict[str, tuple[np.ndarray, str]]:
    """Edges of a model, of which the outer energies reach farther by 1e-9."""
    energy = model.binning.energy_edges.copy()
    energy[0] *= 1 - _ROUNDING
    energy[-1] *= 1 + _ROUNDING
    return edge_cells(replace(model.binning, energy_edges=energy), n_axes=n_axes)


def write_bkg_3d(
    path: Path, model: NodeModel, *, header: ProductHeader, origin: Origin
) -> None:
    """Write the model on energy and field-of-view coordinates.

    Parameters
    ----------
    path : Path
        File to write.
    model : NodeModel
        The model; ``bkg_3d`` has shape ``(n_energy, n_fov_lon, n_fov_lat)``.
    header : ProductHeader
        Origin of the product.
    origin : Origin
        Origin of the events.

    Raises
    ------
    OutputError
        If readers could not use the file: fewer than two bins on an axis, as many
        energies as bins in the field, a rate that is not positive, or an error that
        is not a number.

    References
    ----------
    GADF 0.3, section "Background / BKG_3D".
    """
    _require_readable(path, model.bkg_3d, model.error_3d)
    keywords = {"HDUCLAS4": "BKG_3D", "NFILLED": model.n_filled_3d}
    keywords = _keywords(model, header, origin) | keywords
    rate, error = model.bkg_3d, model.error_3d
    blocks = [NO_IMAGE, _background(model, rate, keywords=keywords)]
    blocks.append(_quality(model, model.is_filled_3d, keywords=keywords))
    blocks += _errors(model, rate, error, keywords=keywords)
    write_fits(path, b"".join([*blocks, *_systematics(model), *_norms(model)]))


def write_bkg_2d(
    path: Path, model: NodeModel, *, header: ProductHeader, origin: Origin
) -> None:
    """Write the model on energy and offset.

    Parameters
    ----------
    path : Path
        File to write.
    model : NodeModel
        The model; ``bkg_2d`` has shape ``(n_energy, n_offset)``.
    header : ProductHeader
        Origin of the product.
    origin : Origin
        Origin of the events.

    Raises
    ------
    OutputError
        If readers could not use the file: fewer than two bins on an axis, as many
        energies as bins in the field, a rate that is not positive, or an error that
        is not a number.

    References
    ----------
    GADF 0.3, section "Background / BKG_2D".
    """
    _require_readable(path, model.bkg_2d, model.error_2d)
    keywords = {"HDUCLAS4": "BKG_2D", "NFILLED": model.n_filled_2d}
    keywords = _keywords(model, header, origin) | keywords
    rate, error = model.bkg_2d, model.error_2d
    blocks = [NO_IMAGE, _background(model, rate, keywords=keywords)]
    blocks.append(_quality(model, model.is_filled_2d, keywords=keywords))
    blocks += _errors(model, rate, error, keywords=keywords)
    write_fits(path, b"".join([*blocks, *_systematics(model), *_norms(model)]))


def _require_readable(path: Path, rate: np.ndarray, error: np.ndarray) -> None:
    n_energy, *n_spatial = rate.shape
    if min(rate.shape) < 2:
        raise OutputError(
            what=f"readers interpolate between bins, but there are {rate.shape}",
            where=str(path),
            fix="Ask for two bins or more on each axis in [binning]",
        )
    if n_energy in n_spatial:
        raise OutputError(
            what=f"{n_energy} energies and bins in the field {tuple(n_spatial)}:"
            " readers tell the axes apart by their lengths",
            where=str(path),
            fix="Ask for another number of bins on one of them in [binning]",
        )
    n_bad = int((~(np.isfinite(rate) & (rate > 0))).sum())
    if n_bad:
        raise OutputError(
            what=f"{n_bad} of {rate.size} rates are not finite and positive",
            where=str(path),
            fix="Smooth more, or ask for wider bins or more hours",
        )
    n_bad = int((~(np.isfinite(error) & (error >= 0))).sum())
    if n_bad:
        raise OutputError(
            what=f"{n_bad} of {error.size} errors are not finite and at least zero",
            where=str(path),
            fix="Smooth more, or ask for wider bins or more hours",
        )


def _background(
    model: NodeModel, rate: np.ndarray, *, keywords: dict[str, object]
) -> bytes:
    cells = _model_cells(model, n_axes=rate.ndim)
    # Reversed, so that energy is the first axis as FITS counts, as in gammapy's files
    cells["BKG"] = (gadf_rate(rate).T, "s-1 MeV-1 sr-1")
    return row_table(BKG_HDU_NAME, cells, keywords)


def _errors(
    model: NodeModel,
    rate: np.ndarray,
    error: np.ndarray,
    *,
    keywords: dict[str, object],
) -> list[bytes]:
    """Statistical error of each rate, if known, in the layout of the background."""
    if not error.size:
        return []
    cells = _model_cells(model, n_axes=rate.ndim)
    cells["BKG_ERR"] = (gadf_rate(rate * error).T, "s-1 MeV-1 sr-1")
    kind = ("STATISTICAL", "standard deviation of BKG in BACKGROUND")
    classes = _classes("ERROR", kind, keywords)
    return [row_table(ERROR_HDU_NAME, cells, classes)]


def _quality(
    model: NodeModel, is_filled: np.ndarray, *, keywords: dict[str, object]
) -> bytes:
    """Return what each rate rests on, as bits, in the layout of the background."""
    is_2d = keywords["HDUCLAS4"] == "BKG_2D"
    shape = (model.bkg_2d if is_2d else model.bkg_3d).shape
    along = (-1, *[1] * (len(shape) - 1))
    bits = np.zeros(shape, dtype=np.uint8)
    bits |= np.uint8(1) * ~model.is_safe.reshape(along)
    if is_filled.size:
        bits |= np.uint8(2) * is_filled
    bits |= np.uint8(4) * bool(model.excursions)
    bits |= np.uint8(8) * ~model.is_fitted.reshape(along)
    cells = _model_cells(model, n_axes=len(shape))
    cells["QUALITY"] = (np.ascontiguousarray(bits.T), "")
    classes = _classes("QUALITY", ("BITS", "sums of the following"), keywords)
    classes |= {f"BIT{bit}": words for bit, words in QUALITY_BITS.items()}
    return row_table(QUALITY_HDU_NAME, cells, classes)


def _classes(
    name: str, kind: tuple[str, str], keywords: dict[str, object]
) -> dict[str, object]:
    """Classes of our own: readers take what is RESPONSE, or BKG, for a background."""
    classes: dict[str, object] = {
        "HDUCLASS": ("BKGPIPE", "not a class of GADF"),
        "HDUCLAS1": (name, "not a response"),
        "HDUCLAS2": kind,
        "HDUCLAS3": (keywords["HDUCLAS4"], "model that it belongs to"),
    }
    shared = ("FOVALIGN", "CREATOR", "FPRINT", "STACK_ID", "OBS_ID")
    return classes | {key: keywords[key] for key in shared if key in keywords}


def _norms(model: NodeModel) -> list[bytes]:
    """Factor at each energy that scaled the model to its run, if any."""
    if not model.norm.size:
        return []
    cells = _model_cells(model, n_axes=1) | {
        "NORM": (model.norm, ""),
        "NORM_ERR": (model.norm_error, ""),
    }
    return [row_table("BKGNORM", cells, {})]


def _systematics(model: NodeModel) -> list[bytes]:
    """Error of the norm at each energy, if known."""
    if not model.systematic_energy.size:
        return []
    cells = _model_cells(model, n_axes=1) | {
        "SYSERR": (model.systematic_energy, ""),
    }
    return [row_table(SYSTEMATIC_HDU_NAME, cells, {})]


def _keywords(
    model: NodeModel, header: ProductHeader, origin: Origin
) -> dict[str, object]:
    # The class comes first here so that HDUCLAS1 to 4 stand in order in the file
    keywords: dict[str, object] = {
        "HDUCLASS": "GADF",
        "HDUDOC": GADF_URL,
        "HDUVERS": "0.3",
        "HDUCLAS1": "RESPONSE",
        "HDUCLAS2": "BKG",
        "HDUCLAS3": "FULL-ENCLOSURE",
        "HDUCLAS4": "",
        "FOVALIGN": model.fov_alignment,
        "TELESCOP": origin.telescope,
        "INSTRUME": origin.instrument,
        "ORIGIN": origin.organisation,
        "CREATOR": f"bkgpipe {header.version}",
        "FPRINT": header.fingerprint,
        "STACK_ID": model.stack_id,
        "NRUNS": model.n_runs,
        "HOURS": model.livetime / 3600.0,
    }
    if model.obs_id >= 0:
        keywords["OBS_ID"] = model.obs_id
    keywords |= _energy_keywords(model) | _norm_keywords(model)
    conditions = {
        "ZENITH": model.conditions.zenith,
        "AZIMUTH": model.conditions.azimuth,
        "DEADC": model.conditions.deadc,
        "MUONEFF": model.conditions.muon_efficiency,
    }
    for number, words in enumerate(model.excursions, start=1):
        keywords[f"EXCURS{number}"] = words
    # FITS has no NaN in headers
    return keywords | {k: v for k, v in conditions.items() if np.isfinite(v)}


def _energy_keywords(model: NodeModel) -> dict[str, object]:
    """Say which energies have events, and which are safe."""
    edges = model.binning.energy_edges
    low, high = model.fit_range if model.fit_range.size else edges[[0, -1]]
    keywords: dict[str, object] = {
        "EFITLO": (float(low), "lowest energy that has events [TeV]"),
        "EFITHI": (float(high), "highest energy that has events [TeV]"),
    }
    if np.isfinite(model.safe_energy):
        keywords["ESAFELO"] = (model.safe_energy, "safe energy of the run [TeV]")
    return keywords


def _norm_keywords(model: NodeModel) -> dict[str, object]:
    """Say how the model was scaled to its run at safe energies, and what is left."""
    keywords: dict[str, object] = {}
    at_safe = model.is_safe
    is_scaled = model.norm.size > 0 and bool(model.norm_error[at_safe].any())
    if is_scaled and np.ptp(model.norm[at_safe]) == 0:
        keywords["BKGNORM"] = float(model.norm[at_safe][0])
        keywords["BKGNERR"] = float(model.norm_error[at_safe][0])
    if np.isfinite(model.systematic):
        kind = "statistical" if is_scaled else "from run to run"
        keywords["SYSERR"] = (model.systematic, f"relative error of the norm, {kind}")
    return keywords
