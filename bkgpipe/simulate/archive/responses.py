"""Instrument responses of simulated runs: built in, or those of a real store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from astropy import units as u
from astropy.io import fits
from gammapy.irf import (
    IRF,
    PSF3D,
    EffectiveAreaTable2D,
    EnergyDependentMultiGaussPSF,
    EnergyDispersion2D,
    PSFKing,
    RadMax2D,
)
from gammapy.maps import MapAxis

from bkgpipe.errors import InputError
from bkgpipe.simulate.archive.layout import Layout, ResponseLayout
from bkgpipe.simulate.archive.layouts import DEFAULT_LAYOUT, LAYOUTS
from bkgpipe.store.fits_file import write_hdus
from bkgpipe.store.index import find_column, find_index, obs_ids, read_index, words

__all__ = [
    "BUILT_IN",
    "RESPONSE_FILE",
    "ResponseRow",
    "built_in_responses",
    "find_responses",
    "response_rows",
    "write_responses",
]

RESPONSE_FILE = "irfs.fits.gz"

# The offset axis of both, as wide as any field: gammapy's makers fail on a single bin
_OFFSETS = ResponseLayout().offsets
_CTA_AREA = 4e6  # m2
_CTA_HALF = 0.75  # TeV, where the area is half of that
_CTA_TRIGGER = 0.02  # TeV, below which it falls as the cube of the energy

_PSF_WIDTH = 0.07
_ENERGY_RESOLUTION = 0.15


class ResponseRow(NamedTuple):
    """A row of the HDU index, but for its run.

    Attributes
    ----------
    hdu_type, hdu_class : str
        As in GADF.
    file : str
        File relative to the store.
    hdu_name : str
        Name of the HDU.
    """

    hdu_type: str
    hdu_class: str
    file: str
    hdu_name: str


_DEFAULT = LAYOUTS[DEFAULT_LAYOUT]
_CLASSES = {"aeff": "aeff_2d", "edisp": "edisp_2d", "rad_max": "rad_max_2d"}

BUILT_IN = (
    ResponseRow("aeff", "aeff_2d", RESPONSE_FILE, "AEFF"),
    ResponseRow("edisp", "edisp_2d", RESPONSE_FILE, "EDISP"),
    ResponseRow("psf", "psf_table", RESPONSE_FILE, "PSF"),
)

_NEEDED = {row.hdu_type for row in BUILT_IN}
_COLUMNS = ("HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")


def response_rows(layout: Layout = _DEFAULT) -> tuple[ResponseRow, ...]:
    """Return where the built-in responses are.

    Parameters
    ----------
    layout : Layout
        How the store is laid out.

    Returns
    -------
    tuple of ResponseRow
        A row for each of them.
    """
    given = layout.responses
    classes = _CLASSES | {"psf": given.psf}
    return tuple(
        ResponseRow(kind, classes[kind], given.file.format(kind=kind), name)
        for kind, name in given.hdus.items()
    )


def write_responses(
    path: Path,
    rows: Sequence[ResponseRow] = BUILT_IN,
    *,
    given: ResponseLayout = _DEFAULT.responses,
) -> None:
    """Write built-in responses, once for all runs of a store.

    Parameters
    ----------
    path : Path
        File to write; a temporary one is fine.
    rows : sequence of ResponseRow
        What to write; gzip if the name of its file says so.
    given : ResponseLayout
        Effective area, offsets, and the directional cut that makes the responses
        point-like, if it is not zero.

    Raises
    ------
    OutputError
        If the file cannot be written.

    References
    ----------
    GADF 0.3, section "IRFs / Full-enclosure".
    """
    hdus = [fits.PrimaryHDU()]
    for row in rows:
        hdu = _response(row, given).to_table_hdu()
        hdu.name = row.hdu_name
        if given.rad_max and row.hdu_type != "rad_max":
            hdu.header.update({"HDUCLAS3": "POINT-LIKE", "RAD_MAX": given.rad_max})
        hdus.append(hdu)
    write_hdus(path, hdus, compress=rows[0].file.endswith(".gz"))


def _response(row: ResponseRow, given: ResponseLayout) -> IRF:
    if row.hdu_type == "rad_max":
        return _directional_cut(given)
    irfs = built_in_responses(given.area, given.offsets)
    if row.hdu_class in {"psf_3gauss", "psf_king"}:
        return _parametric_spread(row.hdu_class, irfs["psf"])
    return irfs[row.hdu_type]


def _directional_cut(given: ResponseLayout) -> IRF:
    """Return a cut that is wider at low energies, as those of data are."""
    energy = MapAxis.from_energy_bounds("10 GeV", "200 TeV", nbin=4, per_decade=True)
    offset = MapAxis.from_edges(given.offsets, unit="deg", name="offset")
    cut = given.rad_max * (1.0 + 0.1 / np.sqrt(energy.center.to_value("TeV")))
    data = np.repeat(cut[:, np.newaxis], offset.nbin, axis=1)
    return RadMax2D([energy, offset], data=data, unit="deg")


def _parametric_spread(kind: str, table: IRF) -> IRF:
    """Return the point spread of the table as one of GADF's formulae."""
    axes = [table.axes["energy_true"], table.axes["offset"]]
    shape = (axes[0].nbin, axes[1].nbin)
    if kind == "psf_king":
        # King's profile tends to a Gaussian for large gamma
        values = {"gamma": 50.0, "sigma": _PSF_WIDTH}
        units = {"gamma": "", "sigma": "deg"}
        made, units = PSFKing, {name: u.Unit(unit) for name, unit in units.items()}
    else:
        scale = 1 / (2 * np.pi * np.radians(_PSF_WIDTH) ** 2)
        values = {"sigma_1": _PSF_WIDTH, "scale": scale, "ampl_2": 0.0, "ampl_3": 0.0}
        values |= {"sigma_2": _PSF_WIDTH, "sigma_3": _PSF_WIDTH}
        made = EnergyDependentMultiGaussPSF
        units = {"scale": u.Unit("sr-1"), "ampl_2": u.Unit(""), "ampl_3": u.Unit("")}
        units |= {f"sigma_{i}": u.deg for i in (1, 2, 3)}
    data = np.zeros(shape, dtype=[(name, float) for name in made.required_parameters])
    for name, value in values.items():
        data[name] = value
    return made(axes=axes, data=data, unit=units)


