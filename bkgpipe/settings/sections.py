"""Every section of the settings file, in the order of the chain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from bkgpipe.settings.addresses import SERVER
from bkgpipe.settings.keys import key
from bkgpipe.settings.kinds import FLAG, INTEGER, PATH, TEXT, quantity
from bkgpipe.settings.model_sections import (
    ExportSettings,
    FitSettings,
    RankSettings,
    SkySettings,
    SmoothSettings,
    StackSettings,
)
from bkgpipe.settings.run_sections import (
    BinningSettings,
    CountSettings,
    DataSettings,
    MaskSettings,
    SelectSettings,
)

__all__ = ["SECTIONS", "RunSettings"]


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How a production runs; nothing here changes a result."""

    workers: int = key(
        INTEGER, "1", "Worker processes on this machine", minimum=1, maximum=1024
    )
    scheduler_host: str = key(
        TEXT, "", "Machine of a luigid that shares out the work; empty needs none"
    )
    scheduler_port: int = key(
        INTEGER, "8082", "Port of that luigid", minimum=1, maximum=65535
    )
    scheduler_url: str = key(
        SERVER,
        "",
        "Address of a luigid behind a server with TLS, as https://login1.example.org; "
        "empty takes the two keys above",
    )
    scheduler_login: Path | None = key(
        PATH,
        "",
        "File with user:password for that address, which others cannot read; the "
        "variable BKGPIPE_SCHEDULER_LOGIN goes before it",
    )
    scheduler_ca: Path | None = key(
        PATH,
        "",
        "Certificate of the authority of that server; empty trusts those of the system",
    )
    retries: int = key(
        INTEGER,
        "2",
        "Times that a task is tried again that lost its process, or, by a luigid, that "
        "failed",
        minimum=0,
    )
    hung_after: float = key(
        quantity("s"),
        "10 min",
        "Idle time after which a worker process is killed, of several workers",
        minimum=1,
    )
    allow_refused: bool = key(
        FLAG, "false", "Whether a production with unusable runs ends with exit code 0"
    )

    @property
    def scheduler(self) -> str:
        """Central scheduler, to be shown; empty if there is none."""
        if self.scheduler_host:
            return f"{self.scheduler_host}:{self.scheduler_port}"
        return self.scheduler_url

    def without_scheduler(self) -> RunSettings:
        """Return the same for any place: where it runs is not part of what it is.

        Returns
        -------
        RunSettings
            Settings of one worker that shares nothing.
        """
        return replace(
            self,
            workers=1,
            scheduler_host="",
            scheduler_port=1,
            scheduler_url="",
            scheduler_login=None,
            scheduler_ca=None,
        )


SECTIONS: dict[str, type] = {
    "data": DataSettings,
    "select": SelectSettings,
    "mask": MaskSettings,
    "binning": BinningSettings,
    "count": CountSettings,
    "rank": RankSettings,
    "stack": StackSettings,
    "fit": FitSettings,
    "smooth": SmoothSettings,
    "export": ExportSettings,
    "sky": SkySettings,
    "run": RunSettings,
}
