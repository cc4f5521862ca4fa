"""Memory and CPU time of a submitter of many jobs that bring their files along.

    python benchmarks/bench_ship.py [JOBS] [SECONDS]

The batch system is of this process, without any work: what is measured is the loop
with its journal and files. Its commands, as condor_q, are not.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bkgpipe.batch.ship.baggage import Packed, Verdict
from bkgpipe.batch.ship.carriage import Carriage
from bkgpipe.batch.ship.desk import ShipDesk
from bkgpipe.batch.ship.protocol import JobState, Parcel, ShipEngine
from bkgpipe.settings import read_settings


class _Idle(ShipEngine):
    """Jobs that take some time and do nothing, ten beginning each second."""

    seconds = 30.0

    def submit(self, parcels: Sequence[Parcel]) -> list[str]:
        now = time.monotonic()
        self.ends = getattr(self, "ends", {})
        for parcel in parcels:
            self.ends[parcel.name] = now + self.seconds + len(self.ends) % 100 / 10
        return [parcel.name for parcel in parcels]

    def find(self, names: Sequence[str]) -> dict[str, str]:
        return {name: name for name in names if name in self.ends}

    def poll(self, job_ids: Sequence[str]) -> Mapping[str, JobState]:
        now = time.monotonic()
        words = {True: JobState(state="done"), False: JobState(state="running")}
        return {job_id: words[self.ends[job_id] < now] for job_id in job_ids}

    def kill(self, job_ids: Sequence[str]) -> None:
        del job_ids

    def fetch(self, job_id: str, name: str) -> None:
        bundle = self.folder / f"{name}.in.tar"
        (self.folder / f"{job_id}.out.tar").write_bytes(bundle.read_bytes())


@dataclass
class _Chunk:
    path: Path

    def complete(self) -> bool:
        return self.path.exists()


@dataclass
class _Empty:
    folder: Path

    def pack(
        self, word: str, chunks: Sequence[tuple[int, ...]], folder: Path
    ) -> list[Packed]:
        packed = []
        for each in chunks:
            path = folder / f"{word}-{each[0]}.tar"
            path.write_text(str(each[0]), encoding="utf-8")
            packed.append(Packed(path=path, sum="", chunks=each))
        return packed

    def put(self, answer: Path) -> Verdict:
        (self.folder / answer.read_text(encoding="utf-8")).touch()
        return Verdict(is_taken=True)


def main(n_jobs: int, seconds: float) -> None:
    """Send the jobs, and print what that took."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "luigi.cfg"
        config.write_text(
            f"[data]\nstore = {folder}\noutput = {folder}/out\n[mask]\ncatalogs =\n"
            "[site:far]\nengine = htcondor\ntransfer = files\nmemory = 1000 MB\n",
            encoding="utf-8",
        )
        settings = read_settings(config)
        jobs = folder / "jobs"
        jobs.mkdir()
        (folder / "products").mkdir()
        site = replace(settings.site("far"))
        engine = _Idle(site, jobs)
        engine.seconds = seconds
        carriage = Carriage(site=site, engine=engine, folder=jobs)
        baggage = _Empty(folder / "products")
        desk = ShipDesk(settings=settings, carriage=carriage, baggage=baggage)
        chunks = {n: _Chunk(folder / "products" / str(n)) for n in range(n_jobs)}
        started, cpu = time.monotonic(), time.process_time()
        desk.make("count", chunks)
        wall, cpu = time.monotonic() - started, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{n_jobs} jobs of {seconds:g} s: {wall:.0f} s, {cpu:.2f} s of CPU "
        f"({100 * cpu / wall:.1f} % of a core), {memory:.0f} MiB"
    )


if __name__ == "__main__":
    given = [*sys.argv[1:], *("1000", "30")[len(sys.argv) - 1 :]]
    main(int(given[0]), float(given[1]))
