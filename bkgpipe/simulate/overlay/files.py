"""The records of an overlay: who got what of which OFF run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bkgpipe._version import __version__
from bkgpipe.product.json_file import read_json
from bkgpipe.simulate.mixing.data import MixRecord
from bkgpipe.simulate.overlay.data import OverlayPool, PoolUse
from bkgpipe.store.fits_file import write_content

__all__ = [
    "read_pool",
    "read_run_records",
    "write_matches",
    "write_pool",
    "write_run_records",
]


def write_pool(path: Path, pool: OverlayPool) -> None:
    """Write what was used of OFF runs.

    Parameters
    ----------
    path : Path
        JSON file to write; a temporary one is fine.
    pool : OverlayPool
        The uses.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    rows = ",\n ".join(json.dumps(asdict(use)) for use in pool.uses)
    head = {"program": f"bkgpipe {__version__}", "output": pool.output}
    head["frame"] = pool.frame
    text = f'{json.dumps(head)[:-1]},\n"uses": [\n {rows}\n]}}\n'
    write_content(path, text.encode())


def read_pool(path: Path) -> OverlayPool:
    """Read what was used of OFF runs.

    Parameters
    ----------
    path : Path
        JSON file.

    Returns
    -------
    OverlayPool
        The uses.

    Raises
    ------
    InputError
        If the file is missing or is no such record.
    """
    return read_json(
        path,
        _make_pool,
        holds="record of used OFF runs",
        fix="Give the overlay_pool.json that bkgpipe simulate overlay wrote",
    )


def write_matches(path: Path, matches: Mapping[int, Mapping[str, object]]) -> None:
    """Write which OFF runs match each target, and why the others do not.

    Parameters
    ----------
    path : Path
        JSON file to write; a temporary one is fine.
    matches : mapping of int to mapping of str to object
        For each target what JSON can hold.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    rows = ",\n".join(
        f"{json.dumps(str(obs_id))}: {json.dumps(match)}"
        for obs_id, match in matches.items()
    )
    write_content(path, f"{{\n{rows}\n}}\n".encode())


def write_run_records(
    path: Path, records: Sequence[MixRecord], inputs: Mapping[str, str]
) -> None:
    """Write what one target got.

    Parameters
    ----------
    path : Path
        JSON file to write; a temporary one is fine.
    records : sequence of MixRecord
        One for each piece of an OFF run.
    inputs : mapping of str to str
        Digests of the files that were read.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    content = {"records": [asdict(row) for row in records], "inputs": {**inputs}}
    write_content(path, json.dumps(content).encode())


def read_run_records(path: Path) -> tuple[tuple[MixRecord, ...], dict[str, str]]:
    """Read what one target got.

    Parameters
    ----------
    path : Path
        JSON file.

    Returns
    -------
    records : tuple of MixRecord
        One for each piece of an OFF run.
    inputs : dict of str to str
        Digests of the files that were read.

    Raises
    ------
    InputError
        If the file is missing or is no such record.
    """
    return read_json(
        path,
        _make_run_records,
        holds="record of one run",
        fix="Remove it and the events file of the run, and start again",
    )


def _make_pool(content: dict[str, Any]) -> OverlayPool:
    return OverlayPool(
        output=str(content["output"]),
        frame=str(content["frame"]),
        uses=tuple(_read_use(row) for row in content["uses"]),
    )


def _make_run_records(
    content: dict[str, Any],
) -> tuple[tuple[MixRecord, ...], dict[str, str]]:
    records = tuple(MixRecord(**row) for row in content["records"])
    return records, dict(content["inputs"])


def _read_use(row: dict[str, object]) -> PoolUse:
    """Turn the lists of JSON into tuples."""
    names = ("off_ids", "factors", "spans")
    off_ids, factors, spans = (list(row.pop(name)) for name in names)  # type: ignore[call-overload]
    return PoolUse(
        **row,  # type: ignore[arg-type]
        off_ids=tuple(off_ids),
        factors=tuple(factors),
        spans=tuple((int(i), float(a), float(b), float(s)) for i, a, b, s in spans),
    )
