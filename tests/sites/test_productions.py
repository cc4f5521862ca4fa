"""Productions whose jobs run on real batch systems, and what can befall them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from bkgpipe.batch.jobs import Job, Journal
from bkgpipe.settings import settings_template
from bkgpipe.simulate.archive.data import Simulation
from bkgpipe.simulate.archive.make import write_simulated_store
from bkgpipe.simulate.archive.truth_data import Truth

_UP = frozenset(os.environ.get("BKGPIPE_SITES", "").split())
_USER = os.environ.get("BKGPIPE_SITES_USER", "bkgpipe")
_IMAGE = os.environ.get("BKGPIPE_IMAGE", "")
_DEADLINE = 300
_CHUNKS = (200, 201)
_WAVES = {("count", chunk) for chunk in _CHUNKS} | {("fit", 0)}
_WAVES |= {("export", chunk) for chunk in _CHUNKS}

_GIVEN = {
    "data.store": "store",
    "data.output": "out",
    "data.chunk_size": "5",
    "mask.catalogs": "store/sources.ecsv",
    "binning.per_decade": "3",
    "binning.fov_bins": "10",
    "binning.offset_bins": "5",
    "stack.min_hours": "0.1 h",
    "stack.min_counts": "0",
    "select.min_livetime": "1 min",
    "smooth.method": "regression",
}
# OpenBLAS takes the kernel of the processor unless these say otherwise, and the last
# digits depend on it. HTCondor starts jobs without the variables of the submitter.
_KERNEL = [
    f"{name}={os.environ[name]}"
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    if name in os.environ
]
_SITE = {
    "memory": "500 MB",
    "time": "5 min",
    "poll": "1 s",
    "retries": "1",
    "environment": ", ".join(["PYTHONPATH=/tmp/lead", *_KERNEL]),
}

pytestmark = pytest.mark.skipif(
    not _UP, reason="start a batch system with tests/sites and source what it names"
)
slurm = pytest.mark.skipif("slurm" not in _UP, reason="Slurm is not up")
htcondor = pytest.mark.skipif("htcondor" not in _UP, reason="HTCondor is not up")
each_site = pytest.mark.parametrize("engine", sorted(_UP))
# what does not depend on the batch system
one_site = pytest.mark.parametrize("engine", sorted(_UP)[-1:])


@pytest.fixture(scope="module")
def archive() -> Iterator[Path]:
    # not below tmp_path, which is closed to the user who submits
    folder = Path(tempfile.mkdtemp(prefix="bkgpipe-archive-"))
    simulation = Simulation(n_runs=8, first_obs_id=1001, duration=240, seed=5)
    write_simulated_store(folder / "store", simulation=simulation, truth=Truth())
    (folder / "luigi.cfg").write_text(settings_template(_GIVEN), encoding="utf-8")
    _give(folder)
    _run(folder, "run", "--set", "data.output=local")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder(archive: Path) -> Iterator[Path]:
    """Folder with a store and settings that a test may change."""
    made = Path(tempfile.mkdtemp(prefix="bkgpipe-production-"))
    shutil.copytree(archive / "store", made / "store")
    shutil.copy(archive / "luigi.cfg", made / "luigi.cfg")
    _give(made)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def _give(folder: Path) -> None:
    """Let the user who submits write here."""
    for path in (folder, *folder.rglob("*")):
        if os.geteuid() == 0:
            shutil.chown(path, _USER)
    folder.chmod(0o755)


def _add_site(folder: Path, engine: str, **changes: str) -> None:
    keys = {"engine": engine, **_SITE, **changes}
    lines = [f"{key} = {value}" for key, value in keys.items()]
    with (folder / "luigi.cfg").open("a", encoding="utf-8") as file:
        file.write("\n".join(["", "[site:test]", *lines, ""]))


def _command(*words: str) -> list[str]:
    return ["site-user", sys.executable, "-m", "bkgpipe", *words]


def _run(folder: Path, *words: str, code: int = 0) -> str:
    done = subprocess.run(  # noqa: S603
        _command(*words),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=_DEADLINE,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def _run_at_site(folder: Path, *words: str, code: int = 0) -> str:
    return _run(folder, "run", "--site", "test", *words, code=code)


def _start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603
        _command("run", "--site", "test"),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _jobs(folder: Path) -> list[Job]:
    return list(Journal(folder / "out" / "jobs" / "test").read().values())


def _wait(look: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _DEADLINE
    while not look():
        assert time.monotonic() < end, f"{what} did not come in {_DEADLINE} s"
        time.sleep(0.3)


def _wait_for(folder: Path, state: str, *, n_jobs: int) -> None:
    def look() -> bool:
        return sum(job.state == state for job in _jobs(folder)) >= n_jobs

    _wait(look, f"{n_jobs} {state} jobs")


def _kill(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _models(output: Path) -> dict[str, list[bytes]]:
    (store,) = output.glob("export-*/store")
    found = {}
    for path in sorted((store / "models").glob("*.fits")):
        with fits.open(path) as hdus:
            found[path.name] = [
                np.asarray(hdu.data).tobytes() for hdu in hdus if hdu.data is not None
            ]
    return found


def _require_same(folder: Path, archive: Path) -> None:
    local = _models(archive / "local")
    assert len(local) == 16
    assert _models(folder / "out") == local


def _sent(folder: Path) -> Counter[tuple[str, int]]:
    return Counter((job.word, job.chunks[0]) for job in _jobs(folder))


@each_site
def test_models_are_those_of_a_local_production(
    folder: Path, archive: Path, engine: str
):
    _add_site(folder, engine)

    printed = _run_at_site(folder)

    assert "Models: 16" in printed
    _require_same(folder, archive)
    assert _sent(folder) == dict.fromkeys(_WAVES, 1)
    assert {job.state for job in _jobs(folder)} == {"finished"}
    assert "Jobs at test: 5 finished" in _run(folder, "status")
    assert "Nothing to do." in _run_at_site(folder)


@each_site
def test_submitter_killed_and_started_again(folder: Path, archive: Path, engine: str):
    _add_site(folder, engine, setup="sleep 5")
    process = _start(folder)
    _wait_for(folder, "running", n_jobs=2)
    _kill(process)
    before = {job.name: job.job_id for job in _jobs(folder)}
    assert "nobody watches these jobs" in _run(folder, "status")

    printed = _run_at_site(folder)

    assert "were sent before, watching them" in printed
    after = {job.name: job.job_id for job in _jobs(folder)}
    assert before.items() <= after.items()
    assert _sent(folder) == dict.fromkeys(_WAVES, 1)
    assert len(set(after.values())) == len(_WAVES)
    _require_same(folder, archive)


@one_site
def test_cancelled_and_sent_again(folder: Path, archive: Path, engine: str):
    # the second submitter's jobs find the file, and don't wait
    _add_site(folder, engine, setup=f"[ -e {folder}/go ] || sleep 200")
    process = _start(folder)
    _wait_for(folder, "running", n_jobs=1)

    printed = _run(folder, "cancel", "--site", "test")

    assert "2 job(s) cancelled; what is done is kept." in printed
    told, _ = process.communicate(timeout=_DEADLINE)
    assert process.returncode == 1
    assert "jobs were cancelled" in told
    assert {job.state for job in _jobs(folder)} == {"cancelled"}
    (folder / "go").touch()
    _run_at_site(folder)
    _require_same(folder, archive)


@one_site
def test_a_bad_run_is_refused_and_the_rest_goes_on(folder: Path, engine: str):
    _add_site(folder, engine)
    next((folder / "store").rglob("*1004*.fits*")).write_bytes(b"no FITS file")

    printed = _run_at_site(folder, code=1)

    assert "refused 1004" in printed
    assert "Models: 14" in printed
    assert _sent(folder) == dict.fromkeys(_WAVES, 1)
    _run_at_site(folder, "--set", "run.allow_refused=true")


@one_site
def test_a_job_that_fails_for_good_names_its_log(
    folder: Path, archive: Path, engine: str
):
    _add_site(folder, engine, setup=f"[ -e {folder}/go ] || exit 9")

    printed = _run_at_site(folder, code=1)

    assert "2 chunk(s) of count failed" in printed
    assert "exit code 9" in printed
    assert _sent(folder) == {("count", chunk): 2 for chunk in _CHUNKS}
    status = json.loads(_run(folder, "status", "--json"))
    assert status["jobs"]["test"] == {"failed": 2, "sent again": 2}
    (folder / "go").touch()
    _run_at_site(folder)
    _require_same(folder, archive)


@one_site
def test_second_submitter_is_refused(folder: Path, engine: str):
    _add_site(folder, engine, setup="sleep 3")
    process = _start(folder)
    _wait_for(folder, "pending", n_jobs=1)

    printed = _run_at_site(folder, code=1)

    assert f"process {process.pid} on " in printed
    process.communicate(timeout=_DEADLINE)
    assert process.returncode == 0
    assert _sent(folder) == dict.fromkeys(_WAVES, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
@one_site
def test_full_disk_under_the_products(folder: Path, archive: Path, engine: str):
    _add_site(folder, engine)
    output = folder / "out"
    output.mkdir()
    # enough for the first products, and not for the models
    size, enough = "size=500k,mode=777", "remount,size=100m"
    _root("mount", "-t", "tmpfs", "-o", size, "tmpfs", str(output))
    try:
        printed = _run_at_site(folder, code=1)
        assert "failed" in printed or "No space left" in printed
        logs = [Path(job.log).read_text() for job in _jobs(folder)]
        assert any("No space left on device" in text for text in (*logs, printed))
        assert not list(output.glob("*/.*"))
        _root("mount", "-o", enough, str(output))
        _run_at_site(folder)
        _require_same(folder, archive)
    finally:
        _root("umount", str(output))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
@one_site
def test_full_scratch_of_the_node(folder: Path, archive: Path, engine: str):
    scratch = folder / "scratch"
    scratch.mkdir()
    _add_site(folder, engine, environment=", ".join([f"TMPDIR={scratch}", *_KERNEL]))
    # room for its root, and for nothing in it
    _root("mount", "-t", "tmpfs", "-o", "nr_inodes=1,mode=777", "tmpfs", str(scratch))
    try:
        printed = _run_at_site(folder, code=1)
    finally:
        _root("umount", str(scratch))

    assert "exit code 71" in printed
    assert "No space left on device" in Path(_jobs(folder)[0].log).read_text()
    scratch.chmod(0o777)
    _run_at_site(folder)
    _require_same(folder, archive)
    assert list(scratch.iterdir()) == []


@slurm
def test_pilots_as_the_documentation_starts_them(
    folder: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("CONFIG", str(folder / "luigi.cfg"))
    monkeypatch.setenv("SCHEDULER_HOST", "127.0.0.1")
    monkeypatch.setenv("SCHEDULER_PORT", port)
    script = Path(__file__).parents[2] / "docs" / "grid" / "pilot-slurm.sh"
    command = ["site-user", "sbatch", "--wait", "--array=1-2", "--mem-per-cpu=500M"]
    luigid = ["luigid", "--address", "127.0.0.1", "--port", port]
    with (folder / "luigid.log").open("w") as log:
        server = subprocess.Popen(luigid, stdout=log, stderr=log)  # noqa: S603
    try:
        _wait(lambda: _answers(int(port)), "luigid")
        _root(*command, f"--chdir={folder}", str(script))
    finally:
        server.terminate()
        server.wait()

    told = [path.read_text() for path in folder.glob("pilot-*.log")]
    assert len(told) == 2
    _require_same(folder, archive)


def _answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@slurm
@pytest.mark.skipif(os.geteuid() != 0, reason="sets a node to down")
def test_node_goes_down(folder: Path, archive: Path):
    _add_site(folder, "slurm", setup="sleep 5")
    process = _start(folder)
    _wait_for(folder, "running", n_jobs=2)
    try:
        _scontrol("state=down", "reason=test")
        time.sleep(3)
    finally:
        _scontrol("state=resume")

    printed, _ = process.communicate(timeout=_DEADLINE)

    assert process.returncode == 0, printed
    _require_same(folder, archive)


@slurm
def test_job_killed_by_its_time_limit_is_sent_again(folder: Path, archive: Path):
    slept = f"{folder}/slept"
    slow = f"if mkdir {slept} 2>/dev/null; then sleep 300; fi"
    _add_site(folder, "slurm", setup=slow, time="60 s")

    printed = _run_at_site(folder)

    assert "failed (TIMEOUT" in printed
    assert sum(job.attempt for job in _jobs(folder)) == 1
    _require_same(folder, archive)


@pytest.mark.skipif(not _IMAGE, reason="set BKGPIPE_IMAGE to an Apptainer image")
@each_site
def test_jobs_in_the_image(folder: Path, archive: Path, engine: str):
    # inside each job: in an image, with a root that cannot be written
    checked = (
        '/bin/sh -c \'test -n "$APPTAINER_CONTAINER" && ! touch /opt/probe '
        '2>/dev/null && echo checked in $APPTAINER_CONTAINER && exec bkgpipe "$@"\' sh'
    )
    # works where users may not mount either
    options = os.environ.get("BKGPIPE_IMAGE_OPTIONS", "--unsquash")
    _add_site(
        folder,
        engine,
        container=_IMAGE,
        apptainer=shutil.which("apptainer") or "apptainer",
        container_options=f"--containall --cleanenv --no-home {options}",
        command=checked,
    )
    before = _listing(folder)

    _run_at_site(folder)

    logs = [Path(job.log).read_text() for job in _jobs(folder)]
    assert len(logs) == len(_WAVES)
    assert all("checked in " in text for text in logs)
    _require_same(folder, archive)
    assert _listing(folder) == before


@htcondor
@pytest.mark.parametrize("place", ["plain", "image"])
def test_htcondor_carries_all_that_jobs_need(folder: Path, archive: Path, place: str):
    image = {}
    if place == "image":  # which sees nothing but what it was sent
        if not _IMAGE:
            pytest.skip("set BKGPIPE_IMAGE to an Apptainer image")
        options = os.environ.get("BKGPIPE_IMAGE_OPTIONS", "--unsquash")
        hidden = f"test ! -e {folder} && echo hidden && exec bkgpipe"
        image = {
            "container": _IMAGE,
            "apptainer": shutil.which("apptainer") or "apptainer",
            "container_options": f"--containall --cleanenv --no-home {options}",
            "command": f"/bin/sh -c '{hidden} \"$@\"' sh",
        }
    _add_site(folder, "htcondor", transfer="files", **image)

    printed = _run_at_site(folder)

    assert "Models: 16" in printed
    _require_same(folder, archive)
    # the fit is made of all runs, and so at the submitter
    assert _sent(folder) == dict.fromkeys(_WAVES - {("fit", 0)}, 1)
    if image:
        assert all("hidden" in Path(job.log).read_text() for job in _jobs(folder))
    assert "Nothing to do." in _run_at_site(folder)


@htcondor
def test_submitter_killed_while_htcondor_carries_files(folder: Path, archive: Path):
    _add_site(folder, "htcondor", transfer="files", setup="sleep 5")
    process = _start(folder)
    _wait_for(folder, "running", n_jobs=2)
    _kill(process)
    before = {job.name: job.job_id for job in _jobs(folder)}

    printed = _run_at_site(folder)

    assert "were sent before, watching them" in printed
    assert before.items() <= {job.name: job.job_id for job in _jobs(folder)}.items()
    assert _sent(folder) == dict.fromkeys(_WAVES - {("fit", 0)}, 1)
    _require_same(folder, archive)


def _listing(folder: Path) -> set[Path]:
    """Files beside the products."""
    out = folder / "out"
    return {path for path in folder.rglob("*") if out not in (path, *path.parents)}


def _root(*command: str) -> None:
    subprocess.run(command, check=True, timeout=_DEADLINE)  # noqa: S603


def _scontrol(*changes: str) -> None:
    _root("scontrol", "update", "nodename=n1", *changes)
