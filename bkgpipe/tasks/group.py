"""Decide which runs share a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bkgpipe.datamodel import Group, RunShape
from bkgpipe.errors import NoRunsError
from bkgpipe.io.stack import read_groups_header, write_groups
from bkgpipe.numerics.stack import make_groups
from bkgpipe.tasks.archive import read_archive
from bkgpipe.tasks.count import OfAllCounts
from bkgpipe.tasks.targets import ProductTarget

__all__ = ["MakeGroups"]


class MakeGroups(OfAllCounts):
    """Group runs of like conditions: reads all counts, writes ``groups.ecsv``."""

    stage = "stack"

    def output(self) -> ProductTarget:
        return ProductTarget(
            self.folder / "groups.ecsv",
            inputs=self.inputs,
            read_header=read_groups_header,
        )

    def run(self) -> None:
        archive = read_archive(
            self.requires().chunks(),
            min_kept_fraction=self.settings.mask.min_kept_fraction,
        )

        groups = self._make_groups(archive.candidates)

        with self.output().temporary_path() as path:
            write_groups(Path(path), self.header(), groups)

    def _make_groups(self, candidates: list[RunShape]) -> tuple[Group, ...]:
        stack = self.settings.stack
        groups = make_groups(
            candidates,
            zenith_edges=np.array(stack.zenith_edges),
            azimuth_edges=np.array(stack.azimuth_edges),
            min_hours=stack.min_hours,
            min_counts=stack.min_counts,
        )
        if not groups:
            raise NoRunsError(
                what="no run is left to stack",
                where=str(self.folder),
                fix="Widen [select], [mask] min_kept_fraction or the [stack] edges; "
                "bkgpipe status tells why runs were refused",
            )
        return groups
