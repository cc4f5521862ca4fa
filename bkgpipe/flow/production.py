"""The whole chain."""

from __future__ import annotations

from pathlib import Path

from bkgpipe.chain.inputs import digest_record
from bkgpipe.chain.record import read_record_header, read_refused, write_record
from bkgpipe.chain.summary import read_summary
from bkgpipe.errors import InputError
from bkgpipe.flow.base import StageTask
from bkgpipe.flow.count import AllCounts
from bkgpipe.flow.engine.targets import ProductTarget
from bkgpipe.flow.export import AllExports
from bkgpipe.flow.report import MakeReport
from bkgpipe.flow.store import MakeStore
from bkgpipe.flow.versions import versions
from bkgpipe.settings import settings_values
from bkgpipe.stages.report.summary import Summary

__all__ = ["MakeProduction", "require_no_refused"]


class MakeProduction(StageTask):
    """The whole chain: writes ``production.json``.

    Fails at its very end, when all other runs have their models, if runs were refused
    and ``[run] allow_refused`` does not allow it.
    """

    stage = "report"

    def inputs(self) -> str:
        """Digest of what the task is made from."""
        return digest_record(self.settings, self.table)

    def requires(self) -> list[StageTask]:
        # its numbers are read from the chunks of counts and exports
        needed = (MakeReport, MakeStore, AllCounts, AllExports)
        return [self.sibling(task) for task in needed]

    def output(self) -> ProductTarget:
        return ProductTarget(
            self.settings.data.output / "production.json",
            inputs=self.inputs,
            read_header=read_record_header,
        )

    def lost(self) -> str:
        """Tell whether runs were refused that now are not allowed to be."""
        if self.settings.run.allow_refused:
            return ""
        refused = read_refused(Path(self.output().path))
        return f"{len(refused)} run(s) refused, not allowed" if refused else ""

    def lost_before(self) -> str:
        """Tell what of report and store is gone."""
        for task in (self.sibling(MakeReport), self.sibling(MakeStore)):
            if fault := task.fault() or task.lost_before():
                return fault
        return ""

    def run(self) -> None:
        if self.complete():  # what it waited for has not changed
            return
        summary = read_summary(self.settings)

        with self.output().temporary_path() as path:
            write_record(
                Path(path),
                self.header(),
                summary=summary,
                settings=settings_values(self.settings),
                versions=versions(),
            )
        require_no_refused(summary, allowed=self.settings.run.allow_refused)


def require_no_refused(summary: Summary, *, allowed: bool) -> None:
    """Raise when runs were refused and that is not allowed.

    Parameters
    ----------
    summary : Summary
        Numbers of the production.
    allowed : bool
        Whether refused runs are allowed.

    Raises
    ------
    InputError
        If they are not.
    """
    if summary.refused and not allowed:
        raise InputError(
            what=f"{len(summary.refused)} run(s) could not be used",
            where="production",
            fix="See bkgpipe status for the reasons; mend or exclude these runs, "
            "or set [run] allow_refused = true",
        )
