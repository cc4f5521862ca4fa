"""The whole chain."""

from __future__ import annotations

from pathlib import Path

from bkgpipe.datamodel import Summary
from bkgpipe.errors import InputError
from bkgpipe.io.record import read_record_header, read_refused, write_record
from bkgpipe.settings import settings_values
from bkgpipe.tasks.base import StageTask
from bkgpipe.tasks.inputs import digest
from bkgpipe.tasks.report import MakeReport
from bkgpipe.tasks.summary import read_summary
from bkgpipe.tasks.targets import ProductTarget
from bkgpipe.tasks.versions import versions

__all__ = ["Production", "require_no_refused"]


class Production(StageTask):
    """The whole chain: writes ``production.json``.

    Fails at its very end, when all other runs have their models, if runs were refused
    and ``[run] allow_refused`` does not allow it.
    """

    stage = "report"

    def inputs(self) -> str:
        """Digest of what the task is made from."""
        # production.json has no fingerprint in its path
        return digest([self.settings.fingerprint("report"), super().inputs()])

    def requires(self) -> MakeReport:
        return self.sibling(MakeReport)

    def output(self) -> ProductTarget:
        return ProductTarget(
            self.settings.data.output / "production.json",
            inputs=self.inputs,
            read_header=read_record_header,
        )

    def complete(self) -> bool:
        """Tell whether nothing is left to do."""
        if not super().complete():
            return False
        refused = read_refused(Path(self.output().path))
        return self.settings.run.allow_refused or not refused

    def run(self) -> None:
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
