from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen

import pytest
from certificates import Authority
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server
from flaky import Flaky, flaky_server
from moto.server import ThreadedMotoServer
from wsgidav.wsgidav_app import WsgiDAVApp

from bkgpipe.batch.transfer import TransferOptions

_PATIENCE = 30.0

_XROOTD = """\
xrd.port {port}
all.export /bkg
oss.localroot {folder}/data
all.adminpath {folder}/run
all.pidpath {folder}/run
{sums}
xrootd.async off
"""


@pytest.fixture(scope="session")
def quick() -> TransferOptions:
    """Options that do not wait for long."""
    return TransferOptions(tries=4, pause=0.02, silence=2.0)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "in.tar"
    path.write_bytes(os.urandom(300_001))
    return path


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those of the one who runs the tests are not for these servers."""
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "no-proxy"))
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(tmp_path / "no-token"))
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    for name in ("BEARER_TOKEN", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def _moto() -> Iterator[int]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield port
    server.stop()


@pytest.fixture(scope="session")
def _wsgidav(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with _serve(_make_webdav(tmp_path_factory.mktemp("webdav"))) as server:
        yield server.bind_addr[1]


def _make_webdav(folder: Path) -> WsgiDAVApp:
    return WsgiDAVApp(
        {
            "provider_mapping": {"/": str(folder)},
            "simple_dc": {"user_mapping": {"*": True}},
            "verbose": 0,
            "logging": {"enable": False},
        }
    )


@contextmanager
def _serve(app: Callable[..., Any], adapter: Any = None) -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), app)
    server.ssl_adapter = adapter
    server.error_log = lambda *_, **__: None
    server.prepare()
    thread = Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


@pytest.fixture
def flaky_s3(_moto: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flaky]:
    bucket = f"http://127.0.0.1:{_moto}/bkg"
    urlopen(Request(bucket, method="PUT"), timeout=_PATIENCE).close()
    with flaky_server(_moto) as flaky:
        given = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{flaky.server_port}",
            "AWS_ACCESS_KEY_ID": "a-key",
            "AWS_SECRET_ACCESS_KEY": "s3cret",
            "AWS_CONFIG_FILE": "/none",
            "AWS_SHARED_CREDENTIALS_FILE": "/none",
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        flaky.url = f"s3://bkg/{flaky.server_port}/folder"
        yield flaky


@pytest.fixture
def flaky_webdav(_wsgidav: int) -> Iterator[Flaky]:
    with flaky_server(_wsgidav) as flaky:
        port = flaky.server_port
        flaky.url = f"webdav://127.0.0.1:{port}/{port}/folder"
        yield flaky


@pytest.fixture(params=["s3", "webdav"])
def flaky(request: pytest.FixtureRequest) -> Flaky:
    """A server of S3 or WebDAV that fails as it is told to."""
    found: Flaky = request.getfixturevalue(f"flaky_{request.param}")
    return found


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@dataclass
class Guarded:
    """A server of WebDAV by HTTPS that lets in who shows what `accepts` says."""

    url: str
    accepts: str = ""
    shown: list[str] = field(default_factory=list)


@pytest.fixture
def guarded(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Guarded]:
    app = _make_webdav(tmp_path)
    found = Guarded(url="")

    def guard(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        shown = environ.get("HTTP_AUTHORIZATION") or environ.get("SSL_CLIENT_S_DN_CN")
        found.shown.append(shown or "")
        if shown == found.accepts:
            environ.pop("HTTP_AUTHORIZATION", None)
            return app(environ, start_response)
        environ["wsgi.input"].read()
        start_response("403 Forbidden", [("Content-Length", "0")])
        return []

    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    own = str(authority.issue("server"))
    adapter = BuiltinSSLAdapter(own, own)
    adapter.context.verify_mode = ssl.CERT_OPTIONAL
    adapter.context.load_verify_locations(authority.certificate)
    with _serve(guard, adapter) as server:
        found.url = f"webdavs://127.0.0.1:{server.bind_addr[1]}"
        yield found


@pytest.fixture(scope="session")
def serve_xrootd(
    free_port: Callable[[], int],
) -> Iterator[Callable[..., tuple[str, Path]]]:
    """Factory: address and folder of a server of XRootD."""
    if not shutil.which("xrootd"):
        missing = "xrootd is missing: apt-get install xrootd-server"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    with ExitStack() as stack:
        yield partial(_serve_xrootd, stack, free_port)


def _serve_xrootd(
    stack: ExitStack, free_port: Callable[[], int], *, has_sums: bool
) -> tuple[str, Path]:
    # not in a folder of pytest, which is closed to the user that it runs as
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="bkgpipe-xrootd-")))
    (folder / "data" / "bkg").mkdir(parents=True)
    (folder / "run").mkdir()
    port = free_port()
    sums = "xrootd.chksum max 4 adler32" if has_sums else ""
    text = _XROOTD.format(port=port, folder=folder, sums=sums)
    (folder / "xrootd.cfg").write_text(text)
    command = ["xrootd", "-c", f"{folder}/xrootd.cfg", "-l", f"{folder}/run/log"]
    if os.getuid() == 0:  # it refuses to run as root
        command += ["-R", "nobody"]
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, "nobody")
    server = subprocess.Popen([*command, "-n", "a"], cwd=folder)  # noqa: S603
    stack.callback(server.wait)
    stack.callback(server.kill)
    _await_port(port)
    return f"root://127.0.0.1:{port}//bkg", folder / "data" / "bkg"


def _await_port(port: int) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="session")
def xrootd(serve_xrootd: Callable[..., tuple[str, Path]]) -> tuple[str, Path]:
    return serve_xrootd(has_sums=True)


@pytest.fixture(params=["file", "s3", "webdav", "root", "root-no-sums"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of a folder, of each protocol."""
    name = request.param
    if name.startswith("root"):
        serve = request.getfixturevalue("serve_xrootd")
        return f"{serve(has_sums=name == 'root')[0]}/some/folder"
    if name in {"s3", "webdav"}:
        return str(request.getfixturevalue(f"flaky_{name}").url)
    return f"file://{tmp_path}/far/folder"
