"""The section of a batch site; there may be several, each with a name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bkgpipe.settings.addresses import STAGE_COMMAND, TRANSFER
from bkgpipe.settings.keys import key
from bkgpipe.settings.kinds import (
    FLAG,
    INTEGER,
    PATH,
    TEXT,
    VARIABLES,
    WORDS,
    choice,
    optional,
    quantity,
)

__all__ = ["SITE_PREFIX", "SiteSettings"]

SITE_PREFIX = "site:"


@dataclass(frozen=True, kw_only=True)
class SiteSettings:
    """A batch system to run on, for `--site NAME`; nothing here changes a result."""

    engine: str = key(choice("slurm", "htcondor", "arc"), "slurm", "Its batch system")
    endpoint: str = key(
        TEXT, "", "Computing element of ARC, as https://ce.example.org/arex"
    )
    transfer: str = key(
        TRANSFER,
        "none",
        "How jobs get their files: none, submitter and nodes see the same folders; "
        "files, the batch system copies them; or the address of a folder, as "
        "s3://bucket/folder, webdavs://host/folder, root://host//folder",
    )
    stage_in: tuple[str, ...] = key(
        STAGE_COMMAND,
        "",
        "Command that copies {url} to the file {path}, as gfal-copy {url} "
        "file://{path}; empty uses the packages of bkgpipe[transfer]",
    )
    stage_out: tuple[str, ...] = key(
        STAGE_COMMAND,
        "",
        "Command that copies the file {path} to {url}, which it may replace",
    )
    container: Path | None = key(
        PATH, "", "Apptainer image, or its unpacked folder, to run in; empty needs none"
    )
    send_container: bool = key(
        FLAG, "false", "Copy the image to each job; otherwise nodes have it at its path"
    )
    apptainer: str = key(TEXT, "apptainer", "Command that runs the image on the nodes")
    container_options: str = key(
        TEXT, "--containall --cleanenv --no-home", "Options of apptainer exec"
    )
    binds: tuple[str, ...] = key(
        WORDS,
        "",
        "More folders for the image to see, as /data or /data:/data:ro; those that the "
        "settings name are there already",
    )
    setup: str = key(
        TEXT, "", "Line of bash before the work, as source /software/setup.sh"
    )
    command: str = key(
        TEXT,
        "",
        "How bkgpipe is called on the nodes; empty is this installation, or bkgpipe in "
        "an image",
    )
    environment: tuple[str, ...] = key(
        VARIABLES, "", "Variables of a job, each NAME=VALUE"
    )
    memory: float = key(
        optional(quantity("MB")),
        "",
        "Memory of a job; empty asks for half more than it is estimated to need",
        minimum=100.0,
    )
    time: float = key(quantity("s"), "2 h", "Longest time of a job", minimum=60.0)
    queue: str = key(TEXT, "", "Partition of Slurm; empty is the usual one")
    options: tuple[str, ...] = key(
        WORDS,
        "",
        "More lines of the job file, as --account=physics or +JobFlavour = longlunch",
    )
    chunks_per_job: int = key(
        INTEGER, "1", "Chunks that one job makes, one after the other", minimum=1
    )
    max_jobs: int = key(
        INTEGER, "500", "Jobs that wait or run at the same time", minimum=1
    )
    retries: int = key(INTEGER, "2", "Times that a failed job is sent again", minimum=0)
    poll: float = key(
        quantity("s"), "10 s", "Time between two looks at the jobs", minimum=0.1
    )
