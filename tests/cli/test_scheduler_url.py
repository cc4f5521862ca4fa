"""A luigid behind nginx, with TLS and a password, made by the script of the docs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import pytest

from bkgpipe.errors import AccessError, OutputError, SettingsError
from bkgpipe.flow.engine.access import Access, find_access, try_scheduler
from bkgpipe.settings import read_settings

_SCRIPT = Path(__file__).parents[2] / "docs" / "grid" / "luigid-nginx.sh"
_PASSWORD = "s3cret-word"  # noqa: S105
_PATIENCE = 180.0
_STATE = "[scheduler]\nstate_path = {folder}/state\nretry_delay = 1\n"


@dataclass
class Door:
    """A luigid that is reached by nginx alone."""

    folder: Path
    port: int
    luigid: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start_luigid(self, wait_until: Callable[..., None]) -> None:
        socket = self.folder / "luigid.socket"
        socket.unlink(missing_ok=True)
        config = self.folder / "luigid.cfg"
        config.write_text(_STATE.format(folder=self.folder))
        self.luigid = subprocess.Popen(  # noqa: S603
            [
                *(sys.executable, "-c", "from luigi.cmdline import luigid; luigid()"),
                *("--unix-socket", str(socket), "--logdir", str(self.folder)),
            ],
            env=os.environ | {"LUIGI_CONFIG_PATH": str(config)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(socket.exists)

    def kill_luigid(self) -> None:
        self.luigid.kill()
        self.luigid.wait()


def _find_nginx() -> str:
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if found:
        return found
    missing = "nginx is missing: apt-get install nginx-light"
    return pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)


@pytest.fixture(scope="module")
def door(free_port, wait_until) -> Iterator[Door]:
    nginx = _find_nginx()
    with ExitStack() as stack:
        # the name of a socket must be short
        name = stack.enter_context(TemporaryDirectory(prefix="bkgpipe-door-"))
        found = Door(folder=Path(name), port=free_port())
        words = [name, "127.0.0.1", str(found.port), "bkg"]
        subprocess.run(  # noqa: S603
            [str(_SCRIPT), *words],
            input=f"{_PASSWORD}\n".encode(),
            env=os.environ | {"USER": "me"},
            capture_output=True,
            check=True,
        )
        found.start_luigid(wait_until)
        stack.callback(found.kill_luigid)
        more = "daemon off;" + " user root;" * (os.getuid() == 0)
        server = subprocess.Popen(  # noqa: S603
            [nginx, "-p", name, "-c", "nginx.conf", "-g", more]
        )
        stack.callback(server.wait)
        stack.callback(server.terminate)
        wait_until(lambda: _answers(found))
        yield found


def _answers(door: Door) -> bool:
    access = Access(url=door.url)
    try:
        try_scheduler(access)
    except OutputError as error:
        return "certificate" in str(error)
    return True


@pytest.fixture
def login(tmp_path: Path) -> Path:
    path = tmp_path / "login"
    path.touch(mode=0o600)
    path.write_text(f"bkg:{_PASSWORD}\n")
    return path


@pytest.fixture
def with_door(shared: Path, door: Door, login: Path) -> Path:
    """A production whose settings name the scheduler."""
    config = shared / "luigi.cfg"
    keys = (
        f"[run]\nscheduler_url = {door.url}\nscheduler_login = {login}\n"
        f"scheduler_ca = {door.folder}/ca.pem\n"
    )
    config.write_text(config.read_text().replace("[run]\n", keys))
    return shared


def _access(config: Path, *overrides: str) -> Access:
    return find_access(read_settings(config, overrides).run)


def _all_words(folder: Path) -> str:
    """Put together everything that a production has written as text."""
    paths = [path for path in (folder / "out").rglob("*") if path.is_file()]
    assert any(path.suffix == ".log" for path in paths)
    return "".join(path.read_text(errors="replace") for path in paths)


def _commands() -> str:
    """Put together the command lines of all processes, as ps shows them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return b" ".join(found).decode(errors="replace")


