"""The records of an overlay: who got what of which OFF run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bkgpipe._version import __version__
from bkgpipe.datamodel.mixing import MixRecord
from bkgpipe.datamodel.overlay import OverlayPool, PoolUse
from bkgpipe.errors import InputError
from bkgpipe.io.fits_file import write_content

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
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        uses = tuple(_read_use(row) for row in content["uses"])
        return OverlayPool(
            output=str(content["output"]), frame=str(content["frame"]), uses=uses
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            what=f"the file holds no record of used OFF runs ({error})",
            where=str(path),
            fix="Give the overlay_pool.json that bkgpipe simulate overlay wrote",
        ) from error


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
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        records = tuple(MixRecord(**row) for row in content["records"])
        return records, dict(content["inputs"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            what=f"the file holds no record of one run ({error})",
            where=str(path),
            fix="Remove it and the events file of the run, and start again",
        ) from error


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
