"""The background model in the file of the events."""

from __future__ import annotations

import re
from pathlib import Path

from bkgpipe.errors import InputError
from bkgpipe.stages.export.gadf import BKG_HDU_NAME
from bkgpipe.store.cards import data_span, headers
from bkgpipe.store.files import read_content

__all__ = ["events_background"]

_NAME = re.compile(b"EXTNAME = '%s *'" % BKG_HDU_NAME.encode())


def events_background(path: Path) -> bytes:
    """Read the model of a file as an HDU of an events file.

    Without an index gammapy looks for the model beside the events, under the same name
    and of class ``bkg_3d``.

    Parameters
    ----------
    path : Path
        File of `write_bkg_3d`.

    Returns
    -------
    bytes
        Header and data of its HDU.

    Raises
    ------
    InputError
        If the file cannot be read, or has no such HDU.

    References
    ----------
    gammapy, ``DataStore.from_events_files``.
    """
    content = read_content(path, where=str(path))
    for start, head in headers(content):
        if _NAME.search(head):
            return content[start : start + len(head) + data_span(head)]
    raise InputError(
        what=f"the file has no HDU {BKG_HDU_NAME}",
        where=str(path),
        fix="Remove it, and run again",
    )