def test_workers_share_a_production(with_door, fork):
    processes = [fork(with_door, "-v", "run", "export") for _ in range(2)]

    seen = ""
    while any(process.poll() is None for process in processes):
        seen += _commands()
        time.sleep(0.2)

    told = [process.communicate(timeout=_PATIENCE) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    assert len(list(with_door.glob("out/count-*/count_*.h5"))) == 8
    for words in (seen, str(told), _all_words(with_door)):
        assert _PASSWORD not in words
    assert "scheduler_url =\n" in _all_words(with_door)


def test_luigid_that_is_started_anew(with_door, door, fork, wait_until):
    process = fork(with_door, "-v", "run", "export")
    wait_until(lambda: len(list(with_door.glob("out/mask-*/mask_*.h5"))) >= 2)

    door.kill_luigid()
    time.sleep(1)
    door.start_luigid(wait_until)

    told = process.communicate(timeout=_PATIENCE)
    assert process.returncode == 0, told
    assert f"Failed connecting to remote scheduler '{door.url}'" in told[1]
    assert _PASSWORD not in str(told) + _all_words(with_door)


def test_a_wrong_password_is_told_once(bkgpipe, with_door, login, door):
    login.write_text("bkg:wr0ng\n")

    result = bkgpipe("run", "select", "--config", str(with_door / "luigi.cfg"))

    assert result.exit_code == 1
    assert result.stderr.count("refuses user and password (401 Unauthorized)") == 1
    assert f"Error: {door.url}: the scheduler refuses" in result.stderr
    assert "Correct the file of [run] scheduler_login" in result.stderr
    assert "wr0ng" not in result.output
    assert "Traceback" not in result.output


def test_a_password_that_is_changed_meanwhile(with_door, door, fork, wait_until):
    users = door.folder / "users"
    right = users.read_text()
    process = fork(with_door, "run", "export")
    wait_until(lambda: len(list(with_door.glob("out/mask-*/mask_*.h5"))) >= 2)

    try:
        users.write_text("bkg:{PLAIN}other\n")
        started = time.monotonic()
        _, told = process.communicate(timeout=_PATIENCE)
    finally:
        users.write_text(right)

    assert process.returncode == 1
    assert (
        time.monotonic() - started < 60
    )  # luigid is asked for 100 s when it is silent
    assert "refuses user and password (401 Unauthorized)" in told
    assert "Traceback" not in told


def test_no_password_is_given(door, shared):
    access = _access(
        shared / "luigi.cfg",
        f"run.scheduler_url={door.url}",
        f"run.scheduler_ca={door.folder}/ca.pem",
    )

    with pytest.raises(AccessError, match=r"asks for a password .401") as caught:
        try_scheduler(access)
    assert "BKGPIPE_SCHEDULER_LOGIN" in caught.value.fix


def test_the_variable_goes_before_the_file(with_door, login, monkeypatch):
    login.write_text("bkg:wr0ng\n")
    monkeypatch.setenv("BKGPIPE_SCHEDULER_LOGIN", f"bkg:{_PASSWORD}")

    access = _access(with_door / "luigi.cfg")

    try_scheduler(access)
    assert _PASSWORD not in repr(access)


def test_an_authority_that_is_not_trusted(with_door):
    access = _access(with_door / "luigi.cfg", "run.scheduler_ca=")

    with pytest.raises(OutputError, match=r"is not trusted: ") as caught:
        try_scheduler(access)
    assert "scheduler_ca" in caught.value.fix


def test_no_luigid_behind_the_door(with_door, door):
    access = _access(with_door / "luigi.cfg", f"run.scheduler_url={door.url}/elsewhere")
    with pytest.raises(OutputError, match=r"no scheduler answers .404 Not Found"):
        try_scheduler(access)


def test_what_answers_is_no_luigid():
    with HTTPServer(("127.0.0.1", 0), _Greeter) as server:
        Thread(target=server.handle_request).start()
        access = Access(url=f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(OutputError, match="what answers is no luigid"):
            try_scheduler(access)


class _Greeter(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"Good morning")

    def log_message(self, *_):
        """Print nothing."""


@pytest.mark.parametrize("text", ["", "bkg", ":word", "bkg:", "bkg\nword"])
def test_a_file_without_user_and_password(with_door, login, text):
    login.write_text(text)

    if not text:  # as if none was given
        assert _access(with_door / "luigi.cfg").login == ""
        return
    with pytest.raises(SettingsError, match="one line with user:password") as caught:
        _access(with_door / "luigi.cfg")
    assert "word" not in str(caught.value).replace("password", "")


def test_a_file_that_others_may_read(with_door, login):
    login.chmod(0o640)

    with pytest.raises(SettingsError, match="may be read by others") as caught:
        _access(with_door / "luigi.cfg")
    assert caught.value.fix == f"chmod 600 {login}"


def test_files_that_are_not_there(with_door, tmp_path):
    config = with_door / "luigi.cfg"
    with pytest.raises(SettingsError, match=r"cannot be read .No such file"):
        _access(config, f"run.scheduler_login={tmp_path}/none")
    with pytest.raises(SettingsError, match="is no file of certificates"):
        _access(config, f"run.scheduler_ca={tmp_path}/none")
    with pytest.raises(SettingsError, match="is no file of certificates"):
        _access(config, f"run.scheduler_ca={config}")


def test_no_password_goes_over_a_network_unencrypted(with_door):
    config = with_door / "luigi.cfg"
    with pytest.raises(SettingsError, match="unencrypted") as caught:
        _access(config, "run.scheduler_url=http://luigi.example.org")
    assert "https://" in caught.value.fix
    # but through a tunnel
    assert _access(config, "run.scheduler_url=http://127.0.0.1:1").login


def test_a_scheduler_and_a_site(bkgpipe, with_door):
    with (with_door / "luigi.cfg").open("a", encoding="utf-8") as file:
        file.write("[site:north]\n")

    config = str(with_door / "luigi.cfg")
    result = bkgpipe("run", "--site", "north", "--config", config)

    assert result.exit_code == 2
    assert "cannot both share out the work" in result.stderr
