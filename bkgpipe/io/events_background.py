"""The background model in the file of the events."""

from __future__ import annotations

from pathlib import Path

from bkgpipe.io.files import open_fits, read_content
from bkgpipe.io.gadf import BKG_HDU_NAME

__all__ = ["events_background"]


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
        If the file cannot be read.

    References
    ----------
    gammapy, ``DataStore.from_events_files``.
    """
    content = read_content(path, where=str(path))
    with open_fits(content, where=str(path)) as hdus:
        place = hdus[BKG_HDU_NAME].fileinfo()
    return content[place["hdrLoc"] : place["datLoc"] + place["datSpan"]]
