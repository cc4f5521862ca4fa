"""How files are moved, and how often that is tried."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from bkgpipe.errors import DamagedFileError, PassingError
from bkgpipe.settings.site_sections import SiteSettings

__all__ = ["TransferOptions", "retried", "site_options"]

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class TransferOptions:
    """How files are moved.

    Attributes
    ----------
    stage_in, stage_out : tuple of str
        Words of a command with ``{url}`` and ``{path}``; empty uses fsspec.
    tries : int
        Times that a transfer is tried.
    pause : float
        Time before the second one, twice as long before each other [s].
    silence : float
        Time without an answer after which one is given up [s].
    """

    stage_in: tuple[str, ...] = ()
    stage_out: tuple[str, ...] = ()
    tries: int = 6
    pause: float = 2.0
    silence: float = 60.0


def site_options(site: SiteSettings) -> TransferOptions:
    """Return how files are moved to and from the jobs of a site.

    Parameters
    ----------
    site : SiteSettings
        The site.

    Returns
    -------
    TransferOptions
        Options.
    """
    return TransferOptions(stage_in=site.stage_in, stage_out=site.stage_out)


def retried(action: Callable[[], _T], options: TransferOptions) -> _T:
    """Do something again when it failed for a reason that may be gone by then.

    Parameters
    ----------
    action : callable
        What to do; doing it twice does no harm.
    options : TransferOptions
        How often, and how long to wait between.

    Returns
    -------
    object
        What it returned.

    Raises
    ------
    PassingError
        If a server still does not answer, or the disk of this machine does not.
    DamagedFileError
        If a file is still not what was sent.
    """
    for n in range(options.tries - 1):
        try:
            return action()
        except (PassingError, DamagedFileError) as error:
            # not all jobs of a site at the same moment
            pause = options.pause * 2**n * random.uniform(0.5, 1)  # noqa: S311
            _log.warning(
                "%s: %s. Trying again in %.1f s", error.where, error.what, pause
            )
            time.sleep(pause)
    return action()
