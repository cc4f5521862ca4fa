"""Tell what the runs alone say of the inputs of a product."""

from __future__ import annotations

from bkgpipe.chain.inputs import load_table
from bkgpipe.chain.runs import digest, digest_selected, digest_targets
from bkgpipe.settings import Settings
from bkgpipe.stages.table import has_stage, stage_grain

__all__ = ["known_inputs"]


def known_inputs(settings: Settings, stage: str, chunk: int) -> str:
    """Hash what the runs alone tell of the inputs of a chunk.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    stage : str
        Stage, as ``count``.
    chunk : int
        Number of the chunk.

    Returns
    -------
    str
        Digest of all inputs, or the first part of it.
    """
    table = load_table(settings)
    if stage_grain(settings, stage) in {"groups", "all"}:
        return digest_selected(table)
    own = digest_targets(table, settings.data.chunk_size)[chunk]
    if stage == "rank" or (
        stage in {"smooth", "export", "sky"} and not has_stage(settings, "stack")
    ):
        return digest([digest_selected(table), own])
    return own
