"""A batch system of this machine alone that outlives whoever submits to it."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bkgpipe.batch.ship.protocol import JobState, Parcel, ShipEngine

__all__ = ["DiskShip"]

_PATIENCE = 60.0  # s


class DiskShip(ShipEngine):
    """Each job has a folder: beside the production, which it is not told of."""

    @property
    def nodes(self) -> Path:
        """Folder of all jobs."""
        return self.folder / "nodes"

    def submit(self, parcels: Sequence[Parcel]) -> list[str]:
        for parcel in parcels:
            place = self.nodes / parcel.name
            place.mkdir(parents=True)
            for path in (parcel.script, *parcel.inputs):
                shutil.copy(path, place)
            log = shlex.quote(str(self.folder / f"{parcel.name}.log"))
            work = f"echo $$ >pid; bash {parcel.script.name} >{log} 2>&1"
            work += "; echo $? >.code; mv .code code"
            line = f"setsid bash -c {shlex.quote(work)} >/dev/null 2>&1 &"
            subprocess.run(["/bin/bash", "-c", line], cwd=place, check=True)  # noqa: S603
        return [parcel.name for parcel in parcels]

    def find(self, names: Sequence[str]) -> dict[str, str]:
        return {name: name for name in names if (self.nodes / name).exists()}

    def poll(self, job_ids: Sequence[str]) -> Mapping[str, JobState]:
        return {job_id: self._state(job_id) for job_id in job_ids}

    def kill(self, job_ids: Sequence[str]) -> None:
        for job_id in job_ids:
            with suppress(OSError):
                pid = int((self.nodes / job_id / "pid").read_text("utf-8"))
                os.killpg(pid, signal.SIGKILL)
                (self.nodes / job_id / "code").write_text("137", "utf-8")

    def fetch(self, job_id: str, name: str) -> None:  # noqa: ARG002
        for path in (self.nodes / job_id).glob("*.out.tar"):
            shutil.copy(path, self.folder)

    def wait(self) -> None:
        """Wait until no job runs any more."""
        until = time.monotonic() + _PATIENCE
        while any(not (place / "code").exists() for place in self.nodes.glob("*")):
            if time.monotonic() > until:
                raise TimeoutError(str(self.nodes))
            time.sleep(0.1)

    def _state(self, job_id: str) -> JobState:
        code = self.nodes / job_id / "code"
        if not code.exists():
            return JobState(state="running")
        found = code.read_text("utf-8").strip()
        if found == "0":
            return JobState(state="done")
        return JobState(state="failed", reason=f"exit code {found}")
