"""Choose the runs of a production."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from bkgpipe.chain.contents import add_checksums, keep_checksums
from bkgpipe.chain.inputs import choose_runs, digest_selection, is_selected
from bkgpipe.chain.refusals import require_selected
from bkgpipe.core.product import ProductHeader
from bkgpipe.core.run import RunTable
from bkgpipe.flow.base import StageTask
from bkgpipe.flow.engine.targets import ProductTarget
from bkgpipe.product.ecsv import read_table_header
from bkgpipe.stages.select.files import read_runs_table, write_runs

__all__ = ["Select"]

_log = logging.getLogger(__name__)


class Select(StageTask):
    """Choose runs: reads the index of the store, writes ``select/runs.ecsv``."""

    stage = "select"

    def inputs(self) -> str:
        """Digest of what the task is made from."""
        return digest_selection(self.settings, self.table)

    def complete(self) -> bool:
        """Tell whether nothing is left to do."""
        # the table is read once; looking at the target reads it whole each time
        return is_selected(self.settings) or self.output().exists()

    def output(self) -> ProductTarget:
        return ProductTarget(
            self.folder / "runs.ecsv", inputs=self.inputs, read_header=_read_whole
        )

    def run(self) -> None:
        table = choose_runs(self.settings)
        for doubt in table.doubts:
            _log.warning("%s.", doubt)
        require_selected(table)

        known = add_checksums(self.settings, table)
        keep_checksums(self.settings)

        with self.output().temporary_path() as path:
            write_runs(Path(path), self._header_of(known), known)

    def _header_of(self, table: RunTable) -> ProductHeader:
        # the table that is there is that of an earlier selection
        return replace(self.header(), inputs=digest_selection(self.settings, table))


def _read_whole(path: Path) -> ProductHeader:
    """Read the header of a table of which all rows are what was written."""
    read_runs_table(path)
    return read_table_header(path)
