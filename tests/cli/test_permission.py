"""Files and folders that may not be read or written.

Permissions mean nothing to root, of whom that privilege is taken here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bkgpipe.batch.jobs import Job, Journal, site_folder
from bkgpipe.stages.count.files import COUNTS

_DENIED = "Permission denied"
_PRIVILEGES = "-dac_override,-dac_read_search"
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def place(prepare, tmp_path: Path) -> Iterator[Path]:
    """Folder of a production, of which all may be removed in the end."""
    yield prepare(tmp_path)
    for folder, names, _ in os.walk(tmp_path):
        for name in names:
            Path(folder, name).chmod(0o755)


@pytest.fixture(scope="module")
def call(serve_forks: Callable[..., Any]) -> Iterator[Run]:
    """Run ``bkgpipe`` in a folder as an ordinary user; exit code, and all it told."""
    before = _without_privileges() if os.geteuid() == 0 else []
    with serve_forks(*before) as fork:

        def run(folder: Path, *words: str) -> tuple[int, str]:
            done = fork(folder, *words, pause=0.1)
            stdout, stderr = done.communicate()
            return done.returncode, stdout + stderr

        yield run


@pytest.fixture
def bkgpipe(call: Run, place: Path) -> Run:
    """Run ``bkgpipe`` as an ordinary user; exit code, and all it printed."""
    return partial(call, place)


@pytest.fixture(scope="module")
def _made(call: Run, prepare, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output folder of a production that is done, to be copied only."""
    folder = prepare(tmp_path_factory.mktemp("made"))
    code, told = call(folder, "run", "export")
    assert code == 0, told
    return folder / "out"


@pytest.fixture
def made_place(_made: Path, place: Path) -> Path:
    """Folder of a production that is done."""
    shutil.copytree(_made, place / "out")
    return place


@pytest.fixture
def run(bkgpipe: Run) -> Run:
    """Run ``bkgpipe run export`` as an ordinary user; exit code, and all it printed."""
    return lambda *words: bkgpipe("run", "export", *words)


