"""Seals of files: sizes and checksums, which tell later whether they are complete."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bkgpipe.core.passing import require_lasting
from bkgpipe.core.seal import Seal
from bkgpipe.core.sums import sum_file
from bkgpipe.errors import DamagedFileError, OutputError
from bkgpipe.product.flush import flush

__all__ = ["require_sealed", "seal_files"]


def seal_files(folder: Path, names: Iterable[str]) -> list[Seal]:
    """Flush files to the disk, and take their sizes and checksums.

    All files of a chunk are flushed at its end, when the system has written most of
    them already: one by one it would wait for the disk three times a run.

    Parameters
    ----------
    folder : Path
        Folder of the stage.
    names : iterable of str
        Files, relative to it.

    Returns
    -------
    list of Seal
        A seal for each file.

    Raises
    ------
    OutputError
        If the disk is full, or fails.
    """
    wanted = list(names)
    try:
        seals = [_seal(folder, name) for name in wanted]
        for place in sorted({(folder / name).parent for name in wanted}):
            flush(place)
    except OSError as error:
        raise OutputError(
            what=f"its files cannot be written ({error.strerror or error})",
            where=str(folder),
            fix="Check the disk, then run again",
        ) from error
    return seals


def require_sealed(folder: Path, seal: Seal) -> None:
    """Read a file to its end, and refuse one that is not what was written.

    Parameters
    ----------
    folder : Path
        Folder of the stage.
    seal : Seal
        What it was.

    Raises
    ------
    DamagedFileError
        If it is gone, or its size or content is another.
    PassingError
        If it cannot be read at the moment.
    """
    path = folder / seal.name
    try:
        found = _read(path)
    except OSError as error:
        require_lasting(error, where=str(path))
        raise _broken(path, f"cannot be read ({error.strerror or error})") from error
    if found.size != seal.size:
        raise _broken(path, f"has {found.size} bytes, {seal.size} were written")
    if found.sha256 != seal.sha256:
        raise _broken(path, "the SHA-256 is not that of what was written")


def _seal(folder: Path, name: str) -> Seal:
    flush(folder / name)
    found = _read(folder / name)
    return Seal(name=name, size=found.size, sha256=found.sha256)


def _read(path: Path) -> Seal:
    total = sum_file(path)
    return Seal(name=path.name, size=path.stat().st_size, sha256=total)


def _broken(path: Path, what: str) -> DamagedFileError:
    return DamagedFileError(
        what=what,
        where=str(path),
        fix="Remove it and run the production again: it is made anew",
    )
