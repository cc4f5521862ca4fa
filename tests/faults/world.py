"""A small production, and commands on it whose calls to the system are disturbed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from products import find_damaged, find_temporary, read_products

from bkgpipe.settings import settings_template
from bkgpipe.simulate.archive.data import PointSource, Simulation
from bkgpipe.simulate.archive.make import write_simulated_store
from bkgpipe.simulate.archive.truth_data import Truth

__all__ = [
    "AREAS",
    "KINDS",
    "Call",
    "Ended",
    "World",
    "compile_library",
    "make_world",
    "read_journal",
]

# In the order of `enum kind` in intercept.c
KINDS = (
    "open",
    "read",
    "write",
    "rename",
    "fsync",
    "unlink",
    "mkdir",
    "stat",
    "list",
)
# Patterns of paths with the area that they belong to; the first that matches counts.
AREAS = (
    ("store", "/store*"),
    ("deliverables", "/out/export-*/store*"),
    ("deliverables", "/out/report-*/*"),
    ("checkpoints", "/out/*-*/*"),
    ("state", "/out/logs*"),
    ("state", "/out/settings*"),
    ("state", "/out/running*"),
    ("checkpoints", "/out/*-*"),
    ("state", "/out*"),
)
_SETTINGS = {
    "data.store": "store",
    "data.output": "out",
    "data.chunk_size": "2",
    "mask.catalogs": "store/sources.ecsv",
    "binning.per_decade": "3",
    "binning.fov_bins": "6",
    "binning.offset_bins": "3",
    "smooth.method": "gaussian",
    "stack.min_hours": "0.1 h",
    "stack.min_counts": "0",
    "stack.zenith_edges": "0, 90 deg",
    "stack.azimuth_edges": "0, 360 deg",
    "rank.hours": "0.1 h",
    "select.min_livetime": "1 min",
    "run.workers": "1",
}
_SIMULATION = Simulation(
    n_runs=4,
    first_obs_id=1002,  # so that there are two chunks
    duration=240,
    seed=3,
    sources=(PointSource(fov_lon=0.5, fov_lat=0.2, rate=0.2),),
)
_PATIENCE = 60.0
_COMPILER = ("-shared", "-fPIC", "-O2", "-Wall")


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended.

    Attributes
    ----------
    code : int or None
        Exit code; negative after a signal, None when it took too long.
    said : str
        Its output.
    n_failed : int
        Calls to the system that were made to fail.
    n_changes : int
        Calls that changed something on disk.
    """

    code: int | None
    said: str
    n_failed: int
    n_changes: int


@dataclass(frozen=True, kw_only=True)
class Call:
    """A line of the journal, see `intercept.c`."""

    kind: str
    area: int
    inode: int
    path: str
    detail: str
    other: str


class World:
    """A folder with a store, settings, and a process that runs commands on them.

    Parameters
    ----------
    folder : Path
        Has ``store`` and ``luigi.cfg``.
    library : Path
        The compiled `intercept.c`.
    """

    def __init__(self, folder: Path, *, library: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.reference: dict[str, str] = {}
        self._server = subprocess.Popen(  # noqa: S603
            [sys.executable, str(Path(__file__).with_name("server.py"))],
            env=os.environ | {"LD_PRELOAD": str(library)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End the process that runs commands."""
        self._server.communicate(timeout=_PATIENCE)

    def run(self, *words: str, calls: Sequence[Sequence[str | int]] = ()) -> Ended:
        """Run a command; first call functions of the library."""
        log = self.folder / "last.log"
        patterns = [str(self.folder) + pattern for _, pattern in AREAS]
        answer = self._ask(
            folder=str(self.folder),
            log=str(log),
            words=words,
            calls=[("faults_begin", "\n".join(patterns)), *calls],
            seconds=_PATIENCE,
        )
        return Ended(said=log.read_text(errors="replace"), **answer)

    def _ask(self, **order: object) -> dict[str, int]:
        stdin, stdout = self._server.stdin, self._server.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(order) + "\n")
        stdin.flush()
        answer: dict[str, int] = json.loads(stdout.readline())
        return answer

    @property
    def journal(self) -> Path:
        """File for the calls of a command."""
        return self.folder / "journal"

    def make_reference(self, *words: str) -> Ended:
        """Run a command undisturbed, keep what its products say, and the journal."""
        self.clear()
        ended = self.run(*words, calls=[("faults_journal", str(self.journal), "/")])
        assert ended.code == 0, ended.said
        self.reference = read_products(self.out)
        wrong = {n: say for n, say in self.reference.items() if "unreadable" in say}
        assert not wrong, wrong
        return ended

    def clear(self) -> None:
        """Remove all products."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.journal.unlink(missing_ok=True)

    def wrong_products(self) -> list[str]:
        """List the products that are there and are not as in the reference."""
        found = read_products(self.out)
        return [
            f"{n} {'is cut' if s.startswith('unreadable') else 'differs'}"
            for n, s in found.items()
            if self.reference.get(n, s) != s
        ]

    def differences(self) -> list[str]:
        """List all in which the output is not that of the reference."""
        found = read_products(self.out)
        missing = [
            f"{name} is missing" for name in self.reference.keys() - found.keys()
        ]
        more = [f"{name} is new" for name in found.keys() - self.reference.keys()]
        aside = [f"{name} was set aside" for name in find_damaged(self.out)]
        return sorted([*missing, *more, *aside, *self.wrong_products()])

    def lasting_leftovers(self) -> list[str]:
        """List the temporary files that neither a rerun nor `clean` removes."""
        if find_temporary(self.out):
            self.run("clean", "--yes")
        return [f"{name} is left for ever" for name in find_temporary(self.out)]


def compile_library(folder: Path) -> Path:
    """Compile `intercept.c` into a folder."""
    library = folder / "intercept.so"
    source = str(Path(__file__).with_name("intercept.c"))
    compiler = os.environ.get("CC", "cc")
    subprocess.run(  # noqa: S603
        [compiler, *_COMPILER, "-o", str(library), source, "-ldl"], check=True
    )
    return library


@contextmanager
def make_world(folder: Path) -> Iterator[World]:
    """Simulate a store in a new folder, and be ready to run commands on it."""
    folder.mkdir(parents=True)
    folder = folder.resolve()
    write_simulated_store(folder / "store", simulation=_SIMULATION, truth=Truth())
    (folder / "luigi.cfg").write_text(settings_template(_SETTINGS), encoding="utf-8")
    world = World(folder, library=compile_library(folder))
    try:
        yield world
    finally:
        world.close()


def read_journal(path: Path) -> list[Call]:
    """Read what the library wrote, but a last line that was not finished."""
    calls = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        kind, area, inode, name, *rest = line.rstrip("\n").split("\t")
        if not line.endswith("\n"):
            break
        calls.append(
            Call(
                kind=kind,
                area=int(area),
                inode=int(inode),
                path=name,
                detail=rest[0],
                other=rest[1],
            )
        )
    return calls
