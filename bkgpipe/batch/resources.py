"""Memory and time that jobs need, beside those that a site gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil, isnan

from bkgpipe.chain.cost import Cost, job_cost
from bkgpipe.settings.site_sections import SiteSettings

__all__ = ["site_doubts", "with_memory"]

# An estimate may be off, and a job that needs more than it asked for is ended
_MARGIN = 1.5
_STEP = 500  # MB


def with_memory(
    site: SiteSettings, costs: Mapping[str, Cost], word: str
) -> SiteSettings:
    """Ask for the memory that jobs are estimated to need, if the site does not say.

    Parameters
    ----------
    site : SiteSettings
        The site.
    costs : mapping of str to Cost
        Cost of each stage.
    word : str
        What the jobs make, as ``count``.

    Returns
    -------
    SiteSettings
        The site, with a memory.
    """
    if not isnan(site.memory):
        return site
    needed = _MARGIN * job_cost(costs, word).memory / 1e6
    return replace(site, memory=float(_STEP * ceil(needed / _STEP)))


def site_doubts(
    site: SiteSettings, costs: Mapping[str, Cost], words: Sequence[str], *, name: str
) -> list[str]:
    """Say which jobs are estimated to need more than they get.

    Parameters
    ----------
    site : SiteSettings
        The site.
    costs : mapping of str to Cost
        Cost of each stage.
    words : sequence of str
        What the jobs make, as ``count``.
    name : str
        Name of the site.

    Returns
    -------
    list of str
        A sentence for each kind of job that gets too little memory or time.
    """
    doubts = []
    for word in words:
        cost = job_cost(costs, word, n_chunks=site.chunks_per_job)
        given = with_memory(site, costs, word).memory
        if cost.memory > given * 1e6:
            doubts.append(
                f"a job of {word} needs about {cost.memory / 1e6:.0f} MB, but [site:"
                f"{name}] memory is {given:g} MB: raise it, leave it empty, or make "
                "[binning] coarser"
            )
        if cost.seconds > site.time:
            doubts.append(
                f"a job of {word} takes about {cost.seconds / 3600:.1f} h, but [site:"
                f"{name}] time is {site.time / 3600:.1f} h: raise it, or lower "
                "chunks_per_job or [data] chunk_size"
            )
    return doubts
