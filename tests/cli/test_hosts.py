"""Workers and luigid on machines of their own, which share a folder.

Each machine is a network namespace with a name of its own (``ip netns``, ``unshare``),
joined to the others by a switch; all is in namespaces, so that the network of the
machine that runs the tests is not changed. It needs root and iproute2.

A host is known by its name and by the namespace of its process numbers: those of one
machine share both unless they are told apart, and then each may well see that a
process of the other is alive. So each has its own here, as on real machines, where a
process number of one means nothing to the others.

`test_scheduler` has the same faults without machines, and luigid that is killed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

_PATIENCE = 180.0
_PORT = 8082
_WORKERS = ("anna", "berta", "clara")
_DELAY = 3  # s, after which luigid gives a silent worker up
_RUNNING = re.compile(r"host=(\w+).* running +(\w+)\(.*chunk=(\d+)")
_PROBE = "import socket; socket.create_connection(('{}', {}), timeout=5)"
_STATUS = """
from urllib.request import urlopen
with urlopen('http://{}:{}/api/task_list?data={{}}', timeout=30) as answer:
    print(answer.read().decode())
"""


class Hosts:
    """Network namespaces that stand for machines, and a switch between them."""

    def __init__(self) -> None:
        self._switch = self._name("switch")
        self._places: dict[str, str] = {}
        self._processes: list[subprocess.Popen[str]] = []

    def join(self) -> None:
        """Make the switch."""
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "plugs", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "plugs", "up")

    def add(self, host: str) -> None:
        """Add a machine, with a cable to the switch."""
        place, switch = self._name(host), self._switch
        self._places[host] = f"10.77.0.{len(self._places) + 1}"
        _ip("netns", "add", place)
        cable = ("link", "add", host, "type", "veth", "peer", "name", "net")
        _ip("-n", switch, *cable, "netns", place)
        _ip("-n", switch, "link", "set", host, "master", "plugs", "up")
        _ip("-n", place, "addr", "add", f"{self._places[host]}/24", "dev", "net")
        for link in ("net", "lo"):
            _ip("-n", place, "link", "set", link, "up")

    def address(self, host: str) -> str:
        return self._places[host]

    def plug(self, host: str, *, is_in: bool) -> None:
        """Put the cable of a machine into the switch, or pull it."""
        _ip("-n", self._switch, "link", "set", host, "up" if is_in else "down")

    def start(
        self, host: str, *words: str, folder: Path, **environment: str
    ) -> subprocess.Popen[str]:
        """Start Python on a machine; all that it starts ends with it."""
        # a pipe that nobody reads would stop the process when it is full
        log = (folder / f"{host}-{len(self._processes)}.log").open("w")
        kept = {k: v for k, v in os.environ.items() if k != "GAMMAPY_DATA"}
        process = subprocess.Popen(  # noqa: S603
            self._on(host, *words),
            cwd=folder,
            env=kept | environment,
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        log.close()
        self._processes.append(process)
        return process

    def call(self, host: str, code: str) -> subprocess.CompletedProcess[str]:
        """Run some lines of Python on a machine."""
        return subprocess.run(  # noqa: S603
            self._on(host, "-c", code), capture_output=True, text=True, check=False
        )

    def end(self) -> None:
        """End all that was started."""
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=_PATIENCE)

    def remove(self) -> None:
        self.end()
        # a bridge and cables end with their namespace
        for host in ("switch", *self._places):
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", self._name(host))

    def _on(self, host: str, *words: str) -> list[str]:
        inside = ("ip", "netns", "exec", self._name(host))
        own = ("unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child")
        named = ("sh", "-c", 'hostname "$0" && exec "$@"', host)
        return [*inside, *own, *named, sys.executable, *words]

    @staticmethod
    def _name(host: str) -> str:
        return f"bkgpipe-{os.getpid()}-{host}"


def _ip(*words: str) -> None:
    subprocess.run(  # noqa: S603
        ["ip", *words],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    )


def _skip_unless_possible() -> None:
    missing = [
        name
        for name in ("ip", "unshare", "hostname", "sh")
        if shutil.which(name) is None
    ]
    if missing:
        pytest.skip(f"there is no {', '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("only root can make network namespaces")


def _wait(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + _PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    _skip_unless_possible()
    found = Hosts()
    try:
        found.join()
        for host in ("luigi", *_WORKERS):
            found.add(host)
        found.call("luigi", "").check_returncode()
    except subprocess.CalledProcessError as error:
        found.remove()
        pytest.skip(f"no network namespace can be made: {error.stderr.strip()}")
    yield found
    found.remove()


@pytest.fixture(scope="module")
def whole(prepare, fork, tmp_path_factory) -> Path:
    """Output folder of a production of one process that nobody disturbed."""
    folder = prepare(tmp_path_factory.mktemp("whole"), data__chunk_size="1")
    process = fork(folder, "run", "export")
    _, stderr = process.communicate(timeout=_PATIENCE)
    assert process.returncode == 0, stderr
    return folder / "out"


class Shared:
    """A production of several machines, and the luigid that shares it out."""

    def __init__(self, hosts: Hosts, folder: Path) -> None:
        self.hosts, self.folder, self.out = hosts, folder, folder / "out"
        self._workers: dict[str, subprocess.Popen[str]] = {}

    def start_luigid(self, address: str) -> subprocess.Popen[str]:
        (self.folder / "luigid.cfg").write_text(
            f"[scheduler]\nworker_disconnect_delay = {_DELAY}\nretry_delay = 1\n"
            f"prune_on_get_work = true\nstate_path = {self.folder / 'luigid.state'}\n"
        )
        process = self.hosts.start(
            "luigi",
            *("-c", "from luigi.cmdline import luigid; luigid()"),
            *("--address", address, "--port", str(_PORT)),
            *("--logdir", str(self.folder)),
            folder=self.folder,
            LUIGI_CONFIG_PATH=str(self.folder / "luigid.cfg"),
        )
        probe = _PROBE.format(address, _PORT)
        _wait(lambda: self.hosts.call("luigi", probe).returncode == 0)
        return process

    def start(self, host: str) -> None:
        words = ("--scheduler-host", self.hosts.address("luigi"))
        self._workers[host] = self.hosts.start(
            host,
            *("-m", "bkgpipe", "-v", "run", "export"),
            *(*words, "--scheduler-port", str(_PORT)),
            folder=self.folder,
        )

    def start_together(self, luigid: subprocess.Popen[str]) -> None:
        """Start all workers; none gets work before all are there."""
        os.killpg(luigid.pid, signal.SIGSTOP)
        for host in _WORKERS:
            self.start(host)
        _wait(lambda: len(list(self.out.glob("running/*.json"))) == len(_WORKERS))
        os.killpg(luigid.pid, signal.SIGCONT)

    def send(self, host: str, number: int) -> None:
        os.killpg(self._workers[host].pid, number)

    def wait(self, host: str) -> tuple[int, str]:
        code = self._workers[host].wait(timeout=_PATIENCE)
        return code, self.told(host)

    def told(self, host: str) -> str:
        return "".join(path.read_text() for path in self.folder.glob(f"{host}-*.log"))

    def made(self) -> Counter[tuple[str, str]]:
        """Count how often each chunk of each stage was begun, by any of them."""
        found = [_RUNNING.findall(self.told(host)) for host in _WORKERS]
        return Counter((stage, chunk) for each in found for _, stage, chunk in each)

    def makers(self) -> set[str]:
        return {
            one for host in _WORKERS for one, *_ in _RUNNING.findall(self.told(host))
        }

    def stop_amid_work(self) -> str:
        """Stop a machine that has work in hand, as luigid knows it; name it."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            for host in _WORKERS:
                assert self._workers[host].poll() is None, self.told(host)
                self.send(host, signal.SIGSTOP)
                if self._has_work(host):
                    return host
                self.send(host, signal.SIGCONT)
        raise AssertionError

    def _has_work(self, host: str) -> bool:
        ask = _STATUS.format(self.hosts.address("luigi"), _PORT)
        answer = self.hosts.call("luigi", ask)
        tasks = json.loads(answer.stdout or '{"response": {}}')["response"].values()
        busy = [task for task in tasks if task["status"] == "RUNNING"]
        return any(f"host={host}" in str(task["worker_running"]) for task in busy)


