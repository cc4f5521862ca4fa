from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import bkgpipe

_UP = frozenset(os.environ.get("BKGPIPE_SITES", "").split())
_USER = os.environ.get("BKGPIPE_SITES_USER", "bkgpipe")
_VERSION = (sys.executable, "-c", "import bkgpipe; print(bkgpipe.__version__)")
_FAILING = (sys.executable, "-c", "raise SystemExit(7)")
_DEADLINE = 120

# Whose jobs: () are those of the one who runs the tests.
_AS_USER = ("site-user",)


def _site(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        name not in _UP,
        reason=f"start {name} with tests/sites and source the file it names",
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not tmp_path: pytest closes the folder above it to other users.
    path = Path(tempfile.mkdtemp(prefix="bkgpipe-site-"))
    if os.geteuid() == 0:
        shutil.chown(path, _USER)
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def _stdout(*command: str) -> str:
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


def _end(look: Callable[[str], tuple[str, str] | None], job: str) -> tuple[str, str]:
    end = time.monotonic() + _DEADLINE
    while time.monotonic() < end:
        if (ended := look(job)) is not None:
            return ended
        time.sleep(0.5)
    pytest.fail(f"job {job} did not end within {_DEADLINE} s")


def _submit_slurm(
    folder: Path, command: tuple[str, ...], prefix: tuple[str, ...]
) -> str:
    script = folder / "job.sh"
    quoted = " ".join(f"'{word}'" for word in command)
    script.write_text(f"#!/bin/sh\nid -un >&2\nexec {quoted}\n", encoding="utf-8")
    return _stdout(
        *prefix,
        *("sbatch", "--parsable", f"--chdir={folder}"),
        *("--output=job.out", "--error=job.err", str(script)),
    )


def _ended_slurm(job: str) -> tuple[str, str] | None:
    line = _stdout("sacct", "-X", "-n", "-P", "-j", job, "-o", "State,ExitCode")
    state, _, code = line.partition("|")
    if state in ("", "PENDING", "RUNNING", "COMPLETING"):
        return None
    return state.split()[0], code


def _submit_condor(folder: Path, command: tuple[str, ...]) -> str:
    words = " ".join("'{}'".format(word.replace('"', '""')) for word in command[1:])
    lines = [
        f"executable = {command[0]}",
        f'arguments = "{words}"',
        "transfer_executable = False",
        f"initialdir = {folder}",
        "output = job.out",
        "error = job.err",
        "log = job.log",
        "queue",
    ]
    description = folder / "job.jdl"
    description.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return _stdout("condor_submit", "-terse", str(description)).split(" - ")[0]


def _ended_condor(job: str) -> tuple[str, str] | None:
    line = _stdout("condor_history", job, "-af", "JobStatus", "ExitCode")
    if not line:
        return None
    state, code = line.split()
    return {"3": "REMOVED", "4": "COMPLETED"}.get(state, state), code


@_site("slurm")
@pytest.mark.parametrize("prefix", [(), _AS_USER], ids=["own", "user"])
def test_slurm_runs_a_job_with_this_interpreter(
    folder: Path, prefix: tuple[str, ...]
) -> None:
    job = _submit_slurm(folder, _VERSION, prefix)

    assert _end(_ended_slurm, job) == ("COMPLETED", "0:0")

    assert (folder / "job.out").read_text().strip() == bkgpipe.__version__
    user = (folder / "job.err").read_text().strip()
    assert user == (_USER if prefix else _stdout("id", "-un"))


@_site("slurm")
def test_slurm_tells_the_exit_code_of_a_job_that_fails(folder: Path) -> None:
    job = _submit_slurm(folder, _FAILING, _AS_USER)

    assert _end(_ended_slurm, job) == ("FAILED", "7:0")


@_site("slurm")
def test_slurm_cancels_a_job(folder: Path) -> None:
    job = _submit_slurm(folder, ("sleep", "600"), _AS_USER)

    _stdout("scancel", job)

    state, _ = _end(_ended_slurm, job)
    assert state == "CANCELLED"


@_site("htcondor")
def test_htcondor_runs_a_job_with_this_interpreter(folder: Path) -> None:
    job = _submit_condor(folder, _VERSION)

    assert _end(_ended_condor, job) == ("COMPLETED", "0")

    assert (folder / "job.out").read_text().strip() == bkgpipe.__version__
    assert (folder / "job.out").owner() == (
        _USER if os.geteuid() == 0 else _stdout("id", "-un")
    )


@_site("htcondor")
def test_htcondor_tells_the_exit_code_of_a_job_that_fails(folder: Path) -> None:
    job = _submit_condor(folder, _FAILING)

    assert _end(_ended_condor, job) == ("COMPLETED", "7")


@_site("htcondor")
def test_htcondor_removes_a_job(folder: Path) -> None:
    job = _submit_condor(folder, ("/bin/sleep", "600"))

    _stdout("condor_rm", job)

    state, _ = _end(_ended_condor, job)
    assert state == "REMOVED"


@_site("htcondor")
def test_htcondor_copies_what_jobs_need(folder: Path) -> None:
    script = Path(__file__).with_name("ship_desk.py")
    said = json.loads(_stdout(*_AS_USER, sys.executable, str(script), str(folder)))
    assert len(said["places"]) == 10
    assert all("/execute/dir_" in place for place in said["places"])
    assert said["errors"] == ["exit code 7"]
