"""Keys that hold an address, or a command that is given one; never a secret."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

from bkgpipe.settings.kinds import Kind

__all__ = ["SERVER", "STAGE_COMMAND", "TRANSFER", "TRANSFER_SCHEMES", "require_address"]

# those that the packages of bkgpipe[transfer] move files to
TRANSFER_SCHEMES = ("file", "s3", "webdav", "webdavs", "dav", "davs", "root")
_NO_ADDRESS = ("none", "files")
_SECRETS = (
    "settings and logs are read by others; docs/grid/transfer.md and docs/scheduler.md "
    "say where to keep it"
)


def require_address(text: str) -> str:
    """Refuse what is no address, or holds a secret, which the refusal does not quote.

    Parameters
    ----------
    text : str
        Address, as ``webdavs://host/folder``.

    Returns
    -------
    str
        The same, without a slash at its end.

    Raises
    ------
    ValueError
        If it cannot be used.
    """
    if "@" in text.partition("://")[2].partition("/")[0]:
        raise ValueError(f"leave the user and password out of the address: {_SECRETS}")
    parts = urlsplit(text)
    if parts.query or parts.fragment:
        raise ValueError(f"leave out what follows '?' or '#': {_SECRETS}")
    is_placed = parts.path.startswith("/") if parts.scheme == "file" else parts.netloc
    if not (parts.scheme and is_placed and text.isprintable() and " " not in text):
        raise ValueError(
            f"expected an address as webdavs://host/folder, found {text!r}"
        )
    return text.rstrip("/")


def _parse_transfer(text: str, _folder: Path) -> str:
    if text in _NO_ADDRESS:
        return text
    if "://" not in text:
        raise ValueError(f"expected none, files or an address, found {text!r}")
    return require_address(text)


def _parse_server(text: str, _folder: Path) -> str:
    if not text:
        return ""
    address = require_address(text)
    if not address.startswith(("http://", "https://")):
        raise ValueError(f"expected an address as https://host/path, found {text!r}")
    return address


def _parse_stage_command(text: str, _folder: Path) -> tuple[str, ...]:
    words = tuple(shlex.split(text))
    found = set(re.findall(r"\{.*?\}", text))
    if words and found != {"{url}", "{path}"}:
        raise ValueError(
            f"expected a command with {{url}} and {{path}}, as gfal-copy {{url}} "
            f"{{path}}, found {text!r}"
        )
    return words


SERVER = Kind(name="address", parse=_parse_server, write=str)
TRANSFER = Kind(name="none, files or address", parse=_parse_transfer, write=str)
STAGE_COMMAND = Kind(name="command", parse=_parse_stage_command, write=shlex.join)
