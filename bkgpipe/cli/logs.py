"""Where messages go; nothing else in the package sets up logging."""

from __future__ import annotations

import logging
import warnings

__all__ = ["set_up_logging"]


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
