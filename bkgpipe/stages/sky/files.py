"""Files of the sky: checkpoints, models that are read, tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import InputError
from bkgpipe.product.chunk_file import ChunkFile
from bkgpipe.product.ecsv import Column, read_rows, write_rows
from bkgpipe.stages.sky.data import HotSpot, Reach, RunSky
from bkgpipe.stages.sky.model import WrittenModel
from bkgpipe.stages.sky.summary import FieldSummary

__all__ = [
    "RUN_SKIES",
    "read_fields",
    "read_hot_spots",
    "read_model",
    "read_reaches",
    "write_fields",
    "write_hot_spots",
    "write_reaches",
]

RUN_SKIES = ChunkFile(RunSky)

_MEV_PER_TEV = 1e6
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, IndexError)
_PLACES = {"bkg_3d": ("DETX", "DETY"), "bkg_2d": ("THETA",)}

_FIELDS: dict[str, Column] = {
    "number": Column(int, "", "number of the field"),
    "name": Column(str, "", "most frequent target of its runs"),
    "ra": Column(float, "deg", "centre, ICRS"),
    "dec": Column(float, "deg", "centre, ICRS"),
    "n_runs": Column(int, "", "runs that pointed there"),
    "hours": Column(float, "h", "their on-time"),
    "counts": Column(int, "", "events of its own runs"),
    "background": Column(float, "", "events predicted for them"),
    "peak": Column(float, "", "largest significance"),
    "peak_ra": Column(float, "deg", "where that is, ICRS"),
    "peak_dec": Column(float, "deg", "where that is, ICRS"),
    "mean": Column(float, "", "mean significance outside the mask"),
    "width": Column(float, "", "its standard deviation there"),
    "poisson_mean": Column(float, "", "mean of simulated background there"),
    "poisson_width": Column(float, "", "its standard deviation"),
    "trials": Column(float, "", "independent discs outside the mask, of all radii"),
    "file": Column(str, "", "images of the field"),
}
_SPOTS: dict[str, Column] = {
    "field": Column(int, "", "number of the field"),
    "ra": Column(float, "deg", "most significant place, ICRS"),
    "dec": Column(float, "deg", "most significant place, ICRS"),
    "radius": Column(float, "deg", "radius that holds the excess"),
    "search_radius": Column(float, "deg", "radius of the most significant disc"),
    "significance": Column(float, "", "significance there"),
    "counts": Column(int, "", "events in that disc"),
    "background": Column(float, "", "events predicted in it"),
    "is_masked": Column(bool, "", "whether it takes events under the mask to see it"),
    "false_alarms": Column(float, "", "such excesses by chance in all fields"),
    "source": Column(str, "", "nearest source of the exclusion regions"),
    "separation": Column(float, "deg", "distance to that source"),
}


_REACHES: dict[str, Column] = {
    "name": Column(str, "", "name of the disc in [mask] circles"),
    "ra": Column(float, "deg", "centre, ICRS"),
    "dec": Column(float, "deg", "centre, ICRS"),
    "radius": Column(float, "deg", "radius of the disc"),
    "reach": Column(float, "deg", "radius of the last ring with an excess"),
}


def read_model(path: Path, *, word: str) -> WrittenModel:
    """Read a background model that `export` wrote.

    Parameters
    ----------
    path : Path
        FITS file.
    word : str
        ``bkg_3d`` or ``bkg_2d``.

    Returns
    -------
    WrittenModel
        The model.

    Raises
    ------
    InputError
        If there is no such model.
    """
    try:
        with fits.open(path, memmap=False) as hdus:
            return _model(hdus["BACKGROUND"], _PLACES[word])
    except _UNREADABLE as error:
        raise InputError(
            what=f"the background model cannot be read ({error})",
            where=str(path),
            fix="Run export again: bkgpipe run export",
        ) from error


def _model(hdu: fits.BinTableHDU, places: tuple[str, ...]) -> WrittenModel:
    row = hdu.data[0]

    def edges(name: str) -> tuple[np.ndarray, np.ndarray]:
        low, high = (np.asarray(row[f"{name}_{end}"], float) for end in ("LO", "HI"))
        return low, high

    energy_low, energy_high = edges("ENERG")
    return WrittenModel(
        fov_alignment=hdu.header["FOVALIGN"],
        energy_range=(hdu.header["EFITLO"], hdu.header["EFITHI"]),
        energy=np.sqrt(energy_low * energy_high),
        places=tuple(np.mean(edges(name), axis=0) for name in places),
        # GADF has the energies last
        rate=np.asarray(row["BKG"], dtype=float).T * _MEV_PER_TEV,
    )


def write_fields(
    path: Path, header: ProductHeader, summaries: Sequence[FieldSummary]
) -> None:
    """Write what was found in each field, as ECSV.

    Parameters
    ----------
    path : Path
        ECSV file.
    header : ProductHeader
        Origin of the product.
    summaries : sequence of FieldSummary
        Fields.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_rows(path, header, columns=_FIELDS, values=_values(_FIELDS, summaries))


def read_fields(path: Path) -> tuple[FieldSummary, ...]:
    """Read what was found in each field.

    Parameters
    ----------
    path : Path
        ECSV file.

    Returns
    -------
    tuple of FieldSummary
        Fields.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    return tuple(read_rows(path, _FIELDS, FieldSummary))


def write_hot_spots(
    path: Path,
    header: ProductHeader,
    spots: Sequence[HotSpot],
) -> None:
    """Write where there are more events than chance allows, as ECSV.

    Parameters
    ----------
    path : Path
        ECSV file.
    header : ProductHeader
        Origin of the product.
    spots : sequence of HotSpot
        Places.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_rows(path, header, columns=_SPOTS, values=_values(_SPOTS, spots))


def read_hot_spots(path: Path) -> tuple[HotSpot, ...]:
    """Read where there are more events than chance allows.

    Parameters
    ----------
    path : Path
        ECSV file.

    Returns
    -------
    tuple of HotSpot
        Places.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    return tuple(read_rows(path, _SPOTS, HotSpot))


def write_reaches(path: Path, header: ProductHeader, reaches: Sequence[Reach]) -> None:
    """Write how far excesses go beyond the discs that exclude them, as ECSV.

    Parameters
    ----------
    path : Path
        ECSV file.
    header : ProductHeader
        Origin of the product.
    reaches : sequence of Reach
        Discs.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_rows(path, header, columns=_REACHES, values=_values(_REACHES, reaches))


def read_reaches(path: Path) -> tuple[Reach, ...]:
    """Read how far excesses go beyond the discs that exclude them.

    Parameters
    ----------
    path : Path
        ECSV file.

    Returns
    -------
    tuple of Reach
        Discs.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    return tuple(read_rows(path, _REACHES, Reach))


def _values(columns: Mapping[str, Column], rows: Sequence[Any]) -> dict[str, list[Any]]:
    return {name: [getattr(row, name) for row in rows] for name in columns}
