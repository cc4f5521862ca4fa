"""Proxies and tokens: where a site has them, and how long they are valid."""

from __future__ import annotations

import base64
import binascii
import json
import os
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from urllib.parse import urlsplit

__all__ = [
    "Credential",
    "expired_words",
    "find_credentials",
    "find_proxy",
    "find_token",
]

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
# Tags of ASN.1
_SEQUENCE, _VERSION, _UTC_TIME, _LONG_TIME = 0x30, 0xA0, 0x17, 0x18


@dataclass(frozen=True, kw_only=True)
class Credential:
    """What a storage server may be shown; it holds no secret.

    Attributes
    ----------
    name : str
        What it is and where it lies.
    expires : float
        End of its validity, as `time.time`; infinite if it does not say.
    """

    name: str
    expires: float

    @property
    def seconds(self) -> float:
        """Time that is left, negative when it is over."""
        return self.expires - time.time()


def find_proxy() -> Path | None:
    """Find the proxy certificate that grid tools use.

    Returns
    -------
    Path or None
        File that ``X509_USER_PROXY`` names, or the usual one of this user.
    """
    usual = f"/tmp/x509up_u{os.getuid()}"  # noqa: S108
    path = Path(os.environ.get("X509_USER_PROXY") or usual)
    return path if path.is_file() else None


def find_token() -> tuple[str, str]:
    """Find the bearer token of this user.

    Returns
    -------
    tuple
        The token, and where it was found; both empty if there is none.

    References
    ----------
    WLCG Bearer Token Discovery, version 1.0 (2020).
    """
    token = os.environ.get("BEARER_TOKEN", "").strip()
    if token:
        return token, "$BEARER_TOKEN"
    name = f"bt_u{os.getuid()}"
    folders = [os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp"]  # noqa: S108
    usual = [str(Path(folder, name)) for folder in folders if folder]
    given = os.environ.get("BEARER_TOKEN_FILE", "")
    for path in [given] if given else usual:
        if Path(path).is_file():
            return Path(path).read_text(encoding="utf-8").strip(), path
    return "", ""


def find_credentials(url: str) -> list[Credential]:
    """List what a storage server is shown.

    Parameters
    ----------
    url : str
        Its address.

    Returns
    -------
    list of Credential
        Proxy and token; none for protocols that use neither.
    """
    if urlsplit(url).scheme in {"file", "s3", "webdav", "dav"}:
        return []
    found = []
    token, place = find_token()
    if token:
        found.append(Credential(name=f"token {place}", expires=_token_end(token)))
    proxy = find_proxy()
    if proxy:
        found.append(Credential(name=f"proxy {proxy}", expires=_proxy_end(proxy)))
    return found


def expired_words(url: str) -> str:
    """Say which proxy or token is not valid any more.

    Parameters
    ----------
    url : str
        Address of the server that it is for.

    Returns
    -------
    str
        Words; empty if all are valid.
    """
    return ", ".join(
        f"the {each.name} expired at {datetime.fromtimestamp(each.expires, UTC):%FT%TZ}"
        for each in find_credentials(url)
        if each.seconds < 0
    )


def _token_end(token: str) -> float:
    """Read when a JSON web token ends; another kind of token does not say."""
    try:
        payload = token.split(".")[1]
        padded = payload + "=" * (-len(payload) % 4)
        return float(json.loads(base64.urlsafe_b64decode(padded))["exp"])
    except (IndexError, KeyError, TypeError, ValueError):
        return inf


def _proxy_end(path: Path) -> float:
    """Read when the first of the certificates ends that make a proxy."""
    try:
        text = path.read_text(encoding="ascii", errors="replace")
        return min(map(_certificate_end, _certificates(text)), default=inf)
    except (OSError, ValueError, IndexError, binascii.Error):
        return inf


def _certificates(text: str) -> Iterator[bytes]:
    for block in text.split(_BEGIN)[1:]:
        yield ssl.PEM_cert_to_DER_cert(f"{_BEGIN}{block.partition(_END)[0]}{_END}")


def _certificate_end(certificate: bytes) -> float:
    """Find ``notAfter`` in a certificate.

    References
    ----------
    RFC 5280, section 4.1: the fields in their order.
    """
    _, whole, _ = _read_field(certificate)
    _, fields, _ = _read_field(whole)
    if fields[0] == _VERSION:
        _, _, fields = _read_field(fields)
    for _ in ("serial number", "signature", "issuer"):
        _, _, fields = _read_field(fields)
    _, validity, _ = _read_field(fields)
    _, _, rest = _read_field(validity)
    tag, text, _ = _read_field(rest)
    form = {_UTC_TIME: "%y%m%d%H%M%SZ", _LONG_TIME: "%Y%m%d%H%M%SZ"}[tag]
    end = datetime.strptime(text.decode("ascii"), form)  # noqa: DTZ007 see below
    return end.replace(tzinfo=UTC).timestamp()


def _read_field(data: bytes) -> tuple[int, bytes, bytes]:
    """Take the first field of ASN.1 in DER: its tag, its content, and what follows."""
    tag, length, start = data[0], data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    return tag, data[start : start + length], data[start + length :]