def _without_privileges() -> list[str]:
    """Words that start a command of root to whom permissions apply as to others."""
    program = shutil.which("setpriv")
    if program is None:
        pytest.skip("there is no setpriv, and root may read and write all files")
    words = [program, f"--bounding-set={_PRIVILEGES}"]
    done = subprocess.run(  # noqa: S603
        [*words, "true"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"root keeps its privileges: {done.stderr.strip()}")
    return words


def test_events_that_may_not_be_read(run, place, find_events):
    find_events(place / "store", 1003).chmod(0)

    code, told = run()

    assert code == 1
    assert "0 refused" in told
    failed = next(line for line in told.splitlines() if line.startswith("Failed: "))
    assert failed == (
        "Failed: count: run 1003 (data/run_1003.fits.gz): cannot be read at the moment "
        f"({_DENIED}). Check disk and permissions, then run again."
    )
    assert "Traceback" not in told
    assert _counted(place) == {1001, 1002, 1004, 1005, 1006, 1007, 1008}

    find_events(place / "store", 1003).chmod(0o644)
    code, told = run()

    assert code == 0, told
    assert _counted(place) == set(range(1001, 1009))


def _counted(place: Path) -> set[int]:
    files = (place / "out").glob("count-*/count_*.h5")
    return {obs_id for path in files for obs_id in COUNTS.read(path).records}


def test_the_folder_of_all_events_may_not_be_read(run, place):
    (place / "store" / "data").chmod(0)

    code, told = run()

    assert code == 1
    assert "Refused" not in told
    assert f"Error: {place}/store/data: cannot be read at the moment" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("name", ["obs-index.fits.gz", "hdu-index.fits.gz"])
def test_an_index_that_may_not_be_read(run, place, name):
    (place / "store" / name).chmod(0)

    code, told = run()

    assert code == 1
    assert f"Error: {place}/store/{name}: cannot be read at the moment" in told
    assert "Traceback" not in told


def test_a_store_that_may_not_be_entered(run, place):
    (place / "store").chmod(0)

    code, told = run("--set", "mask.catalogs=")

    assert code == 1
    assert f"Error: {place}/store: obs-index cannot be looked for ({_DENIED})" in told
    assert "Check that the folder may be read" in told
    assert "Traceback" not in told


_NOT_WRITTEN = f"cannot be written ({_DENIED}). Set [data] output to a folder"
_NOT_ENTERED = f"{_DENIED}. Check disk and permissions, then run again."


@pytest.mark.parametrize(("mode", "reason"), [(0o555, _NOT_WRITTEN), (0, _NOT_ENTERED)])
def test_an_output_folder_that_may_not_be_written(run, place, mode, reason):
    (place / "out").mkdir(mode)

    code, told = run()

    assert code == 1
    assert told.startswith(f"Error: {place}/out/")
    assert reason in told
    assert "Traceback" not in told
    (place / "out").chmod(0o755)
    assert not list((place / "out").iterdir())


def _seen(place: Path) -> dict[Path, tuple[int, int]]:
    """When each file and folder was last changed, and its size."""
    states = {path: path.stat() for path in (place, *place.rglob("*"))}
    return {path: (each.st_mtime_ns, each.st_size) for path, each in states.items()}


def test_commands_that_only_ask_write_nothing(bkgpipe, made_place, find_events):
    place = made_place
    find_events(place / "store", 1003).touch()  # its checksum has to be looked for
    (counts,) = (place / "out").glob("count-*/count_333.h5")
    folders = [path for path in (place / "out").rglob("*") if path.is_dir()]
    before = _seen(place)
    for folder in (place, place / "out", *folders):
        folder.chmod(0o555)

    plan, graph, status, explain, show = (
        bkgpipe(*words)
        for words in (
            ("plan", "--set=smooth.sigma=2"),
            ("plan", "--graph=text"),
            ("status",),
            ("explain", "1001", "--set=rank.hours=1 h"),
            ("show", str(counts)),
        )
    )
    problem = bkgpipe("check")

    assert _seen(place) == before
    assert {code for code, _ in (plan, graph, status, explain, show)} == {0}
    assert "smooth.sigma changed: no products yet" in plan[1]
    assert "count   4 of 4" in graph[1]
    assert "count        4 of 4" in status[1]
    assert explain[1].startswith("Ranking for run 1001")
    assert f"{place}/out cannot be written: choose [data] output" in problem[1]


def test_jobs_are_watched_although_the_folder_may_only_be_read(bkgpipe, place):
    job = Job(name="a-count-333-0", word="count", chunks=(333,), attempt=0)
    (place / "out" / "running").mkdir(parents=True)
    Journal(site_folder(place / "out", "north")).write([job])
    submitter = {"host": "elsewhere", "pid": 77, "started": 1.0, "scheduler": "local"}
    running = place / "out" / "running" / "elsewhere-77.json"
    running.write_text(json.dumps(submitter))
    running.parent.chmod(0o555)

    code, told = bkgpipe("status")

    assert code == 0
    assert "Jobs at north: 1 sending" in told
    assert "nobody watches" not in told


def test_before_the_first_run_commands_that_only_ask_write_nothing(bkgpipe, place):
    before = _seen(place)

    codes = [bkgpipe(word)[0] for word in ("plan", "status", "check")]
    code, told = bkgpipe("explain", "1001")

    assert codes == [0, 0, 0]
    assert code == 1
    assert "were not counted yet" in told
    assert _seen(place) == before


@pytest.mark.parametrize("name", ["settings", "running", "logs", "mask", "count"])
def test_a_folder_of_the_output_that_may_not_be_written(run, made_place, name):
    out = made_place / "out"
    products = [path for path in out.rglob("*.*") if path.is_file()]
    for path in products:
        if path.name != "runs.ecsv":
            path.unlink()
    (folder,) = out.glob(f"{name}*")
    folder.chmod(0o555)

    code, told = run()

    assert code == 1
    assert f"{folder}/" in told
    assert f"cannot be written ({_DENIED})" in told
    assert "Refused" not in told
    assert "Traceback" not in told
    assert not list(folder.iterdir())
    folder.chmod(0o755)
    assert run()[0] == 0
