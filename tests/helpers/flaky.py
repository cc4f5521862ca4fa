"""A server before a real one of HTTP, that fails as it is told to."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

__all__ = ["Flaky", "flaky_server"]

_OF_CONNECTION = {"connection", "transfer-encoding", "keep-alive", "content-length"}


class Flaky(ThreadingHTTPServer):
    """Hands requests on, but for those of which `faults` has the method and a fault.

    A fault is a number to answer, ``slow`` (an answer after `delay`), ``reset`` (none),
    ``cut`` (half of it), ``short`` (half of it, said to be all), ``changed``, or
    ``spoilt``: what is sent changes on its way.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = port
        self.url = ""  # of a folder, set by who knows what is served
        self.delay = 1.0
        self.faults: deque[tuple[str, str]] = deque()
        self.requests: list[tuple[str, str]] = []
        self.headers: list[str] = []

    def fault_of(self, method: str) -> str:
        """Take the next fault, if it is one of this method."""
        if self.faults and self.faults[0][0] == method:
            return self.faults.popleft()[1]
        return ""

    def handle_error(self, *_: Any) -> None:
        """Let clients go away as they like."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Flaky

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._handle
        raise AttributeError(name)

    def _handle(self) -> None:
        body = self._read_body()
        self.server.requests.append((self.command, self.path))
        self.server.headers.append(str(self.headers))
        fault = self.server.fault_of(self.command)
        if fault.isdigit():
            self._answer(int(fault), {}, b"")
            return
        if fault == "reset":
            self.close_connection = True
            self.connection.close()
            return
        if fault == "slow":
            time.sleep(self.server.delay)
        if fault == "spoilt":
            body = _change(body)
        self._hand_on(body, fault)

    def _read_body(self) -> bytes:
        if self.headers.get("Expect"):
            self.send_response_only(100)
            self.end_headers()
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _hand_on(self, body: bytes, fault: str) -> None:
        address = ("127.0.0.1", self.server.upstream)
        with closing(HTTPConnection(*address, timeout=30)) as upstream:
            upstream.request(self.command, self.path, body, dict(self.headers))
            found = upstream.getresponse()
            content = found.read()
        if fault == "changed":
            content = _change(content)
        if fault == "short":
            content = content[: len(content) // 2]
        self._answer(found.status, _headers(found), content, is_cut=fault == "cut")

    def _answer(
        self, status: int, headers: dict[str, str], body: bytes, *, is_cut: bool = False
    ) -> None:
        self.send_response_only(status)
        for name, text in headers.items():
            self.send_header(name, text)
        is_head = self.command == "HEAD"
        length = headers.get("X-Length") if is_head else str(len(body))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if not is_head:
            self.wfile.write(body[: len(body) // 2] if is_cut else body)
        if is_cut:
            self.close_connection = True


def _change(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


def _headers(found: HTTPResponse) -> dict[str, str]:
    headers = {k: v for k, v in found.getheaders() if k.lower() not in _OF_CONNECTION}
    return headers | {"X-Length": found.getheader("Content-Length") or "0"}


@contextmanager
def flaky_server(port: int) -> Iterator[Flaky]:
    """Serve what a server of this machine has, until the block ends.

    Parameters
    ----------
    port : int
        Port of that server.

    Yields
    ------
    Flaky
        The server.
    """
    server = Flaky(port)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
