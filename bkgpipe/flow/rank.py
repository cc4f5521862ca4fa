"""Rank the runs of the archive for a block of target runs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from bkgpipe.chain.inputs import is_selected
from bkgpipe.chain.runs import digest, index_runs, run_digests
from bkgpipe.chain.summary import find_chunks
from bkgpipe.core.run import RunTable
from bkgpipe.errors import DamagedFileError, InputError, NoRunsError
from bkgpipe.flow.archive import Archive, read_archive
from bkgpipe.flow.base import ChunkTask, StageTask
from bkgpipe.flow.chunks import AllChunks
from bkgpipe.flow.collect import collect
from bkgpipe.flow.count import AllCounts, Count, OfAllCounts
from bkgpipe.flow.engine.targets import ProductTarget
from bkgpipe.product.hdf5 import read_header
from bkgpipe.settings import Settings
from bkgpipe.stages.rank.candidates import pack_candidates, unpack_candidates
from bkgpipe.stages.rank.data import Candidates, Ranking
from bkgpipe.stages.rank.files import CANDIDATES, RANKINGS
from bkgpipe.stages.rank.order import rank_runs
from bkgpipe.stages.table import has_stage

__all__ = [
    "AllRankings",
    "GatherCandidates",
    "Rank",
    "explain_ranking",
    "read_all_rankings",
]

_log = logging.getLogger(__name__)


class GatherCandidates(OfAllCounts):
    """Gather what rankings compare: reads all counts, writes ``candidates.h5``.

    Without it each chunk of rankings would read all counts again.
    """

    stage = "rank"

    def output(self) -> ProductTarget:
        return ProductTarget(
            self.folder / "candidates.h5", inputs=self.inputs, read_header=read_header
        )

    def run(self) -> None:
        archive = _read_joined(self, self.requires().chunks())

        candidates = pack_candidates(archive.selected, unfit=archive.unfit)

        with self.output().temporary_path() as path:
            CANDIDATES.write_one(Path(path), self.header(), candidates)


class Rank(ChunkTask):
    """Rank candidates by divergence: reads them, writes ``rank_{chunk}.h5``."""

    stage = "rank"

    def taken(self) -> str:
        """Digest of the runs that are taken for the targets of this chunk.

        Returns
        -------
        str
            Digest; empty as long as the rankings are not made.
        """
        if self.fault():
            return ""
        # a damaged one is set aside by the task that reads it
        with suppress(DamagedFileError):
            path = self.path
            return _digest_taken(path, path.stat().st_mtime_ns, self.table)
        return ""

    def requires(self) -> list[StageTask]:
        return [self.sibling(GatherCandidates), self.sibling(Count)]

    def run(self) -> None:
        archive = _read_joined(self, [self.sibling(Count)])
        candidates = CANDIDATES.read_one(Path(self.input()[0].path))

        rankings = self._rank(archive, candidates)
        chunk = collect(
            (run.obs_id for run in self.exported),
            lambda obs_id: self._accept(rankings[obs_id]),
            refused=archive.refused,
            tell=self.tell,
        )

        with self.output().temporary_path() as path:
            RANKINGS.write(Path(path), self.header(), chunk)

    def _rank(self, archive: Archive, candidates: Candidates) -> dict[int, Ranking]:
        shapes = archive.shapes
        rankings = rank_runs(
            [shapes[run.obs_id] for run in self.exported if run.obs_id in shapes],
            unpack_candidates(candidates, index_runs(self.table)),
            criteria=self.settings.rank.criteria,
            unfit=candidates.unfit,
        )
        return {ranking.obs_id: ranking for ranking in rankings}

    def _accept(self, ranking: Ranking) -> Ranking:
        asked = self.settings.rank.hours
        found = f"{ranking.hours:.1f} h found of {asked:g} h asked for"
        if ranking.taken.size == 0 or (
            ranking.is_short and not self.settings.rank.allow_short
        ):
            raise NoRunsError(
                what=f"too few runs look like it: {found}",
                where=f"run {ranking.obs_id}",
                fix="Widen the mimic limits of [rank], ask for fewer hours, "
                "or set allow_short = true",
            )
        if ranking.is_short:
            _log.warning("Run %d: %s", ranking.obs_id, found)
        return ranking


def _read_joined(task: StageTask, counts: Sequence[ChunkTask]) -> Archive:
    """Read the bins that rankings compare."""
    return read_archive(
        counts,
        min_kept_fraction=task.settings.mask.min_kept_fraction,
        criteria=task.settings.rank.criteria,
    )


# one entry for each chunk of a large archive
@lru_cache(maxsize=10_000)
def _digest_taken(path: Path, _changed: int, table: RunTable) -> str:
    """Hash who is taken for whom, at which scale, and the files of those taken."""
    rankings, runs = RANKINGS.read(path), run_digests(table)
    scales = {obs_id: each.scales for obs_id, each in rankings.records.items()}
    taken = sorted({obs_id for each in scales.values() for obs_id in each})
    return digest([scales, rankings.refused, *(runs[obs_id] for obs_id in taken)])


class AllRankings(AllChunks):
    """Every chunk of `Rank`."""

    stage = "rank"
    stage_class = Rank
    only_exported = True


def read_all_rankings(settings: Settings) -> tuple[Ranking, ...]:
    """Read the rankings of a production.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    tuple of Ranking
        In order of the targets; empty unless the strategy is ``ranked``.
    """
    if not has_stage(settings, "rank"):
        return ()
    found: dict[int, Ranking] = {}
    for path in find_chunks(settings, "rank"):
        found |= RANKINGS.read(path).records
    return tuple(found[obs_id] for obs_id in sorted(found))


def explain_ranking(task: StageTask, obs_id: int) -> Ranking:
    """Rank all candidates for one target again, from the counts on disk.

    Parameters
    ----------
    task : StageTask
        Any task of the production.
    obs_id : int
        The target.

    Returns
    -------
    Ranking
        Every candidate with what became of it.

    Raises
    ------
    InputError
        If the runs were not counted yet, or the target could not be.
    """
    counts, settings = task.sibling(AllCounts), task.settings
    # to ask whether it is complete would set damaged files aside
    is_counted = is_selected(settings) and not any(
        chunk.fault() for chunk in counts.chunks()
    )
    if not is_counted:
        raise InputError(
            what="the runs were not counted yet with these settings",
            where=str(settings.data.output),
            fix="Run bkgpipe run count first",
        )
    archive = _read_joined(task, counts.chunks())
    if obs_id not in archive.shapes:
        raise InputError(
            what=archive.refused.get(obs_id, "is no run of this production"),
            where=f"run {obs_id}",
            fix="Name a run that bkgpipe status does not list as refused",
        )
    (ranking,) = rank_runs(
        [archive.shapes[obs_id]],
        archive.selected,
        criteria=settings.rank.criteria,
        unfit=archive.unfit.keys(),
        list_all=True,
    )
    return ranking
