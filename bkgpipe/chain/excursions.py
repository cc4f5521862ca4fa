"""Runs with conditions beyond those of the fit, from the products on disk."""

from __future__ import annotations

from bkgpipe.chain.summary import find_chunks
from bkgpipe.settings import Settings
from bkgpipe.stages.smooth.files import MODELS
from bkgpipe.stages.table import has_stage

__all__ = ["read_excursions"]


def read_excursions(settings: Settings) -> dict[int, tuple[str, ...]]:
    """Find the runs with conditions beyond those of the regression.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    dict of int to tuple of str
        Conditions of each such run, in words, by ``obs_id``; nothing for other methods.

    Raises
    ------
    DamagedFileError
        If a product file is not what was written.
    """
    if not has_stage(settings, "fit"):
        return {}
    found = {
        obs_id: values["excursions"]
        for path in find_chunks(settings, "smooth")
        for obs_id, values in MODELS.read_fields(path, ["excursions"]).records.items()
        if values["excursions"]
    }
    return dict(sorted(found.items()))
