"""What the chunk files of a production say: one listing a stage, one reading a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bkgpipe.chain.inputs import load_table
from bkgpipe.chain.listing import find_lost
from bkgpipe.chain.outdated import known_inputs
from bkgpipe.chain.runs import chunk_identities
from bkgpipe.chain.whole import file_state, require_place
from bkgpipe.core.product import ProductHeader
from bkgpipe.core.seal import Seal
from bkgpipe.errors import DamagedFileError
from bkgpipe.product.chunk_file import read_identities, read_refused
from bkgpipe.product.hdf5 import opened
from bkgpipe.settings import Settings
from bkgpipe.stages.count.data import RunTally
from bkgpipe.stages.count.files import read_tallies
from bkgpipe.stages.export.data import ExportEntry
from bkgpipe.stages.export.files import ENTRIES, read_seals
from bkgpipe.stages.table import stage_grain

__all__ = ["ChunkFacts", "ChunkLook", "look_into", "runs_fault"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ChunkFacts:
    """What one reading of a chunk file tells.

    Attributes
    ----------
    header : ProductHeader
        Its origin.
    identities : dict of int to str
        Digest of what each run was made from; empty except for masks and counts.
    refused : dict of int to str
        Reason for each number that has no product.
    seals : list of Seal
        Files that a chunk of `export` stands for.
    tallies : dict of int to RunTally
        What was counted of each run, if asked for.
    entries : dict of int to ExportEntry
        What was written for each run, if asked for.
    """

    header: ProductHeader
    identities: dict[int, str]
    refused: dict[int, str]
    seals: list[Seal]
    tallies: dict[int, RunTally]
    entries: dict[int, ExportEntry]


@dataclass(frozen=True, kw_only=True, eq=False)
class ChunkLook:
    """What one look at a chunk file tells.

    Attributes
    ----------
    fault : str
        Why it must be made again: ``outdated``, ``damaged``, what it stands for that is
        gone; else empty. Of models of groups and rankings that changed although the
        runs are the same, only the run itself knows.
    found : ChunkFacts or DamagedFileError
        What it says, or what is wrong with it.
    """

    fault: str
    found: ChunkFacts | DamagedFileError

    @property
    def facts(self) -> ChunkFacts:
        """What it says; raises the error of a damaged file."""
        if isinstance(self.found, DamagedFileError):
            raise self.found
        return self.found


def look_into(
    settings: Settings, stage: str, path: Path, *, with_runs: bool = False
) -> ChunkLook | None:
    """Read a chunk, and tell why it must be made again, without knowing of its task.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    stage : str
        Its stage.
    path : Path
        Its file.
    with_runs : bool
        Read tallies and entries as well; without them, a file that has not changed
        is not read again.

    Returns
    -------
    ChunkLook or None
        What was found; None if there is no such file.

    Raises
    ------
    PassingError
        If it cannot be read at the moment, so that nobody knows.
    """
    state = file_state(path)
    if state is None:
        return None
    try:
        facts = _read(path, with_runs=True) if with_runs else _read_once(path, state)
    except DamagedFileError as damage:
        return ChunkLook(fault="damaged", found=damage)
    return ChunkLook(fault=_find_fault(settings, stage, path, facts), found=facts)


def runs_fault(path: Path, wanted: Mapping[int, str]) -> str:
    """Tell why a file of masks or counts must be made, or made longer.

    Parameters
    ----------
    path : Path
        The file.
    wanted : mapping of int to str
        Digest of each run that is asked for.

    Returns
    -------
    str
        ``missing``, ``outdated`` (one of the runs is not in it, or has changed), or
        empty, also when it holds others as well.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    PassingError
        If it cannot be read at the moment.
    """
    state = file_state(path)
    if state is None:
        return "missing"
    return _compare_runs(_read_once(path, state), wanted)


# each task that needs all chunks asks all of them: 10^5 runs have 6000 files
@lru_cache(maxsize=20_000)
def _read_once(path: Path, _state: tuple[int, int, int]) -> ChunkFacts:
    return _read(path, with_runs=False)


def _read(path: Path, *, with_runs: bool) -> ChunkFacts:
    with opened(path) as file:
        require_place(path, file.header)
        asked = file.header.stage if with_runs else ""
        return ChunkFacts(
            header=file.header,
            identities=read_identities(file),
            refused=read_refused(file),
            seals=read_seals(file),
            tallies=read_tallies(file) if asked == "count" else {},
            entries=ENTRIES.read(file).records if asked == "export" else {},
        )


def _find_fault(settings: Settings, stage: str, path: Path, facts: ChunkFacts) -> str:
    _, _, last = path.stem.rpartition("_")
    number = int(last) if last.isdigit() else 0  # of one file of all runs
    if stage_grain(settings, stage) == "runs":
        table, size = load_table(settings), settings.data.chunk_size
        return _compare_runs(facts, chunk_identities(table, size, number))
    if not facts.header.inputs.startswith(known_inputs(settings, stage, number)):
        return "outdated"
    return find_lost(path.parent, facts.seals)


def _compare_runs(facts: ChunkFacts, wanted: Mapping[int, str]) -> str:
    return "" if wanted.items() <= facts.identities.items() else "outdated"
