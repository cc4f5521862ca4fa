"""Where messages go; nothing else in the package sets up logging."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["keep_log", "set_up_logging"]


def set_up_logging(*, verbose: bool) -> None:
    """Send messages of bkgpipe to standard error, and keep other packages quiet.

    Parameters
    ----------
    verbose : bool
        Tell what Luigi and the other packages do as well.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING, force=True)
    logging.getLogger("bkgpipe").setLevel(logging.DEBUG if verbose else logging.INFO)
    # Luigi prints a traceback for each failed task; the failure is told in words
    # by cli.run.
    level = logging.DEBUG if verbose else logging.CRITICAL
    logging.getLogger("luigi-interface").setLevel(level)
    logging.getLogger("luigi").setLevel(level)
    if not verbose:
        warnings.simplefilter("ignore")


@contextmanager
def keep_log(folder: Path) -> Iterator[Path]:
    """Write what bkgpipe says into a file too, while the block runs.

    Parameters
    ----------
    folder : Path
        Folder of the file; it is made in a folder that exists.

    Yields
    ------
    Path
        The file, named by time and process, so that no two processes share one.
    """
    folder.mkdir(exist_ok=True)
    name = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    path = folder / f"{name}-{os.getpid()}.log"
    handler = logging.FileHandler(path, encoding="utf-8")
    words = "%(asctime)s [%(process)d] %(levelname)s %(message)s"
    handler.setFormatter(logging.Formatter(words))
    logger = logging.getLogger("bkgpipe")
    logger.addHandler(handler)
    try:
        yield path
    finally:
        logger.removeHandler(handler)
        handler.close()
