from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bkgpipe.batch.ship.baggage import Packed, Verdict
from bkgpipe.batch.ship.carriage import Carriage
from bkgpipe.batch.ship.desk import ShipDesk
from bkgpipe.batch.ship.protocol import JobState, Parcel, ShipEngine
from bkgpipe.errors import SiteError
from bkgpipe.settings import read_settings
from bkgpipe.settings.site_sections import SiteSettings

# bkgpipe job --bundle IN --to OUT
COPY = 'bash -c \'cp "$2" "$4"\''


class LocalShip(ShipEngine):
    """A batch system of this machine alone, each job in a folder of its own."""

    def __init__(self, site: SiteSettings, folder: Path) -> None:
        super().__init__(site, folder)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.parcels: dict[str, Parcel] = {}
        self.said: dict[str, JobState] = {}
        self.killed: list[str] = []
        self.n_silent = 0

    def submit(self, parcels: Sequence[Parcel]) -> list[str]:
        return [self._start(parcel) for parcel in parcels]

    def find(self, names: Sequence[str]) -> dict[str, str]:
        return {name: name for name in names if name in self.parcels}

    def poll(self, job_ids: Sequence[str]) -> Mapping[str, JobState]:
        if self.n_silent:
            self.n_silent -= 1
            raise SiteError(what="does not answer", where="here", fix="Wait")
        return {job_id: self._state(job_id) for job_id in job_ids}

    def kill(self, job_ids: Sequence[str]) -> None:
        self.killed += job_ids

    def fetch(self, job_id: str, name: str) -> None:
        output = self.parcels[name].output
        if output and (self._place(job_id) / output).exists():
            shutil.copy(self._place(job_id) / output, self.folder / output)

    def _place(self, name: str) -> Path:
        return self.folder / "nodes" / name

    def _start(self, parcel: Parcel) -> str:
        place = self._place(parcel.name)
        place.mkdir(parents=True)
        for path in (parcel.script, *parcel.inputs):
            shutil.copy(path, place)
        with (self.folder / f"{parcel.name}.log").open("wb") as log:
            self.processes[parcel.name] = subprocess.Popen(  # noqa: S603
                ["/bin/bash", parcel.script.name], cwd=place, stdout=log, stderr=log
            )
        self.parcels[parcel.name] = parcel
        return parcel.name

    def _state(self, job_id: str) -> JobState:
        if job_id in self.said:
            return self.said[job_id]
        code = self.processes[job_id].poll() if job_id in self.processes else None
        if code is None:
            known = job_id in self.processes
            return JobState(state="running" if known else "lost", reason="unknown")
        reason = f"exit code {code}" if code else ""
        return JobState(state="failed" if code else "done", reason=reason)


@dataclass
class Chunk:
    """A product: the file that says so."""

    path: Path

    def complete(self) -> bool:
        return self.path.exists()


@dataclass
class Papers:
    """Bundles and answers that are the numbers of their chunks."""

    folder: Path
    packed: list[tuple[int, ...]] = field(default_factory=list)
    verdicts: dict[int, Verdict] = field(default_factory=dict)

    def pack(
        self, word: str, chunks: Sequence[tuple[int, ...]], folder: Path
    ) -> list[Packed]:
        self.packed += chunks
        return [self._pack(word, each, folder) for each in chunks]

    def put(self, answer: Path) -> Verdict:
        words = answer.read_text(encoding="utf-8").split()
        if not words or words[-1] != "end":
            return Verdict(is_taken=False, reason="is cut off")
        numbers = [int(word) for word in words[:-1]]
        for number in numbers:
            if number in self.verdicts:
                return self.verdicts[number]
            (self.folder / str(number)).touch()
        return Verdict(is_taken=True)

    def _pack(self, word: str, chunks: tuple[int, ...], folder: Path) -> Packed:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{word}-{chunks[0]}.tar"
        text = " ".join([*map(str, chunks), "end"])
        path.write_text(text, encoding="utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()
        return Packed(path=path, sum=digest, chunks=chunks)


@pytest.fixture
def products(tmp_path: Path) -> dict[int, Chunk]:
    folder = tmp_path / "products"
    folder.mkdir()
    return {number: Chunk(path=folder / str(number)) for number in range(5)}


@pytest.fixture
def new_desk(tmp_path: Path) -> Iterator[Callable[..., ShipDesk]]:
    """Make a desk, as each new submitter does; they share folders and engine."""
    config = tmp_path / "luigi.cfg"
    config.write_text(
        f"[data]\nstore = {tmp_path}\noutput = {tmp_path}/out\n[mask]\ncatalogs =\n"
        "[site:far]\nengine = htcondor\ntransfer = files\nmemory = 1000 MB\n"
        "chunks_per_job = 2\nretries = 1\n",
        encoding="utf-8",
    )
    settings = read_settings(config)
    folder = tmp_path / "out" / "jobs" / "far"
    folder.mkdir(parents=True)
    usual = replace(settings.site("far"), command=COPY, poll=0.02)
    engine = LocalShip(usual, folder)

    def make(**changes: object) -> ShipDesk:
        site = replace(usual, **changes)
        carriage = Carriage(site=site, engine=engine, folder=folder)
        baggage = Papers(tmp_path / "products")
        return ShipDesk(settings=settings, carriage=carriage, baggage=baggage)

    yield make
    for process in engine.processes.values():
        process.kill()
        process.wait()
