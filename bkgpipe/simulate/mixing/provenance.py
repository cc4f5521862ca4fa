"""The record of how background events came into a store, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bkgpipe._version import __version__
from bkgpipe.product.json_file import read_json
from bkgpipe.simulate.mixing.data import MixRecord, Provenance
from bkgpipe.store.fits_file import write_content

__all__ = ["read_provenance", "write_provenance"]


def write_provenance(path: Path, provenance: Provenance) -> None:
    """Write how background events came into a store.

    Parameters
    ----------
    path : Path
        JSON file to write; a temporary one is fine.
    provenance : Provenance
        The record.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    content = {"program": f"bkgpipe {__version__}"} | asdict(provenance)
    write_content(path, (json.dumps(content, indent=1) + "\n").encode())


def read_provenance(path: Path) -> Provenance:
    """Read how background events came into a store.

    Parameters
    ----------
    path : Path
        JSON file.

    Returns
    -------
    Provenance
        The record.

    Raises
    ------
    InputError
        If the file is missing or is no such record.
    """
    return read_json(
        path,
        _make,
        holds="record of mixed events",
        fix="Give the JSON file that bkgpipe simulate wrote beside the index",
    )


def _make(content: dict[str, Any]) -> Provenance:
    del content["program"]
    content["records"] = tuple(MixRecord(**row) for row in content["records"])
    return Provenance(**content)
