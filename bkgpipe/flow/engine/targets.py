"""Product files as targets of tasks, and damaged ones set aside."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import luigi

from bkgpipe.chain.whole import made_from, product_fault
from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import DamagedFileError
from bkgpipe.product.whole_file import whole_file

__all__ = [
    "ProductTarget",
    "damaged_files",
    "damaged_set_aside",
    "set_aside",
]

_log = logging.getLogger(__name__)

_DAMAGED = ".damaged"


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
        try:
            return not self._look()
        except DamagedFileError as error:
            set_aside(error)
            return False

    def fault(self) -> str:
        """Tell why the product must be made, and change nothing.

        Returns
        -------
        str
            ``missing``, ``damaged``, ``outdated`` (made from other inputs), or empty.
        """
        try:
            return self._look()
        except DamagedFileError:
            return "damaged"

    def made_from(self) -> str:
        """Digest of the inputs that a whole product was made from.

        Returns
        -------
        str
            Digest; empty if it is missing.
        """
        return made_from(Path(self.path), self._read_header) or ""

    def _look(self) -> str:
        return product_fault(
            Path(self.path),
            read_header=self._read_header,
            is_current=lambda found: found == self._inputs(),
        )

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


def set_aside(error: DamagedFileError) -> bool:
    """Move a damaged product aside, so that it is made again, and tell so.

    Parameters
    ----------
    error : DamagedFileError
        Names the file.

    Returns
    -------
    bool
        False when the file could not be moved.
    """
    path = Path(error.where)
    aside = path.with_name(path.name + _DAMAGED)
    told = f"{error.where}: {error.what}"
    try:
        path.replace(aside)
    except FileNotFoundError:
        # of several that find the damage the first one moves the file
        return False
    except OSError as reason:
        _log.warning(
            "%s. It cannot be moved aside (%s): remove it", told, reason.strerror
        )
        return False
    _log.warning("%s. It was moved to %s and will be made again", told, aside)
    return True


@contextmanager
def damaged_set_aside() -> Iterator[None]:
    """Move aside the product that the block finds damaged.

    Raises
    ------
    DamagedFileError
        As the block raised it.
    """
    try:
        yield
    except DamagedFileError as error:
        set_aside(error)
        raise


def damaged_files(folder: Path) -> dict[Path, int]:
    """List what was set aside in a production.

    Parameters
    ----------
    folder : Path
        Output folder of the production.

    Returns
    -------
    dict of Path to int
        When each file was last changed in its place [ns].
    """
    found = folder.glob(f"*/*{_DAMAGED}")
    return {path: path.lstat().st_ctime_ns for path in found}
