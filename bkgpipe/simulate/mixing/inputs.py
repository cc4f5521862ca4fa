"""What the runs that get drawn events hold already."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from astropy.io import fits

from bkgpipe.core.run import Run
from bkgpipe.store.files import inflate, locate, open_fits, read_content
from bkgpipe.store.index import find_index, hdu_files

__all__ = ["foreign_events", "own_file"]


def foreign_events(store: Path, run: Run) -> str:
    """Tell why the events of a run are not signal alone.

    Parameters
    ----------
    store : Path
        Folder of the store.
    run : Run
        The run, its events read before.

    Returns
    -------
    str
        The reason; empty if all have ``BKG_TYPE`` 0 or, as gammapy counts sources,
        ``MC_ID`` above 0, or if there are none.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    where = f"run {run.obs_id} ({run.events_file})"
    path = locate(store, run.events_file, where=where)
    content = inflate(read_content(path, where=where), where=where)
    with open_fits(content, where=where) as hdus:
        return _reason(hdus[run.events_hdu or "EVENTS"])


def _reason(hdu: fits.BinTableHDU) -> str:
    names = {name.upper(): name for name in hdu.columns.names}
    if not len(hdu.data):
        return ""
    if "BKG_TYPE" in names:
        n_foreign = int(np.count_nonzero(hdu.data[names["BKG_TYPE"]]))
        return f"{n_foreign} events have a BKG_TYPE" if n_foreign else ""
    if "MC_ID" in names:
        n_foreign = int(np.count_nonzero(hdu.data[names["MC_ID"]] <= 0))
        return f"{n_foreign} events have MC_ID 0, background" if n_foreign else ""
    return "neither BKG_TYPE nor MC_ID tells measured events from a simulated signal"


def own_file(store: Path, run: Run) -> str:
    """Name the file of the background model that a store names for a run.

    Parameters
    ----------
    store : Path
        Folder of the store.
    run : Run
        The run.

    Returns
    -------
    str
        File relative to the store; empty when there is none.

    Raises
    ------
    InputError
        If the HDU index cannot be used.
    """
    changed = find_index(store, "hdu-index").stat().st_mtime_ns
    file, _ = _own_files(store, changed).get(run.obs_id, ("", ""))
    return file


@lru_cache(maxsize=2)
def _own_files(store: Path, _changed: int) -> dict[int, tuple[str, str]]:
    """Read the index once, not for each run."""
    return hdu_files(store, "bkg")
