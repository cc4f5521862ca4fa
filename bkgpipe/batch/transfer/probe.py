"""Try the storage of a site, and look how long its proxy and token are valid."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace
from math import isinf
from pathlib import Path
from tempfile import TemporaryDirectory

from bkgpipe.batch.transfer.credentials import Credential, find_credentials
from bkgpipe.batch.transfer.move import fetch, remove, send
from bkgpipe.batch.transfer.options import TransferOptions, site_options
from bkgpipe.chain.estimate import duration_words
from bkgpipe.core.sums import sum_file
from bkgpipe.errors import BkgpipeError
from bkgpipe.settings.site_sections import SITE_PREFIX, SiteSettings

__all__ = ["SiteProbe", "probe_site"]

_TRIES = 2
_N_BYTES = 1000


@dataclass(frozen=True, kw_only=True)
class SiteProbe:
    """What was found at a site.

    Attributes
    ----------
    told : tuple of str
        Lines about what is fine.
    warnings, problems : tuple of str
        Each a sentence.
    """

    told: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def probe_site(site: SiteSettings, *, name: str) -> SiteProbe:
    """Look at proxy and token, then send a small file, fetch it, and remove it.

    Parameters
    ----------
    site : SiteSettings
        The site.
    name : str
        Its name.

    Returns
    -------
    SiteProbe
        What is fine, and what is not.
    """
    told = [f"Site:     {name} ({site.engine}), transfer: {site.transfer}"]
    if "://" not in site.transfer:
        return SiteProbe(told=tuple(told))
    found = find_credentials(site.transfer)
    lasting = [each for each in found if each.seconds > 0]
    told += [f"Access:   {each.name} is valid {_end_words(each)}" for each in lasting]
    problems = [
        f"{each.name} expired: renew it, else jobs and storage refuse it"
        for each in found
        if each not in lasting
    ]
    warnings = [
        f"{each.name} is valid {_end_words(each)}, but jobs may take "
        f"{duration_words(site.time)} ([{SITE_PREFIX}{name}] time): renew it, or they "
        "cannot send what they made"
        for each in lasting
        if each.seconds < site.time
    ]
    try:
        told.append(f"Storage:  {_try_storage(site)}")
    except BkgpipeError as error:
        problems.append(str(error))
    return SiteProbe(
        told=tuple(told), warnings=tuple(warnings), problems=tuple(problems)
    )


def _end_words(found: Credential) -> str:
    if isinf(found.expires):
        return "for a time that it does not say"
    return f"for {duration_words(found.seconds)}"


def _try_storage(site: SiteSettings) -> str:
    options = replace(site_options(site), tries=_TRIES)
    name = f"bkgpipe-check-{secrets.token_hex(4)}"
    started = time.monotonic()
    with TemporaryDirectory(prefix="bkgpipe-") as folder:
        small, back = Path(folder, name), Path(folder, "back")
        small.write_bytes(secrets.token_bytes(_N_BYTES))
        url = f"{site.transfer}/{name}"
        send(small, url, options=options)
        fetch(url, back, sha256=sum_file(small), options=options)
        removed = _remove(url, options)
    seconds = time.monotonic() - started
    return f"a small file was sent, fetched and {removed} in {seconds:.1f} s"


def _remove(url: str, options: TransferOptions) -> str:
    if options.stage_out:  # no command for that
        return f"left there ({url})"
    remove(url, options=options)
    return "removed"
