"""Every section of the settings file, in the order of the chain."""

from __future__ import annotations

from dataclasses import dataclass

from bkgpipe.settings.keys import key
from bkgpipe.settings.kinds import FLAG, INTEGER, TEXT, quantity
from bkgpipe.settings.model_sections import (
    ExportSettings,
    FitSettings,
    RankSettings,
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
    "run": RunSettings,
}