@pytest.fixture
def shared(hosts: Hosts, prepare, tmp_path: Path) -> Iterator[Shared]:
    prepare(tmp_path, data__chunk_size="1")
    with (tmp_path / "luigi.cfg").open("a", encoding="utf-8") as file:
        file.write("[worker]\nmax_keep_alive_idle_duration = 3 seconds\n")
        file.write("[core]\nrpc_retry_wait = 1\nrpc_connect_timeout = 2\n")
    yield Shared(hosts, tmp_path)
    for host in _WORKERS:
        hosts.plug(host, is_in=True)
    hosts.end()


def test_machines_share_a_production(shared, hosts, whole, assert_same_products):
    luigid = shared.start_luigid(hosts.address("luigi"))

    shared.start_together(luigid)
    names = {path.name.split("-")[0] for path in shared.out.glob("running/*.json")}

    for host in _WORKERS:
        code, told = shared.wait(host)
        assert code == 0, told
    assert names == set(_WORKERS)
    assert len(shared.makers()) > 1
    assert set(shared.made().values()) == {1}, shared.made()
    assert_same_products(shared.out, whole)
    assert not list(shared.out.rglob(".*"))
    assert not list(shared.out.glob("running/*"))


def test_luigid_of_localhost_is_not_there_for_others(shared, hosts):
    shared.start_luigid("127.0.0.1")

    shared.start("anna")
    code, told = shared.wait("anna")

    assert code == 1
    where = f"{hosts.address('luigi')}:{_PORT}"
    assert f"{where}: no scheduler answers (Connection refused)" in told
    assert "Start luigid there" in told


