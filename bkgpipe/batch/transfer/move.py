"""Move one file to or from an address; nothing is believed that was not compared."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from bkgpipe.batch.transfer.commands import command_storage
from bkgpipe.batch.transfer.options import TransferOptions, retried
from bkgpipe.batch.transfer.s3 import s3_storage
from bkgpipe.batch.transfer.storage import Storage
from bkgpipe.batch.transfer.webdav import webdav_storage
from bkgpipe.batch.transfer.xrootd import xrootd_storage
from bkgpipe.core.sums import sum_file
from bkgpipe.errors import (
    DamagedFileError,
    InputError,
    MissingFileError,
    OutputError,
    PassingError,
    SettingsError,
)
from bkgpipe.product.whole_file import whole_file
from bkgpipe.settings.addresses import require_address

__all__ = ["exists", "fetch", "list_files", "remove", "send"]

_STORAGES: dict[str, Callable[..., Storage]] = {
    "file": Storage,
    "s3": s3_storage,
    "webdav": webdav_storage,
    "webdavs": webdav_storage,
    "dav": webdav_storage,
    "davs": webdav_storage,
    "root": xrootd_storage,
}
_T = TypeVar("_T")
_DEFAULTS = TransferOptions()
_PART = ".part"


def send(path: Path, url: str, *, options: TransferOptions = _DEFAULTS) -> None:
    """Send a file, and make sure that it has arrived.

    The server is asked for its checksum. Where it gives none that we know, the file is
    read back and compared. It gets its name when that is done, where the protocol can
    rename; the others show it only when it is complete.

    Parameters
    ----------
    path : Path
        The file.
    url : str
        Address to be; what has it is replaced.
    options : TransferOptions
        How.

    Raises
    ------
    InputError
        If the file cannot be read.
    PassingError
        If the server does not answer.
    AccessError
        If it refuses what it is shown.
    DamagedFileError
        If it does not have what was sent.
    SiteError
        If it cannot do what is asked of it.
    SettingsError
        If the address cannot be used, or packages are missing.
    """
    try:
        size = path.stat().st_size
        path.open("rb").close()
    except OSError as error:
        raise InputError(
            what=f"cannot be read ({error.strerror})",
            where=str(path),
            fix="Name a file that is there and may be read",
        ) from error
    with closing(_open(url, options)) as storage:
        retried(partial(_send_once, storage, path, size=size, url=url), options)


def fetch(
    url: str,
    path: Path,
    *,
    sha256: str = "",
    size: int | None = None,
    wait: float = 0.0,
    options: TransferOptions = _DEFAULTS,
) -> None:
    """Fetch a file, which is there when it is what it should be, or not at all.

    Parameters
    ----------
    url : str
        Its address.
    path : Path
        File to write; its folder is made.
    sha256 : str
        Its checksum, in hexadecimal digits; empty if it is not known.
    size : int, optional
        Its size [byte]; without, and without checksum, the server is asked for it.
    wait : float
        Time for which a file is waited for that is not there yet [s].
    options : TransferOptions
        How.

    Raises
    ------
    MissingFileError
        If there is no such file.
    DamagedFileError
        If it is not what it should be.
    PassingError
        If the server does not answer.
    AccessError
        If it refuses what it is shown.
    SiteError
        If it cannot do what is asked of it.
    OutputError
        If the file cannot be written.
    SettingsError
        If the address cannot be used, or packages are missing.
    """
    deadline = time.monotonic() + wait
    with closing(_open(url, options)) as storage:
        once = partial(_fetch_once, storage, path, url=url, sha256=sha256, size=size)
        while True:
            try:
                retried(once, options)
                break
            except MissingFileError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(options.pause)


def exists(url: str, *, options: TransferOptions = _DEFAULTS) -> bool:
    """Tell whether there is a file.

    Parameters
    ----------
    url : str
        Its address.
    options : TransferOptions
        How.

    Returns
    -------
    bool
        Whether there is; false for a folder.

    Raises
    ------
    BkgpipeError
        As `fetch`.
    """
    try:
        _ask(url, lambda storage: storage.size(storage.key), options)
    except MissingFileError:
        return False
    return True


def list_files(url: str, *, options: TransferOptions = _DEFAULTS) -> dict[str, int]:
    """List the files of a folder, without those that are being sent.

    What was sent a moment ago may not be in it yet.

    Parameters
    ----------
    url : str
        Address of the folder, which need not exist.
    options : TransferOptions
        How.

    Returns
    -------
    dict of str to int
        Size of each file, by its name [byte].

    Raises
    ------
    BkgpipeError
        As `fetch`.
    """
    try:
        found = _ask(url, lambda storage: storage.list_files(storage.key), options)
    except MissingFileError:
        return {}
    return {name: found[name] for name in sorted(found) if not name.endswith(_PART)}


def remove(url: str, *, options: TransferOptions = _DEFAULTS) -> None:
    """Remove a file.

    Parameters
    ----------
    url : str
        Its address; nothing happens if there is none.
    options : TransferOptions
        How.

    Raises
    ------
    BkgpipeError
        As `fetch`.
    """
    with suppress(MissingFileError):
        _ask(url, lambda storage: storage.remove(storage.key), options)


def _open(url: str, options: TransferOptions) -> Storage:
    try:
        url = require_address(url)
    except ValueError as error:
        raise SettingsError(
            what=str(error),
            where="address of a file",
            fix="Give one as in docs/grid/transfer.md",
        ) from None
    if options.stage_in and options.stage_out:
        return command_storage(url, options=options)
    scheme = url.partition(":")[0]
    if scheme not in _STORAGES:
        raise SettingsError(
            what=f"{scheme}:// is none of {', '.join(_STORAGES)}",
            where=url,
            fix="Use one of these, or give commands for it: [site:NAME] stage_in and "
            "stage_out",
        )
    return _STORAGES[scheme](url, silence=options.silence)


def _ask(url: str, action: Callable[[Storage], _T], options: TransferOptions) -> _T:
    with closing(_open(url, options)) as storage:

        def once() -> _T:
            with storage.told():
                return action(storage)

        return retried(once, options)


def _send_once(storage: Storage, path: Path, *, size: int, url: str) -> None:
    name = storage.key
    if storage.renames:
        name = f"{name}.{secrets.token_hex(4)}{_PART}"
    try:
        with storage.told():
            storage.put(path, name)
        with _seen_later(url):
            _compare(storage, path, name, url=url)
            if storage.renames:
                with storage.told():
                    storage.rename(name, storage.key)
                    found = storage.size(storage.key)
                _require_size(found, size, url=url)
    except Exception as error:
        # of another try, or another job, there may be a whole one under its own name
        if storage.renames or isinstance(error, DamagedFileError):
            with suppress(Exception):  # the first error is the one to tell
                storage.remove(name)
        raise


@contextmanager
def _seen_later(url: str) -> Iterator[None]:
    """Try again when a file is not there that was just sent."""
    try:
        yield
    except MissingFileError as error:
        raise PassingError(
            what="what was just sent is not there",
            where=url,
            fix="Run again; see what the site says of its storage",
        ) from error


def _compare(storage: Storage, path: Path, name: str, *, url: str) -> None:
    with storage.told():
        if storage.has_sum_of(path, name):
            return
    with tempfile.TemporaryDirectory(prefix="bkgpipe-") as folder:
        copy = Path(folder, "copy")
        with storage.told():
            storage.get(name, copy)
        _require_sum(copy, sum_file(path), url=url)


def _fetch_once(
    storage: Storage, path: Path, *, url: str, sha256: str, size: int | None
) -> None:
    with _placed(path) as temporary:
        with storage.told():
            storage.get(storage.key, temporary)
            if size is None and not sha256 and storage.lists:
                size = storage.size(storage.key)
        if size is not None:
            _require_size(temporary.stat().st_size, size, url=url)
        if sha256:
            _require_sum(temporary, sha256, url=url)


@contextmanager
def _placed(path: Path) -> Iterator[Path]:
    try:
        with whole_file(path) as temporary:
            yield temporary
    except OutputError as error:
        raise OutputError(
            what=error.what,
            where=error.where,
            fix="Free some space there, or name a folder that may be written to",
        ) from error


def _require_size(found: int, size: int, *, url: str) -> None:
    if found != size:
        raise _damage(f"has {found} bytes instead of {size}", url)


def _require_sum(path: Path, sha256: str, *, url: str) -> None:
    found = sum_file(path)
    if found != sha256:
        n_bytes = path.stat().st_size
        raise _damage(
            f"is not what was sent: its {n_bytes} bytes have the SHA-256 {found[:12]}… "
            f"instead of {sha256[:12]}…",
            url,
        )


def _damage(what: str, url: str) -> DamagedFileError:
    return DamagedFileError(what=what, where=url, fix="Send it again")
