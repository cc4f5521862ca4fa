"""Files behind an address, by fsspec; each protocol has a module of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from bkgpipe.batch.transfer.failures import Verdict, judge, system_verdict
from bkgpipe.core.passing import error_causes
from bkgpipe.errors import BkgpipeError, SettingsError

__all__ = ["Storage", "file_system"]


class Storage:
    """Files of a folder that the machine sees, and what other protocols do alike.

    Parameters
    ----------
    url : str
        Address of any file.
    silence : float
        Time without an answer after which one is given up [s].
    """

    renames = True
    lists = True

    def __init__(self, url: str, *, silence: float) -> None:
        self._url = url
        with self.told():
            self._fs = self._connect(silence)

    def _connect(self, silence: float) -> Any:  # noqa: ARG002
        return file_system("file")

    def close(self) -> None:
        """Give connections back."""

    @property
    def key(self) -> str:
        """Name of the file for the server."""
        return urlsplit(self._url).path

    @contextmanager
    def told(self) -> Iterator[None]:
        """Raise our error for whatever goes wrong with the server.

        Raises
        ------
        BkgpipeError
            See `judge`.
        """
        try:
            yield
        except BkgpipeError:
            raise
        except Exception as error:
            # each of a dozen packages has classes of its own
            raise judge(self.verdict(error), self._url) from error

    def verdict(self, error: Exception) -> tuple[Verdict, str]:
        """Say what an error of the packages below means.

        Parameters
        ----------
        error : Exception
            What was raised.

        Returns
        -------
        tuple
            Verdict and words.
        """
        return system_verdict(error)

    def put(self, path: Path, key: str) -> None:
        """Send a file.

        Parameters
        ----------
        path : Path
            The file.
        key : str
            Name there; folders above it are made.
        """
        self._fs.makedirs(str(PurePosixPath(key).parent), exist_ok=True)
        self._fs.put_file(str(path), key)

    def get(self, key: str, path: Path) -> None:
        """Fetch a file.

        Parameters
        ----------
        key : str
            Name there.
        path : Path
            File to write.
        """
        self._fs.get_file(key, str(path))

    def rename(self, key: str, new: str) -> None:
        """Give a file another name, also one that is taken.

        Parameters
        ----------
        key, new : str
            Names there.
        """
        self._fs.mv(key, new)

    def size(self, key: str) -> int:
        """Return the size of a file.

        Parameters
        ----------
        key : str
            Name there.

        Returns
        -------
        int
            Size [byte].
        """
        found = self._fs.info(key)
        if found["type"] != "file":
            raise FileNotFoundError(key)
        return int(found["size"])

    def list_files(self, key: str) -> dict[str, int]:
        """List the files of a folder.

        Parameters
        ----------
        key : str
            Name there.

        Returns
        -------
        dict of str to int
            Size of each, by its name [byte].
        """
        return {
            PurePosixPath(each["name"]).name: int(each["size"])
            for each in self._fs.ls(key, detail=True)
            if each["type"] == "file"
        }

    def remove(self, key: str) -> None:
        """Remove a file.

        Parameters
        ----------
        key : str
            Name there.
        """
        self._fs.rm_file(key)

    def has_sum_of(self, path: Path, key: str) -> bool:  # noqa: ARG002
        """Tell whether the server itself says that it has the content of a file.

        Parameters
        ----------
        path : Path
            The file.
        key : str
            Name there.

        Returns
        -------
        bool
            False also where the server gives no checksum.
        """
        return False


def file_system(protocol: str, **options: Any) -> Any:
    """Make the file system of a protocol.

    Parameters
    ----------
    protocol : str
        Protocol, as fsspec names it.
    **options : object
        Its options.

    Returns
    -------
    fsspec.AbstractFileSystem
        The file system.

    Raises
    ------
    SettingsError
        If packages are missing.
    """
    try:
        fsspec = import_module("fsspec")
        return fsspec.filesystem(protocol, **options)
    except ImportError as error:
        *_, cause = error_causes(error)
        raise SettingsError(
            what=f"moving files by {protocol}:// needs packages that are not installed "
            f"({cause})",
            where="[site:NAME] transfer",
            fix="pip install 'bkgpipe[transfer]'",
        ) from error
