from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import luigi
import numpy as np
import pytest
from click.testing import CliRunner, Result

from bkgpipe.chain.inputs import forget
from bkgpipe.cli.main import main
from bkgpipe.flow import report
from bkgpipe.flow.engine import build as engine
from bkgpipe.settings import settings_template
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.stages.export.files import ENTRIES, NODES
from bkgpipe.stages.smooth.files import MODELS
from bkgpipe.stages.stack.files import STACKS

GIVEN = {
    "data.store": "store",
    "data.output": "out",
    "data.chunk_size": "3",
    "mask.catalogs": "store/sources.ecsv",
    "binning.per_decade": "3",
    "binning.fov_bins": "10",
    "binning.offset_bins": "5",
    "smooth.method": "gaussian",
    "stack.min_hours": "0.1 h",
    "stack.min_counts": "0",
    "stack.zenith_edges": "0, 30, 90 deg",
    "stack.azimuth_edges": "0, 360 deg",
    "rank.hours": "0.1 h",
    "select.min_livetime": "1 min",
}

_PATIENCE = 180.0

_READERS = {
    "count_*.h5": COUNTS.read,
    "stack_*.h5": STACKS.read,
    "smooth_*.h5": MODELS.read,
    "nodes_*.h5": NODES.read,
    "export_*.h5": ENTRIES.read,
}


@pytest.fixture(scope="session")
def archive(simulate_archive: Callable[..., Path]) -> Path:
    """Simulated store, to be read and copied only."""
    return simulate_archive(duration=240, seed=5)


@pytest.fixture(scope="session")
def prepare(archive: Path) -> Callable[..., Path]:
    """Factory: a folder with a copy of the store and a settings file."""

    def make(folder: Path, **changes: str) -> Path:
        shutil.copytree(archive, folder / "store")
        given = GIVEN | {key.replace("__", "."): text for key, text in changes.items()}
        text = settings_template(given)
        (folder / "luigi.cfg").write_text(text, encoding="utf-8")
        return folder

    return make


