"""Decide which runs share a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bkgpipe.errors import NoRunsError
from bkgpipe.flow.archive import read_archive
from bkgpipe.flow.count import OfAllCounts
from bkgpipe.flow.engine.targets import ProductTarget
from bkgpipe.product.ecsv import read_table_header
from bkgpipe.stages.count.data import RunShape
from bkgpipe.stages.stack.data import Group
from bkgpipe.stages.stack.files import write_groups
from bkgpipe.stages.stack.groups import make_groups

__all__ = ["MakeGroups"]


class MakeGroups(OfAllCounts):
    """Group runs of like conditions: reads all counts, writes ``groups.ecsv``."""

    stage = "stack"

    def output(self) -> ProductTarget:
        return ProductTarget(
            self.folder / "groups.ecsv",
            inputs=self.inputs,
            read_header=read_table_header,
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
