"""XRootD; its client shows proxies and tokens by itself."""

from __future__ import annotations

import re
import shutil
import zlib
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from bkgpipe.batch.transfer.failures import Verdict, http_verdict
from bkgpipe.batch.transfer.storage import Storage, file_system

__all__ = ["xrootd_storage"]

_BLOCK = 2**22

# Its numbers, kXR_… in "The XRootD Protocol", by those of HTTP that mean the same
_CODES = {
    3003: 423,  # locked
    3007: 500,  # input or output failed
    3008: 503,  # no memory
    3009: 507,  # no space
    3010: 403,  # not authorized
    3011: 404,  # not found
    3012: 500,  # error in the server
    3014: 503,  # no server for it at the moment
    3020: 503,  # in progress
    3021: 507,  # over quota
    3024: 503,  # overloaded
    3030: 403,  # authentication failed
}
_NUMBER = re.compile(r"responded with an error: \[(\d+)\]\s*(.*)", re.DOTALL)
_REFUSED = re.compile(r"Auth failed|Login failed")
_PASSING = re.compile(
    r"expired|timeout|connection|socket|stream|resolve", re.IGNORECASE
)


class _Xrootd(Storage):
    """A server of XRootD."""

    def _connect(self, silence: float) -> Any:
        found = file_system(
            "root",
            hostid=urlsplit(self._url).netloc,
            timeout=max(1, round(silence)),
            use_listings_cache=False,
        )
        client = import_module("XRootD.client")
        # it would try for half an hour by itself; what a site sets wins
        client.EnvPutInt("ConnectionRetry", 1)
        client.EnvPutInt("ConnectionWindow", max(1, round(min(10.0, silence))))
        client.EnvPutInt("StreamErrorWindow", max(1, round(silence)))
        client.EnvPutInt("TimeoutResolution", 1)
        return found

    @property
    def key(self) -> str:
        """Path of the file, which has one slash at its start."""
        return f"/{urlsplit(self._url).path.lstrip('/')}"

    def verdict(self, error: Exception) -> tuple[Verdict, str]:
        words = str(error).strip()
        number = _NUMBER.search(words)
        if number:
            found, _ = http_verdict(_CODES.get(int(number[1]), 400))
            return found, f"{number[1]} {number[2]}"
        if _REFUSED.search(words):
            return Verdict.REFUSED, words
        found, words = super().verdict(error)
        if found is Verdict.LASTING and _PASSING.search(words):
            return Verdict.PASSING, words
        return found, words

    def put(self, path: Path, key: str) -> None:
        self._fs.makedirs(str(PurePosixPath(key).parent), exist_ok=True)
        with path.open("rb") as source, self._fs.open(key, "wb") as target:
            shutil.copyfileobj(source, target, _BLOCK)

    def get(self, key: str, path: Path) -> None:
        # it keeps files open, of which there may be a new one under the same name
        self._fs.invalidate_cache()
        super().get(key, path)

    def has_sum_of(self, path: Path, key: str) -> bool:
        try:
            kind, found = self._fs.checksum(key)
        except OSError:  # not all servers are set up for that
            return False
        return bool(kind == "adler32" and int(found, 16) == _adler32(path))


def xrootd_storage(url: str, *, silence: float) -> Storage:
    """Make the storage behind a server of XRootD.

    Parameters
    ----------
    url : str
        Address of any file.
    silence : float
        Time without an answer after which one is given up [s].

    Returns
    -------
    Storage
        The storage.

    Raises
    ------
    BkgpipeError
        If it cannot be used.
    """
    return _Xrootd(url, silence=silence)


def _adler32(path: Path) -> int:
    found = 1
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found = zlib.adler32(block, found)
    return found
