"""The energy from which the effective area of a run is safe."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from astropy.io import fits

from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.store.files import inflate, open_fits, read_content
from bkgpipe.store.index import find_index, hdu_files
from bkgpipe.store.units import to_unit

__all__ = [
    "aeff_entries",
    "find_safe_energy",
    "read_safe_energy",
    "require_safe_source",
]

# The same offset but for rounding [deg]
_SAME_OFFSET = 1e-3


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
        ``table``, ``aeff`` or ``none``; where the effective area does not reach the
        offset asked for, also the offset at which it was taken.

    Raises
    ------
    InputError
        If that place does not have it.
    """
    if source in {"auto", "table"} and np.isfinite(run.safe_energy_min):
        return run.safe_energy_min, "table"
    if source in {"auto", "aeff"}:
        energy, offset = read_safe_energy(store, run, **where)
        if np.isfinite(energy):
            is_there = abs(offset - where["offset"]) < _SAME_OFFSET
            return energy, "aeff" if is_there else f"aeff at {offset:.2g} deg"
    if source in {"auto", "none"}:
        return 0.0, "none"
    raise _no_safe_energy(run, source, section)


def require_safe_source(store: Path, run: Run, *, source: str, section: str) -> None:
    """Refuse a run that does not have the place of safe energies that is asked for.

    Parameters
    ----------
    store : Path
        Folder of the store.
    run : Run
        The run; no file of it is opened.
    source, section : str
        As for `find_safe_energy`.

    Raises
    ------
    InputError
        If the index tells that `find_safe_energy` will refuse it.
    """
    is_unknown = source == "table" and not np.isfinite(run.safe_energy_min)
    if is_unknown or (source == "aeff" and run.obs_id not in aeff_entries(store)):
        raise _no_safe_energy(run, source, section)


def _no_safe_energy(run: Run, source: str, section: str) -> InputError:
    return InputError(
        what=f"has no safe energy from [{section}] safe_energy = {source}",
        where=f"run {run.obs_id}",
        fix=f"Set [{section}] safe_energy = auto, or safe_energy_min",
    )


def read_safe_energy(
    store: Path, run: Run, *, fraction: float, offset: float
) -> tuple[float, float]:
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
        Offset at which to look; where the offset axis does not reach it, as that of
        responses for a single offset, the nearest that it has [deg].

    Returns
    -------
    energy : float
        Energy, interpolated in its logarithm between the centres of the true-energy
        axis [TeV]; NaN if the store has no effective area for the run, or it is zero.
    offset : float
        Offset at which it was taken [deg].

    Raises
    ------
    InputError
        If the effective area cannot be read.

    References
    ----------
    GADF, section Effective area, AEFF_2D; gammapy, ``SafeMaskMaker``, ``aeff-max``.
    """
    entries = aeff_entries(store)
    if run.obs_id not in entries:
        return float("nan"), offset
    file, hdu = entries[run.obs_id]
    where = f"run {run.obs_id} ({file})"
    # those of simulated and exported runs stand in the store that these come from
    content = read_content(store / file, where=where)
    with open_fits(inflate(content, where=where), where=where) as hdus:
        energy_edges, energy = _read_axis(hdus[hdu or "AEFF"], "ENERG", "TeV", where)
        offset_edges, offsets = _read_axis(hdus[hdu or "AEFF"], "THETA", "deg", where)
        areas = np.asarray(hdus[hdu or "AEFF"].data["EFFAREA"], dtype=np.float64)
        areas = areas.reshape(offsets.size, energy.size)
    taken = float(np.clip(offset, offset_edges[0], offset_edges[-1]))
    taken = taken if offsets.size > 1 else float(offsets[0])
    area = np.array([np.interp(taken, offsets, values) for values in areas.T])
    return _first_above(energy, area, fraction, float(energy_edges[0])), taken


def _read_axis(
    hdu: fits.BinTableHDU, name: str, unit: str, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return first and last edge of an axis, and its centres, in a unit."""
    low, high = (
        to_unit(
            np.asarray(hdu.data[f"{name}_{end}"], dtype=np.float64).ravel(),
            str(hdu.columns[f"{name}_{end}"].unit or ""),
            unit,
            where=f"{where}, {name}_{end}",
        )
        for end in ("LO", "HI")
    )
    centers = np.sqrt(low * high) if name == "ENERG" else (low + high) / 2
    return np.array([low[0], high[-1]]), centers


def aeff_entries(store: Path) -> dict[int, tuple[str, str]]:
    """Return the file and HDU that hold the effective area of each run.

    Parameters
    ----------
    store : Path
        Folder of the store.

    Returns
    -------
    dict of int to tuple of str
        File relative to the store and name of the HDU, for each run that has it.

    Raises
    ------
    InputError
        If the HDU index cannot be used.
    """
    index = find_index(store, "hdu-index")
    return _read_entries(store, index.stat().st_mtime_ns)


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