def test_a_machine_that_dies(shared, hosts, whole, assert_same_products):
    shared.start_together(shared.start_luigid(hosts.address("luigi")))
    lost = shared.stop_amid_work()

    shared.send(lost, signal.SIGKILL)

    for host in set(_WORKERS) - {lost}:
        code, told = shared.wait(host)
        assert code == 0, told
    assert_same_products(shared.out, whole)
    # what it had in hand was begun again, and all else was not
    assert max(shared.made().values()) <= 2
    assert sum(number - 1 for number in shared.made().values()) <= 1


def test_a_machine_that_stands_still(shared, hosts, whole, assert_same_products):
    shared.start_together(shared.start_luigid(hosts.address("luigi")))
    still = shared.stop_amid_work()

    time.sleep(_DELAY + 1)
    for host in set(_WORKERS) - {still}:
        code, told = shared.wait(host)
        assert code == 0, told
    shared.send(still, signal.SIGCONT)

    code, told = shared.wait(still)
    assert code == 0, told
    assert_same_products(shared.out, whole)
    assert not list(shared.out.rglob("*.damaged"))
    assert not list(shared.out.rglob(".*"))


def test_a_machine_of_which_the_cable_is_pulled(
    shared, hosts, whole, assert_same_products
):
    shared.start_together(shared.start_luigid(hosts.address("luigi")))
    alone = shared.stop_amid_work()
    hosts.plug(alone, is_in=False)
    shared.send(alone, signal.SIGCONT)

    for host in set(_WORKERS) - {alone}:
        code, told = shared.wait(host)
        assert code == 0, told
    hosts.plug(alone, is_in=True)

    code, told = shared.wait(alone)
    assert code == 0, told
    assert_same_products(shared.out, whole)
    assert not list(shared.out.rglob("*.damaged"))
