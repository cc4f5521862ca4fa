"""Rank the runs of the archive for a block of target runs."""

from __future__ import annotations

import logging
from pathlib import Path

from bkgpipe.datamodel import Ranking
from bkgpipe.errors import NoRunsError
from bkgpipe.io.rank import write_rankings
from bkgpipe.numerics.rank import rank_runs
from bkgpipe.tasks.archive import Archive, read_archive
from bkgpipe.tasks.base import ChunkTask
from bkgpipe.tasks.chunks import AllChunks
from bkgpipe.tasks.collect import collect
from bkgpipe.tasks.count import AllCounts

__all__ = ["AllRankings", "Rank"]

_log = logging.getLogger(__name__)


class Rank(ChunkTask):
    """Rank candidates by divergence: reads all counts, writes ``rank_{chunk}.h5``."""

    stage = "rank"

    def requires(self) -> AllCounts:
        return self.sibling(AllCounts)

    def run(self) -> None:
        archive = read_archive(
            self.requires().chunks(),
            min_kept_fraction=self.settings.mask.min_kept_fraction,
        )

        rankings = self._rank(archive)
        chunk = collect(
            (run.obs_id for run in self.exported),
            lambda obs_id: self._accept(rankings[obs_id]),
            refused=archive.refused,
        )

        with self.output().temporary_path() as path:
            write_rankings(Path(path), self.header(), chunk)

    def _rank(self, archive: Archive) -> dict[int, Ranking]:
        shapes = archive.shapes
        rank = self.settings.rank
        rankings = rank_runs(
            [shapes[run.obs_id] for run in self.exported if run.obs_id in shapes],
            archive.candidates,
            limits=rank.limits,
            hours=rank.hours,
            own=rank.own,
            min_overlap=rank.min_overlap,
        )
        return {ranking.obs_id: ranking for ranking in rankings}

    def _accept(self, ranking: Ranking) -> Ranking:
        hours = ranking.livetime[ranking.is_taken].sum() / 3600
        found = f"{hours:.1f} h found of {self.settings.rank.hours:g} h asked for"
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


class AllRankings(AllChunks):
    """Every chunk of `Rank`."""

    stage = "rank"
    stage_class = Rank
    only_exported = True
