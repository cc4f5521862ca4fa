"""WebDAV over HTTP and HTTPS; proxies, tokens and passwords go over HTTPS alone."""

from __future__ import annotations

import netrc
import os
import ssl
from contextlib import suppress
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from bkgpipe.batch.transfer.credentials import find_proxy, find_token
from bkgpipe.batch.transfer.failures import Verdict, all_causes, http_verdict
from bkgpipe.batch.transfer.storage import Storage, file_system
from bkgpipe.errors import AccessError

__all__ = ["webdav_storage"]

_TLS = {"webdavs", "davs"}
# Certificates of the authorities of grids
_AUTHORITIES = "/etc/grid-security/certificates"
# What webdav4 does not say by the number of HTTP
_CODES = {
    "BadGatewayError": 502,
    "InsufficientStorage": 507,
    "ResourceLocked": 423,
    "ResourceNotFound": 404,
}
_CONFLICT = 409  # the folder is not there


class _Webdav(Storage):
    """A server of WebDAV."""

    def _connect(self, silence: float) -> Any:
        parts = urlsplit(self._url)
        is_safe = parts.scheme in _TLS
        options: dict[str, Any] = _access(parts.hostname or "") if is_safe else {}
        return file_system(
            "webdav",
            base_url=f"{'https' if is_safe else 'http'}://{parts.netloc}",
            retry=False,
            timeout=silence,
            follow_redirects=True,
            skip_instance_cache=True,  # a token may be renewed
            **options,
        )

    def close(self) -> None:
        self._fs.client.http.close()

    def verdict(self, error: Exception) -> tuple[Verdict, str]:
        status = _status(error)
        if status:
            return http_verdict(status)
        found, words = super().verdict(error)
        of_http = (each.__module__.startswith("http") for each in type(error).__mro__)
        if found is Verdict.LASTING and any(of_http):
            return Verdict.PASSING, words
        return found, words

    def put(self, path: Path, key: str) -> None:
        try:
            self._upload(path, key)
        except Exception as error:
            if _status(error) not in {404, _CONFLICT}:
                raise
            self._fs.makedirs(str(PurePosixPath(key).parent), exist_ok=True)
            self._upload(path, key)

    def _upload(self, path: Path, key: str) -> None:
        with path.open("rb") as file:
            self._fs.client.upload_fileobj(file, key, overwrite=True)

    def get(self, key: str, path: Path) -> None:
        self._fs.client.download_file(key, str(path))

    def rename(self, key: str, new: str) -> None:
        self._fs.client.move(key, new, overwrite=True)


def webdav_storage(url: str, *, silence: float) -> Storage:
    """Make the storage behind a server of WebDAV.

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
    return _Webdav(url, silence=silence)


def _status(error: Exception) -> int:
    """Return the number that HTTP answered; 0 where nobody did."""
    for each in all_causes(error):
        found = getattr(getattr(each, "response", None), "status_code", None)
        found = found or _CODES.get(type(each).__name__)
        if found:
            return int(found)
    return 0


def _access(host: str) -> dict[str, Any]:
    """Put together what a server is shown: a token, else a password, else a proxy."""
    certificates = ssl.create_default_context()
    if "SSL_CERT_FILE" not in os.environ:
        with suppress(ImportError):
            certificates.load_verify_locations(import_module("certifi").where())
    authorities = os.environ.get("X509_CERT_DIR", _AUTHORITIES)
    if Path(authorities).is_dir():
        certificates.load_verify_locations(capath=authorities)
    token, _ = find_token()
    if token:
        return {"verify": certificates, "headers": {"Authorization": f"Bearer {token}"}}
    login = _login(host)
    if login:
        return {"verify": certificates, "auth": login}
    proxy = find_proxy()
    if proxy:
        _load_proxy(certificates, proxy)
    return {"verify": certificates}


def _load_proxy(certificates: ssl.SSLContext, proxy: Path) -> None:
    try:
        certificates.load_cert_chain(proxy)
    except OSError as error:
        raise AccessError(
            what=f"is no proxy that can be used ({error.strerror or error})",
            where=str(proxy),
            fix="Make a new one, as by voms-proxy-init, or unset X509_USER_PROXY",
        ) from error


def _login(host: str) -> tuple[str, str] | None:
    """Find user and password in the file that curl reads too."""
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    if not path.is_file():
        return None
    try:
        found = netrc.netrc(str(path)).authenticators(host)
    except netrc.NetrcParseError as error:
        # its words may hold a password
        raise AccessError(
            what=f"is not a file of passwords (line {error.lineno})",
            where=str(path),
            fix="Write machine HOST login USER password PASSWORD",
        ) from None
    return (found[0], found[2]) if found else None
