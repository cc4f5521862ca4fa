"""What the error of a storage server means: try again, give up, or renew a proxy."""

from __future__ import annotations

import errno
import re
import ssl
from collections.abc import Iterable
from enum import Enum, auto
from http import HTTPStatus

from bkgpipe.batch.transfer.credentials import expired_words
from bkgpipe.core.passing import error_causes, passing_reason
from bkgpipe.errors import (
    AccessError,
    BkgpipeError,
    MissingFileError,
    PassingError,
    SiteError,
)

__all__ = ["Verdict", "all_causes", "http_verdict", "judge", "system_verdict"]

_REFUSED = {401, 403, 407, 511}
_MISSING = {404, 410}
_PASSING = {408, 423, 425, 429, 500, 502, 503, 504, 509}
_FULL = {507}
_RENEWED = "then run again: what is finished is kept"


class Verdict(Enum):
    """What an error means for the one who asked."""

    PASSING = auto()
    MISSING = auto()
    REFUSED = auto()
    FULL = auto()
    UNTRUSTED = auto()
    LASTING = auto()


_TRUST = (
    "Name the file of the authority of the server in SSL_CERT_FILE (for S3 in "
    "AWS_CA_BUNDLE), or the folder of those of the grid in X509_CERT_DIR"
)
_TOLD: dict[Verdict, tuple[type[BkgpipeError], str, str]] = {
    Verdict.PASSING: (
        PassingError,
        "does not answer as it should",
        "Run again when it does: what is finished is kept",
    ),
    Verdict.MISSING: (
        MissingFileError,
        "there is no such file or folder",
        "Check the address; if a job should have sent it, its log tells more",
    ),
    Verdict.FULL: (
        SiteError,
        "there is no space left",
        f"Free some, there or in the local folder, {_RENEWED}",
    ),
    Verdict.UNTRUSTED: (
        SiteError,
        "no trusted connection can be made",
        _TRUST,
    ),
    Verdict.LASTING: (
        SiteError,
        "does not do what is asked of it",
        "Check the address; docs/grid/transfer.md says what is asked of a server",
    ),
}


def http_verdict(status: int) -> tuple[Verdict, str]:
    """Say what an answer of HTTP means.

    Parameters
    ----------
    status : int
        Its number.

    Returns
    -------
    tuple
        Verdict, and the number in words.
    """
    found = {
        Verdict.REFUSED: _REFUSED,
        Verdict.MISSING: _MISSING,
        Verdict.PASSING: _PASSING,
        Verdict.FULL: _FULL,
    }
    verdict = next((v for v, some in found.items() if status in some), Verdict.LASTING)
    is_known = status in {each.value for each in HTTPStatus}
    return verdict, f"{status} {HTTPStatus(status).phrase}" if is_known else str(status)


def system_verdict(error: Exception) -> tuple[Verdict, str]:
    """Say what an error means that came without an answer of the server.

    Parameters
    ----------
    error : Exception
        What was raised, with what it was raised from.

    Returns
    -------
    tuple
        Verdict and words, which hold no address: there may be a signature in it.
    """
    causes = all_causes(error)
    of_tls = [each for each in causes if isinstance(each, ssl.SSLError)]
    if of_tls:
        return _tls_verdict(of_tls[-1])
    number = getattr(error, "errno", None)
    means = {
        Verdict.REFUSED: _has([error], PermissionError),
        Verdict.MISSING: _has([error], FileNotFoundError),
        Verdict.FULL: number in {errno.ENOSPC, errno.EDQUOT},
        Verdict.PASSING: _has(causes, TimeoutError, ConnectionError)
        or bool(passing_reason(error)),
    }
    found = (verdict for verdict, is_meant in means.items() if is_meant)
    return next(found, Verdict.LASTING), _words(error)


def all_causes(error: BaseException) -> list[BaseException]:
    """List what an error was raised from, or made of: httpcore hides the first.

    Parameters
    ----------
    error : BaseException
        What was raised.

    Returns
    -------
    list of BaseException
        The error itself and its causes.
    """
    causes = list(error_causes(error))
    parts = (part for each in causes for part in each.args)
    return causes + [part for part in parts if isinstance(part, BaseException)]


def _has(errors: Iterable[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(each, kinds) for each in errors)


def _tls_verdict(error: ssl.SSLError) -> tuple[Verdict, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Verdict.UNTRUSTED, error.verify_message
    words = str(error.reason or error)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Verdict.PASSING, words
    # a server that takes no proxy of ours says so while it is connected to
    return Verdict.REFUSED if "ALERT" in words else Verdict.UNTRUSTED, words


def _words(error: Exception) -> str:
    strerror = getattr(error, "strerror", None)
    lines = str(strerror or error).strip().splitlines() or [type(error).__name__]
    return re.sub(r"\w+://\S+", "…", lines[-1])


def judge(found: tuple[Verdict, str], url: str) -> BkgpipeError:
    """Make our error of what was found.

    Parameters
    ----------
    found : tuple
        Verdict and words.
    url : str
        Address that was asked.

    Returns
    -------
    BkgpipeError
        `PassingError` if it may be gone at the next try, `MissingFileError`,
        `AccessError`, or any other `SiteError`.
    """
    verdict, words = found
    if verdict is Verdict.REFUSED:
        return _refusal(words, url)
    kind, what, fix = _TOLD[verdict]
    return kind(what=f"{what} ({words})", where=url, fix=fix)


def _refusal(words: str, url: str) -> AccessError:
    expired = expired_words(url)
    if expired:
        return AccessError(
            what=f"{expired}, and access is refused ({words})",
            where=url,
            fix=f"Renew it, {_RENEWED}",
        )
    return AccessError(
        what=f"access is refused ({words})",
        where=url,
        fix="Look at your proxy, token or keys, by bkgpipe check --site NAME too; "
        f"docs/grid/transfer.md says where they are looked for. Renew them, {_RENEWED}",
    )