@pytest.fixture
def folder(
    prepare: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Working folder with a store and a settings file that a test may damage."""
    monkeypatch.chdir(prepare(tmp_path))
    return tmp_path


@pytest.fixture(scope="session")
def _finished(
    prepare: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Ranked production that is done, to be read only; run 1003 is missing."""
    folder = prepare(
        tmp_path_factory.mktemp("finished"),
        stack__strategy="ranked",
        run__allow_refused="true",
    )
    events_file(folder / "store", 1003).unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(report, "_MAX_MODELS", 1)
        patch.setattr("bkgpipe.cli.logs.set_up_logging", _leave_logging)
        result = CliRunner().invoke(main, ["run"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def finished(_finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(_finished)
    return _finished


@pytest.fixture
def bkgpipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """Call the command in this process, as a new one would run it."""
    # so that pytest still sees what is logged, and warnings stay errors
    monkeypatch.setattr("bkgpipe.cli.logs.set_up_logging", _leave_logging)
    monkeypatch.delenv("GAMMAPY_DATA", raising=False)
    # drawing takes most of the time of so small a production
    monkeypatch.setattr(report, "_MAX_MODELS", 1)
    monkeypatch.setattr(engine, "_PAUSE", 0.1)

    def call(*arguments: str | Path, answer: str = "") -> Result:
        forget()
        luigi.configuration.get_config().reload()
        words = [str(word) for word in arguments]
        return CliRunner().invoke(main, words, input=answer, catch_exceptions=False)

    yield call
    forget()


@pytest.fixture
def made(
    folder: Path,
    bkgpipe: Callable[..., Result],
    prepare: Callable[..., Path],
    make_once: Callable[..., Path],
) -> Path:
    """Working folder of a production that is done: a copy of the session's."""

    def fill(place: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(prepare(place))
            assert bkgpipe("run").exit_code == 0

    shutil.copytree(make_once("made", fill) / "out", folder / "out")
    return folder


def _leave_logging(*, verbose: bool) -> None:
    """Stand in for `set_up_logging`."""


@pytest.fixture
def all_told(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """What this process logged, and all that is in the logs of the working folder."""

    def read() -> str:
        logs = sorted(Path("out/logs").glob("*.log"))
        return caplog.text + "".join(path.read_text() for path in logs)

    return read


@pytest.fixture(scope="session")
def start() -> Callable[..., subprocess.Popen[str]]:
    """Start a command as a process of its own: ``start(folder, module, *words)``."""

    def run(folder: Path, module: str, *words: str) -> subprocess.Popen[str]:
        environment = {k: v for k, v in os.environ.items() if k != "GAMMAPY_DATA"}
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", module, *words],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return run


@pytest.fixture(scope="session")
def find_events() -> Callable[[Path, int], Path]:
    return events_file


def events_file(store: Path, obs_id: int) -> Path:
    (path,) = (store / "data").glob(f"*{obs_id}*")
    return path


@pytest.fixture(scope="session")
def assert_same_products() -> Callable[[Path, Path], None]:
    """Compare all chunks of two output folders, record by record."""
    return _assert_same_products


def _assert_same_products(out: Path, other: Path) -> None:
    """Compare all chunks of two output folders, record by record."""
    n_compared = 0
    for pattern, read in _READERS.items():
        for path in sorted(out.rglob(pattern)):
            (twin,) = other.rglob(path.name)
            chunk, expected = read(path), read(twin)
            assert chunk.refused == expected.refused
            assert chunk.records.keys() == expected.records.keys()
            for key, record in chunk.records.items():
                _assert_equal(record, expected.records[key])
            n_compared += 1
    assert n_compared == sum(len(list(other.rglob(name))) for name in _READERS) > 0


def _assert_equal(one: Any, other: Any) -> None:
    """Compare two records, field by field."""
    if is_dataclass(one):
        for field in fields(one):
            _assert_equal(getattr(one, field.name), getattr(other, field.name))
    else:
        np.testing.assert_array_equal(one, other)


class Central:
    """A luigid on this machine."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self.where = ("--scheduler-host", "127.0.0.1", "--scheduler-port", str(port))
        self._folder = folder
        self.start()

    def start(self) -> None:
        words = ("--address", "127.0.0.1", "--port", str(self.port))
        self._process = subprocess.Popen(  # noqa: S603
            [
                *(sys.executable, "-c", "from luigi.cmdline import luigid; luigid()"),
                *(*words, "--logdir", str(self._folder)),
            ],
            env=os.environ | {"LUIGI_CONFIG_PATH": str(self._folder / "luigid.cfg")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait(self._answers)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def tasks(self) -> list[dict[str, object]]:
        question = urlencode(
            {"data": json.dumps({"status": "", "upstream_status": ""})}
        )
        address = f"http://127.0.0.1:{self.port}/api/task_list?{question}"
        with urlopen(address, timeout=30) as answer:
            return list(json.load(answer)["response"].values())

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _wait(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Wait until something is so, but not for ever."""
    return _wait


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    return _free_port


@pytest.fixture
def shared(prepare, tmp_path: Path) -> Path:
    prepare(tmp_path, data__chunk_size="1")
    with (tmp_path / "luigi.cfg").open("a", encoding="utf-8") as file:
        file.write("[worker]\nmax_keep_alive_idle_duration = 3 seconds\n")
        file.write("[core]\nrpc_retry_wait = 1\n")
    return tmp_path


@pytest.fixture
def central_settings(shared: Path) -> Callable[..., None]:
    """Write the settings of the scheduler, to be called before it starts."""

    def write(**changes: str) -> None:
        values = {
            "worker_disconnect_delay": "3",
            "retry_delay": "1",
            "prune_on_get_work": "true",
            "state_path": str(shared / "luigid.state"),
        }
        lines = [f"{key} = {value}\n" for key, value in (values | changes).items()]
        (shared / "luigid.cfg").write_text("[scheduler]\n" + "".join(lines))

    write()
    return write


@pytest.fixture
def central(
    shared: Path,
    central_settings: Callable[..., None],  # noqa: ARG001
) -> Iterator[Central]:
    found = Central(shared, _free_port())
    yield found
    found.kill()
