"""The way to a central scheduler, also by TLS and with a password."""

from __future__ import annotations

import base64
import json
import os
import ssl
import stat
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from luigi.rpc import RemoteScheduler

from bkgpipe.errors import AccessError, OutputError, SettingsError
from bkgpipe.settings.sections import RunSettings

__all__ = ["Access", "find_access", "try_scheduler"]

LOGIN = "BKGPIPE_SCHEDULER_LOGIN"
_PATIENCE = 10.0  # s, for the scheduler to answer
_KEY = "[run] scheduler_login"
_CORRECT = f"Correct the file of {_KEY}, or ${LOGIN}"
_HARMLESS = "/api/is_paused"


@dataclass(frozen=True, kw_only=True)
class Access:
    """What a scheduler is shown, and what it has to show.

    Attributes
    ----------
    url : str
        Its address, in which there is no password.
    login : str
        User and password, with a colon between; empty if none is asked for.
    certificates : ssl.SSLContext or None
        Authorities that are trusted; None for those of the system.
    """

    url: str
    login: str = field(default="", repr=False)
    certificates: ssl.SSLContext | None = None

    def connect(self) -> RemoteScheduler:
        """Make the connection for a worker.

        Returns
        -------
        RemoteScheduler
            Connection.
        """
        return _Scheduler(self)


class _Scheduler(RemoteScheduler):
    """A scheduler that is asked again when it is silent, but not when it refuses."""

    def __init__(self, access: Access) -> None:
        super().__init__(access.url)
        self._fetcher = _Fetcher(access)  # type: ignore[assignment]

    def _get_retryer(self) -> Any:
        return super()._get_retryer().copy(retry=_may_pass)


def _may_pass(state: Any) -> bool:
    return isinstance(state.outcome.exception(), _Fetcher.raises)


class _Fetcher:
    """Sends requests of Luigi; shows user and password to that server alone."""

    raises = (OSError, HTTPException)

    def __init__(self, access: Access) -> None:
        self._access = access

    def fetch(self, full_url: str, body: dict[str, str], timeout: float) -> str:
        request = Request(full_url, urlencode(body).encode())  # noqa: S310 see settings
        if self._access.login:
            word = base64.b64encode(self._access.login.encode()).decode()
            # one that is not sent to where the server might send us
            request.add_unredirected_header("Authorization", f"Basic {word}")
        try:
            with urlopen(  # noqa: S310
                request, timeout=timeout, context=self._access.certificates
            ) as answer:
                text: str = answer.read().decode()
                return text
        except HTTPError as error:
            error.close()
            if error.code in {401, 403}:
                raise _refusal(self._access, error) from error
            raise

    def close(self) -> None:
        """Nothing is open between two requests."""


def _refusal(access: Access, error: HTTPError) -> AccessError:
    asked = "refuses user and password" if access.login else "asks for a password"
    give = f"Give user:password in a file, named by {_KEY}, or in ${LOGIN}"
    return AccessError(
        what=f"the scheduler {asked} ({error.code} {error.reason})",
        where=access.url,
        fix=_CORRECT if access.login else give,
    )


def find_access(run: RunSettings) -> Access:
    """Put together how the central scheduler of a production is reached.

    Parameters
    ----------
    run : RunSettings
        Settings, which name one.

    Returns
    -------
    Access
        The way there.

    Raises
    ------
    SettingsError
        If user and password, or certificates, cannot be used.
    """
    if run.scheduler_host:
        return Access(url=f"http://{run.scheduler_host}:{run.scheduler_port}")
    login = os.environ.get(LOGIN, "")
    if run.scheduler_login and not login:
        login = _read_login(run.scheduler_login)
    where = _KEY if run.scheduler_login else f"${LOGIN}"
    if login and not all(login.partition(":")):
        raise SettingsError(
            what="expected one line with user:password",
            where=where,
            fix=_CORRECT,
        )
    parts = urlsplit(run.scheduler_url)
    is_local = parts.hostname in {"127.0.0.1", "::1", "localhost"}
    if login and parts.scheme == "http" and not is_local:
        raise SettingsError(
            what="a password would go over the network unencrypted",
            where="[run] scheduler_url",
            fix="Use https://: docs/scheduler.md has a recipe",
        )
    return Access(
        url=run.scheduler_url,
        login=login,
        certificates=_read_certificates(run.scheduler_ca),
    )


def _read_login(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            what=f"cannot be read ({getattr(error, 'strerror', 'not UTF-8')})",
            where=str(path),
            fix=_CORRECT,
        ) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingsError(
            what="may be read by others, and holds a password",
            where=str(path),
            fix=f"chmod 600 {path}",
        )
    return text


def _read_certificates(path: Path | None) -> ssl.SSLContext | None:
    if path is None:
        return None
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise SettingsError(
            what=f"is no file of certificates ({error.strerror or error})",
            where=str(path),
            fix="Name the PEM file of the authority in [run] scheduler_ca",
        ) from error


def try_scheduler(access: Access) -> None:
    """Ask a scheduler something that changes nothing.

    Parameters
    ----------
    access : Access
        The way there.

    Raises
    ------
    AccessError
        If it refuses user and password.
    OutputError
        If no scheduler answers.
    """
    try:
        text = _Fetcher(access).fetch(
            f"{access.url}{_HARMLESS}", {"data": "{}"}, _PATIENCE
        )
        json.loads(text)["response"]
    except (*_Fetcher.raises, ValueError, KeyError, TypeError) as error:
        what, fix = _words(error)
        raise OutputError(what=what, where=access.url, fix=fix) from error


def _words(error: Exception) -> tuple[str, str]:
    reason: Any = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"the certificate of the scheduler is not trusted: {reason.verify_message}",
            "Name the PEM file of its authority in [run] scheduler_ca",
        )
    if isinstance(error, HTTPError):
        reason = f"{error.code} {error.reason}"
    elif not isinstance(error, OSError | HTTPException):
        reason = "what answers is no luigid"
    return (
        f"no scheduler answers ({getattr(reason, 'strerror', None) or reason})",
        "Start luigid there, or leave out --scheduler-host to work without one",
    )
