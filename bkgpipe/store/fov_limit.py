"""How far from the pointing the responses of runs reach."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from astropy.io import fits

from bkgpipe.core.run import Run
from bkgpipe.store.files import inflate, open_fits, read_content
from bkgpipe.store.index import hdu_files
from bkgpipe.store.units import to_unit

__all__ = ["read_fov_limits"]


def read_fov_limits(store: Path, runs: Iterable[Run]) -> dict[int, float]:
    """Read the largest offset of the effective areas of some runs.

    Parameters
    ----------
    store : Path
        Folder of the store.
    runs : iterable of Run
        The runs.

    Returns
    -------
    dict of int to float
        Upper end of the offset axis of each run that has an effective area [deg]; NaN
        when there is only one offset, as in responses that are made for one position
        of the source.

    Raises
    ------
    InputError
        If the index or an effective area cannot be read.

    References
    ----------
    GADF, section Effective area, AEFF_2D.
    """
    entries = hdu_files(store, "aeff")
    return {
        run.obs_id: _read_limit(
            store, *entries[run.obs_id], where=f"run {run.obs_id}, effective area"
        )
        for run in runs
        if run.obs_id in entries
    }


def _read_limit(store: Path, file: str, name: str, *, where: str) -> float:
    # those of simulated and exported runs stand in the store that these come from
    content = read_content(store / file, where=where)
    with open_fits(inflate(content, where=where), where=where) as hdus:
        values, unit = _read_theta(hdus[name or "AEFF"])
    if values.size < 2:
        return float("nan")
    return float(to_unit(values, unit, "deg", where=f"{where}, THETA_HI").max())


def _read_theta(hdu: fits.BinTableHDU) -> tuple[np.ndarray, str]:
    values = np.asarray(hdu.data["THETA_HI"], dtype=np.float64).ravel()
    return values, str(hdu.columns["THETA_HI"].unit or "")