def find_responses(
    source: Path, runs: Sequence[int], *, store: Path
) -> dict[int, tuple[ResponseRow, ...]]:
    """Find the responses of runs of a real store.

    Parameters
    ----------
    source : Path
        Folder of the real store.
    runs : sequence of int
        Numbers of its runs.
    store : Path
        Folder of another store, in which the rows will be.

    Returns
    -------
    dict of int to tuple of ResponseRow
        Rows of effective area, energy dispersion and point spread function, and of the
        directional cut if there is one; files relative to ``store``.

    Raises
    ------
    InputError
        If the index cannot be read, or a run has not all three.
    """
    path = find_index(source, "hdu-index")
    table = read_index(path, "hdu-index")
    numbers = obs_ids(table, where=str(path))
    columns = [words(find_column(table, name), len(table)) for name in _COLUMNS]
    origin = os.path.relpath(os.path.realpath(source), os.path.realpath(store))
    if not origin.isascii():
        raise InputError(
            what=f"the index, which is FITS, cannot hold the path {origin!r}",
            where=str(source),
            fix="Use folders with ASCII names, or set irfs = built-in",
        )
    found: dict[int, dict[str, ResponseRow]] = {number: {} for number in runs}
    for number, kind, hdu_class, folder, name, hdu in zip(
        numbers.tolist(), *columns, strict=True
    ):
        if number in found and kind.lower() in {*_NEEDED, "rad_max"}:
            file = os.path.normpath(PurePosixPath(origin, folder, name))
            row = ResponseRow(kind.lower(), hdu_class, file, hdu)
            found[number].setdefault(row.hdu_type, row)  # the first, as in gammapy
    _require_complete(found, where=str(path))
    return {number: tuple(rows.values()) for number, rows in found.items()}


def _require_complete(found: dict[int, dict[str, ResponseRow]], *, where: str) -> None:
    incomplete = [n for n, rows in found.items() if not rows.keys() >= _NEEDED]
    if incomplete:
        raise InputError(
            what=f"{len(incomplete)} runs have not all of aeff, edisp and psf, such as"
            f" {incomplete[:5]}",
            where=where,
            fix="Leave them out with obs_ids, or set irfs = built-in",
        )


@lru_cache(maxsize=2)
def built_in_responses(
    area: str = "hess", offsets: tuple[float, ...] = _OFFSETS
) -> dict[str, IRF]:
    """Return the responses that are built in.

    They are the same at all offsets. The energy resolution is 15 %, the point spread
    function a Gaussian of 0.07 deg.

    Parameters
    ----------
    area : str
        Effective area: ``hess``, gammapy's parametrisation of H.E.S.S.; or ``cta``,
        ``4e6 m2 / (1 + 0.75 TeV / E) / (1 + (0.02 TeV / E)^3)``.
    offsets : tuple of float
        Edges of the offset axis [deg].

    Returns
    -------
    dict of str to IRF
        ``aeff``, ``edisp`` and ``psf``.
    """
    energy = MapAxis.from_energy_bounds(
        "10 GeV", "200 TeV", nbin=10, per_decade=True, name="energy_true"
    )
    offset = MapAxis.from_edges(offsets, unit="deg", name="offset")
    of_energy = _cta_area(energy) if area == "cta" else _hess_area(energy)
    data = np.repeat(of_energy[:, np.newaxis], offset.nbin, axis=1)
    migra = MapAxis.from_bounds(0.2, 5.0, nbin=80, name="migra", node_type="edges")
    dispersion = EnergyDispersion2D.from_gauss(
        energy, migra, offset, bias=0.0, sigma=_ENERGY_RESOLUTION
    )
    rad = MapAxis.from_bounds(0.0, 0.5, nbin=50, unit="deg", name="rad")
    width = np.radians(_PSF_WIDTH)
    profile = np.exp(-((rad.center.to_value("rad") / width) ** 2) / 2)
    density = np.broadcast_to(
        profile / (2 * np.pi * width**2), (energy.nbin, offset.nbin, rad.nbin)
    )
    spread = PSF3D([energy, offset, rad], data=density, unit="sr-1")
    return {
        "aeff": EffectiveAreaTable2D([energy, offset], data=data, unit="m2"),
        "edisp": dispersion,
        "psf": spread,
    }


def _hess_area(energy: MapAxis) -> np.ndarray:
    area = EffectiveAreaTable2D.from_parametrization(energy, instrument="HESS")
    values: np.ndarray = area.quantity.to_value("m2")[:, 0]
    return values


def _cta_area(energy: MapAxis) -> np.ndarray:
    values: np.ndarray = energy.center.to_value("TeV")
    return _CTA_AREA / (1 + _CTA_HALF / values) / (1 + (_CTA_TRIGGER / values) ** 3)
