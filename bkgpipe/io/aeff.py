"""The energy from which the effective area of a run is safe."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from astropy import units as u

from bkgpipe.datamodel import Run
from bkgpipe.errors import InputError
from bkgpipe.io.files import inflate, open_fits, read_content
from bkgpipe.io.index import find_index, hdu_files

__all__ = ["find_safe_energy", "read_safe_energy"]


def find_safe_energy(
    store: Path, run: Run, *, source: str, section: str, **where: float
) -> tuple[float, str]:
    """Return the safe energy of a run from the place that the settings name.

    Parameters
    ----------
    store : Path
        Folder of the store.
    run : Run
        The run.
    source : str
        ``table``, ``aeff``, ``none``, or ``auto`` for the first of them that has it.
    section : str
        Section of the settings, for the message.
    **where : float
        ``fraction`` and ``offset`` for `read_safe_energy`.

    Returns
    -------
    energy : float
        Energy [TeV].
    origin : str
        ``table``, ``aeff`` or ``none``.

    Raises
    ------
    InputError
        If that place does not have it.
    """
    if source in {"auto", "table"} and np.isfinite(run.safe_energy_min):
        return run.safe_energy_min, "table"
    if source in {"auto", "aeff"}:
        energy = read_safe_energy(store, run, **where)
        if np.isfinite(energy):
            return energy, "aeff"
    if source in {"auto", "none"}:
        return 0.0, "none"
    raise InputError(
        what=f"has no safe energy from [{section}] safe_energy = {source}",
        where=f"run {run.obs_id}",
        fix=f"Set [{section}] safe_energy = auto, or safe_energy_min",
    )


def read_safe_energy(store: Path, run: Run, *, fraction: float, offset: float) -> float:
    """Return the lowest energy with a stated fraction of the largest effective area.

    Parameters
    ----------
    store : Path
        Folder of the store.
    run : Run
        The run.
    fraction : float
        Fraction of the largest effective area.
    offset : float
        Offset at which to look [deg].

    Returns
    -------
    float
        Energy, interpolated in its logarithm between the centres of the true-energy
        axis [TeV]; NaN if the store has no effective area for the run.

    Raises
    ------
    InputError
        If the effective area cannot be read.

    References
    ----------
    GADF, section Effective area, AEFF_2D; gammapy, ``SafeMaskMaker``, ``aeff-max``.
    """
    # gammapy takes longer to import than all the rest, and only this needs it
    from gammapy.irf import EffectiveAreaTable2D  # noqa: PLC0415

    index = find_index(store, "hdu-index")
    entries = _read_entries(store, index.stat().st_mtime_ns)
    if run.obs_id not in entries:
        return float("nan")
    file, hdu = entries[run.obs_id]
    where = f"run {run.obs_id} ({file})"
    # those of simulated and exported runs stand in the store that these come from
    content = read_content(store / file, where=where)
    with open_fits(inflate(content, where=where), where=where) as hdus:
        area = EffectiveAreaTable2D.from_hdulist(hdus, hdu=hdu or "AEFF")
        energy = area.axes["energy_true"].center
        values = area.evaluate(energy_true=energy, offset=offset * u.deg)
        edge = area.axes["energy_true"].edges[0].to_value("TeV")
        return _first_above(
            energy.to_value("TeV"), values.to_value("m2"), fraction, float(edge)
        )


@lru_cache(maxsize=2)
def _read_entries(store: Path, _changed: int) -> dict[int, tuple[str, str]]:
    """Read the index once, not for each of 10^5 runs."""
    return hdu_files(store, "aeff")


def _first_above(
    energy: np.ndarray, area: np.ndarray, fraction: float, edge: float
) -> float:
    """First crossing of the threshold; the edge of the axis when it starts above."""
    limit = fraction * np.nanmax(area)
    if not limit > 0:
        return float("nan")
    first = int(np.argmax(area >= limit))
    if first == 0:
        return edge
    pair = slice(first - 1, first + 1)
    return float(np.exp(np.interp(limit, area[pair], np.log(energy[pair]))))
