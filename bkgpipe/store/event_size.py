"""How many events the runs of a store have, without reading them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bkgpipe.core.run import Run
from bkgpipe.store.files import locate
from bkgpipe.store.headers import UNREADABLE, read_header

__all__ = ["EventSize", "read_event_size"]

_MAX_READ = 5
_GZIP_MAGIC = b"\x1f\x8b"
_OF_HESS = (0.021, 1.35)  # of the runs of H.E.S.S. DL3 DR1


@dataclass(frozen=True, kw_only=True)
class EventSize:
    """What there is in events files, for each byte that they have on disk.

    Attributes
    ----------
    n_events : float
        Events.
    n_inflated : float
        Bytes once gzip is undone.
    """

    n_events: float
    n_inflated: float


def read_event_size(store: Path, runs: Sequence[Run]) -> EventSize:
    """Look at the headers of the largest events file and of a few others.

    Parameters
    ----------
    store : Path
        Folder of the store.
    runs : sequence of Run
        Runs to choose from.

    Returns
    -------
    EventSize
        Mean of these files; that of H.E.S.S. DL3 DR1 if none can be read.

    References
    ----------
    GADF 0.3, section "Events"; RFC 1952, section 2.3.1, for the size that a gzip file
    ends with.
    """
    ordered = sorted(runs, key=lambda run: run.file_size, reverse=True)
    step = max(1, len(ordered) // _MAX_READ)
    found = [size for run in ordered[::step] if (size := _read_sizes(store, run))]
    if not found:
        return EventSize(n_events=_OF_HESS[0], n_inflated=_OF_HESS[1])
    n_bytes, n_events, n_inflated = (sum(sizes) for sizes in zip(*found, strict=True))
    return EventSize(n_events=n_events / n_bytes, n_inflated=n_inflated / n_bytes)


def _read_sizes(store: Path, run: Run) -> tuple[int, int, int] | None:
    """Read bytes, events and bytes inflated of a run, if that is possible."""
    try:
        path = locate(store, run.events_file, where=f"run {run.obs_id}")
        header = read_header(path, run.events_hdu or "EVENTS")
        return path.stat().st_size, int(header["NAXIS2"]), _inflated(path)
    except UNREADABLE:  # which check and count tell of
        return None


def _inflated(path: Path) -> int:
    """Size of a file, inflated; of several gzip members the last one counts."""
    with path.open("rb") as file:
        if file.read(2) != _GZIP_MAGIC:
            return path.stat().st_size
        file.seek(-4, os.SEEK_END)
        return int.from_bytes(file.read(4), "little")
