"""Where messages go; nothing else in the package sets up logging."""

from __future__ import annotations

import logging
import os
import platform
import shlex
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bkgpipe.errors import OutputError
from bkgpipe.flow.versions import versions

__all__ = ["keep_log", "set_up_logging"]

_log = logging.getLogger(__name__)


def set_up_logging(*, verbose: bool) -> None:
    """Send messages of bkgpipe to standard error, and keep other packages quiet.

    Parameters
    ----------
    verbose : bool
        Tell what Luigi and the other packages do as well.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING, force=True)
    # the log of a run holds more than what is printed
    logging.getLogger("bkgpipe").setLevel(logging.DEBUG)
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.DEBUG if verbose else logging.INFO)
    # Luigi prints a traceback for each failed task; the failure is told in words
    # by cli.run.
    level = logging.DEBUG if verbose else logging.CRITICAL
    logging.getLogger("luigi-interface").setLevel(level)
    logging.getLogger("luigi").setLevel(level)
    if not verbose:
        warnings.simplefilter("ignore")


@contextmanager
def keep_log(folder: Path) -> Iterator[Path]:
    """Write what bkgpipe says and does into a file, while the block runs.

    It holds the command, versions and machine, all messages, and how the block ended,
    with the traceback of an error.

    Parameters
    ----------
    folder : Path
        Folder of the file; it is made in a folder that exists.

    Yields
    ------
    Path
        The file, named by time and process, so that no two processes share one.

    Raises
    ------
    OutputError
        If the file cannot be made.
    """
    name = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    path = folder / f"{name}-{os.getpid()}.log"
    handler = _open(path)
    words = "%(asctime)s [%(process)d] %(levelname)s %(message)s"
    handler.setFormatter(logging.Formatter(words))
    logger = logging.getLogger("bkgpipe")
    logger.addHandler(handler)
    _tell_start()
    started = time.monotonic()
    try:
        yield path
    except BaseException:
        _log.debug("Ended after %.1f s by", time.monotonic() - started, exc_info=True)
        raise
    else:
        _log.debug("Ended after %.1f s", time.monotonic() - started)
    finally:
        logger.removeHandler(handler)
        # a full disk refuses what is not written yet
        with suppress(OSError):
            handler.close()


def _tell_start() -> None:
    _log.debug("Command: %s", shlex.join(sys.argv))
    _log.debug("Folder: %s, host: %s", Path.cwd(), platform.node())
    found = ", ".join(f"{name} {number}" for name, number in versions().items())
    _log.debug("Versions: %s", found)


class _LogFile(logging.FileHandler):
    """A log that is lost on a full disk without more words: all is printed too."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Pass over a message that cannot be written."""


def _open(path: Path) -> _LogFile:
    try:
        path.parent.mkdir(exist_ok=True)
        return _LogFile(path, encoding="utf-8")
    except OSError as error:
        raise OutputError(
            what=f"cannot be written ({error.strerror or error})",
            where=str(path),
            fix="Set [data] output to a folder that you may write to, with free space",
        ) from error
