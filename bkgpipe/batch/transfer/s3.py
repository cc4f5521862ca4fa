"""Object stores with the interface of S3; keys are those of the AWS tools."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bkgpipe.batch.transfer.failures import Verdict, all_causes, http_verdict
from bkgpipe.batch.transfer.storage import Storage, file_system

__all__ = ["s3_storage"]

# What comes with a number of HTTP that says something else
_CODES = {
    "ExpiredToken": 401,
    "ExpiredTokenException": 401,
    "InvalidToken": 401,
    "QuotaExceeded": 507,
    "RequestTimeout": 408,
    "TokenRefreshRequired": 401,
}
# Classes of botocore, whose modules are loaded late
_NO_KEYS = {
    "CredentialRetrievalError",
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
}
_NO_ANSWER = {
    "ClientError",
    "FSTimeoutError",
    "HTTPClientError",
    "ResponseParserError",
}


class _S3(Storage):
    """An object store, in which a file is there as a whole or not at all."""

    renames = False

    def _connect(self, silence: float) -> Any:
        return _connected(silence, _settings_stamp())

    @property
    def key(self) -> str:
        """Bucket and name of the object."""
        parts = urlsplit(self._url)
        return f"{parts.netloc}{parts.path}"

    def verdict(self, error: Exception) -> tuple[Verdict, str]:
        for each in all_causes(error):
            response = getattr(each, "response", None)
            if isinstance(response, dict):
                return _answer_verdict(response)
        names = {kind.__name__ for kind in type(error).__mro__}
        if names & _NO_KEYS:
            return Verdict.REFUSED, "there are no keys for S3"
        found, words = super().verdict(error)
        if found is Verdict.LASTING and names & _NO_ANSWER:
            return Verdict.PASSING, words
        return found, words

    def put(self, path: Path, key: str) -> None:
        self._fs.put_file(str(path), key)

    def has_sum_of(self, path: Path, key: str) -> bool:
        # of parts, or encrypted, it is something else
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, _md5).hexdigest()
        return str(self._fs.info(key).get("ETag", "")).strip('"') == md5


# a connection costs 0.1 s of CPU time, as many interfaces of AWS are read for it
@lru_cache(maxsize=1)
def _connected(silence: float, _stamp: tuple[object, ...]) -> Any:
    connection = {
        "connect_timeout": min(10.0, silence),
        "read_timeout": silence,
        "retries": {"total_max_attempts": 1},
        # not all stores know those that AWS added in 2025
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
    found = file_system(
        "s3",
        config_kwargs=connection,
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    found.retries = 1
    return found


def _settings_stamp() -> tuple[object, ...]:
    """Put together what a connection depends on: keys may be renewed."""
    names = ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE")
    usual = ("~/.aws/credentials", "~/.aws/config")
    files = [
        Path(os.environ.get(n, u)).expanduser()
        for n, u in zip(names, usual, strict=True)
    ]
    times = [path.stat().st_mtime_ns if path.is_file() else 0 for path in files]
    variables = {k: v for k, v in os.environ.items() if k.startswith("AWS_")}
    # a process that is forked has no part in connections of its parent
    return (os.getpid(), *times, *sorted(variables.items()))


def _answer_verdict(response: dict[str, Any]) -> tuple[Verdict, str]:
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    found, words = http_verdict(_CODES.get(code, status))
    return found, words if code.isdigit() else f"{words}, {code}"


def s3_storage(url: str, *, silence: float) -> Storage:
    """Make an object store.

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
    return _S3(url, silence=silence)


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)
