"""Background models of any tool, from FITS files and from DL3 stores."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from gammapy.irf import Background2D, Background3D, FoVAlignment

from bkgpipe.errors import InputError
from bkgpipe.stages.export.copy import BKG_NAMES, is_mirrored
from bkgpipe.stages.export.gadf import ERROR_HDU_NAME
from bkgpipe.stages.validate.projection import read_store_model
from bkgpipe.store.cards import mend_headers
from bkgpipe.store.files import inflate, locate, read_content
from bkgpipe.store.index import hdu_files
from bkgpipe.store.values import read_number, read_whole_number, read_word
from bkgpipe.tools.compare.data import FileModel

__all__ = ["StoreModels", "read_file_model", "read_file_run"]

_UNREADABLE = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError)
_UNIT = "s-1 TeV-1 sr-1"


def read_file_model(path: Path) -> FileModel:
    """Read the model of a FITS file, turned the way gammapy uses it.

    Parameters
    ----------
    path : Path
        GADF file, also a whole DL3 file; that of H.E.S.S. DL3 DR1 is mirrored, as
        gammapy mirrors it.

    Returns
    -------
    FileModel
        The model.

    Raises
    ------
    InputError
        If there is no model in it.
    """
    where = str(path)
    try:
        with _opened(path) as hdus:
            hdu = _find_background(hdus)
            mirrored = any(is_mirrored(each.header) for each in hdus)
            model, header = _read_irf(hdu), hdu.header
            return _file_model(model, hdus, header=header, flip=mirrored, where=where)
    except (*_UNREADABLE, AstropyUserWarning) as error:
        raise InputError(
            what=f"has no background model that can be read ({error})",
            where=where,
            fix="Name a file with a bkg_2d or bkg_3d table as GADF describes it",
        ) from error


def read_file_run(path: Path) -> int | None:
    """Read which run the model of a file is for.

    Parameters
    ----------
    path : Path
        GADF file.

    Returns
    -------
    int or None
        Run number, if the header of the model names one.

    Raises
    ------
    InputError
        If there is no model in it.
    """
    try:
        with _opened(path) as hdus:
            header = _find_background(hdus).header
            return read_whole_number(header, "OBS_ID", where=str(path))
    except (*_UNREADABLE, AstropyUserWarning) as error:
        raise InputError(
            what=f"has no background model that can be read ({error})",
            where=str(path),
            fix="Name a file with a bkg_2d or bkg_3d table as GADF describes it",
        ) from error


class StoreModels:
    """The background models that the HDU index of a store names.

    Parameters
    ----------
    store : Path
        Folder of the store.

    Attributes
    ----------
    obs_ids : tuple of int
        Runs that have a model, in order.

    Raises
    ------
    InputError
        If the index cannot be used.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._files = hdu_files(store, "bkg")
        self.obs_ids = tuple(sorted(self._files))

    def read(self, obs_id: int) -> FileModel:
        """Read the model of a run, with all that gammapy does to it.

        Parameters
        ----------
        obs_id : int
            Run number.

        Returns
        -------
        FileModel
            The model, with its errors if its file has them.

        Raises
        ------
        InputError
            If it cannot be read.
        """
        model = read_store_model(self._store, obs_id)
        where = f"run {obs_id} of {self._store}"
        path = locate(self._store, self._files[obs_id][0], where=where)
        try:
            with _opened(path) as hdus:
                header = model.meta or {}
                return _file_model(model, hdus, header=header, flip=False, where=where)
        except (*_UNREADABLE, AstropyUserWarning) as error:
            raise InputError(
                what=f"its background model cannot be used ({error})",
                where=where,
                fix="Look at the file with bkgpipe show",
            ) from error


def _opened(path: Path) -> fits.HDUList:
    content = inflate(read_content(path, where=str(path)), where=str(path))
    with warnings.catch_warnings():
        # astropy only warns of an HDU that is cut off, and leaves it out
        warnings.simplefilter("error", AstropyUserWarning)
        return fits.open(BytesIO(mend_headers(content)), lazy_load_hdus=False)


def _find_background(hdus: fits.HDUList) -> fits.BinTableHDU:
    for hdu in hdus:
        if read_word(hdu.header, "HDUCLAS2") == "BKG" or hdu.name in BKG_NAMES:
            return hdu
    raise KeyError("no HDU of class BKG")


def _read_irf(hdu: fits.BinTableHDU) -> Background2D | Background3D:
    table = Table.read(hdu)
    kind = Background3D if "DETX_LO" in table.colnames else Background2D
    return kind.from_table(table)


def _file_model(
    model: Background2D | Background3D,
    hdus: fits.HDUList,
    *,
    header: fits.Header | dict[str, object],
    flip: bool,
    where: str,
) -> FileModel:
    energy, *field = model.axes
    rate = model.quantity.to_value(_UNIT).astype(float)
    is_3d = len(field) == 2
    flip = is_3d and (flip or model.fov_alignment == FoVAlignment.REVERSE_LON_RADEC)
    error = _relative_error(hdus, rate)
    edges = [axis.edges.to_value("deg").astype(float) for axis in field]
    if flip:
        edges[0], rate = -edges[0][::-1], rate[:, ::-1]
        error = error[:, ::-1] if error.size else error
    deadc = read_number(header, "DEADC", where=where)
    return FileModel(
        energy_edges=energy.edges.to_value("TeV").astype(float),
        field_edges=tuple(edges),
        rate=np.where(np.isfinite(rate), rate, 0.0),
        error=error,
        systematic=read_number(header, "SYSERR", where=where),
        fov_alignment=_frame(model, flip=flip) if is_3d else "",
        deadc=deadc,
        ontime=read_number(header, "HOURS", where=where) * 3600.0 / deadc,
    )


def _relative_error(hdus: fits.HDUList, rate: np.ndarray) -> np.ndarray:
    """Statistical errors, in the layout that bkgpipe writes; empty if there are none.

    They stand in the order of the background's own table, which bkgpipe writes.
    """
    if ERROR_HDU_NAME not in hdus:
        return np.empty(0)
    hdu = hdus[ERROR_HDU_NAME]
    cells = np.asarray(hdu.data["BKG_ERR"][0], dtype=float).T
    error = cells * 1e6  # per MeV to per TeV, as rates are written
    relative = np.zeros(rate.shape)
    np.divide(error, rate, out=relative, where=rate > 0)
    return relative


def _frame(model: Background3D, *, flip: bool) -> str:
    return "RADEC" if flip else FoVAlignment(model.fov_alignment).value
