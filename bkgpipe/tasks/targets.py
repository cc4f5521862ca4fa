"""Product files that are there only when they are whole."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import luigi

from bkgpipe.datamodel import ProductHeader
from bkgpipe.errors import DamagedFileError, OutputError

__all__ = ["ProductTarget", "whole_file", "write_file"]

_log = logging.getLogger(__name__)


class ProductTarget(luigi.LocalTarget):
    """A product file that is there, whole, and made from the present inputs.

    Parameters
    ----------
    path : Path
        The file.
    inputs : callable
        Returns the digest of the present inputs.
    read_header : callable
        Reads the header of the file; raises DamagedFileError.
    """

    def __init__(
        self,
        path: Path,
        *,
        inputs: Callable[[], str],
        read_header: Callable[[Path], ProductHeader],
    ) -> None:
        super().__init__(str(path))
        self._inputs = inputs
        self._read_header = read_header

    def exists(self) -> bool:
        """Tell whether the product need not be made.

        Returns
        -------
        bool
            False also for a damaged file, which is moved aside.
        """
        path = Path(self.path)
        if not path.exists():
            return False
        try:
            header = self._read_header(path)
        except DamagedFileError as error:
            aside = path.with_name(path.name + ".damaged")
            _log.warning("%s It was moved to %s and will be made again", error, aside)
            path.replace(aside)
            return False
        return header.inputs == self._inputs()

    @contextmanager
    def temporary_path(self) -> Iterator[str]:
        """Give a name to write to, which takes the place of the product when whole.

        Luigi's own refuses to replace an earlier product, but one of other inputs has
        to go, and of two workers on the same task the last may win.

        Yields
        ------
        str
            Path of a file in the same folder.

        Raises
        ------
        OutputError
            If the folder cannot be written or is full.
        """
        with whole_file(Path(self.path)) as path:
            yield str(path)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write a file under another name, and rename it when it is whole.

    Parameters
    ----------
    path : Path
        The file; its folder is made.

    Yields
    ------
    Path
        Name to write to.

    Raises
    ------
    OutputError
        If the folder cannot be written or is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            what=f"cannot be written ({error.strerror or error})",
            where=str(path),
            fix="Set [data] output to a folder that you may write to, with free space",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_file(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file that is there only when it is whole.

    Parameters
    ----------
    path : Path
        The file; its folder is made.
    write : callable
        Writes to the path that it is given.

    Raises
    ------
    OutputError
        If the folder cannot be written or is full.
    """
    with whole_file(path) as temporary:
        write(temporary)
