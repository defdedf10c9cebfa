"""The server under test: ours, or any other nsqd by its command."""

from __future__ import annotations

import contextlib
import http.client
import json
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from bench.measure import ROOT
from tests.support.daemon import Daemon

__all__ = ["Server", "Start", "call", "start"]

START_SECONDS = 120.0


class Server(Protocol):
    """What cases ask of it."""

    pid: int
    tcp_port: int
    http_port: int
    #: From the start of the process until it listens.
    start_seconds: float

    def stop(self, *, timeout: float = 10.0) -> int:
        """Ask it to end; its exit code."""

    def kill(self) -> int:
        """End it now."""


class Foreign:
    """Another nsqd, on ports that were free a moment ago."""

    def __init__(self, command: str, path: Path, flags: Sequence[str]) -> None:
        self.tcp_port, self.http_port = _free_ports(2)
        begun = time.monotonic()
        self._process = subprocess.Popen(
            [
                *shlex.split(command),
                f"--tcp-address=127.0.0.1:{self.tcp_port}",
                f"--http-address=127.0.0.1:{self.http_port}",
                f"--data-path={path}",
                *flags,
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.pid = self._process.pid
        for port in (self.tcp_port, self.http_port):
            self._wait_for(port, begun + START_SECONDS)
        self.start_seconds = time.monotonic() - begun

    def _wait_for(self, port: int, until: float) -> None:
        while self._process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return
            time.sleep(0.002)
        self.kill()
        raise SystemExit(f"the server does not listen: {self._process.args!r}")

    def stop(self, *, timeout: float = 10.0) -> int:
        """SIGTERM."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout)

    def kill(self) -> int:
        """SIGKILL."""
        self._process.kill()
        return self._process.wait()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in socks]


class Start(Protocol):
    """Starts the server of a run on a data path."""

    def __call__(self, path: Path) -> contextlib.AbstractContextManager[Server]:
        """The server, which is gone when the context is left."""


@contextlib.contextmanager
def start(
    command: str, path: Path, flags: Sequence[str], ours: Sequence[str], theirs: Sequence[str]
) -> Iterator[Server]:
    """A server of ours, or that of ``command``, with ``flags`` and those for the one or other."""
    server: Server
    if command:
        path.mkdir(exist_ok=True)
        server = Foreign(command, path, [*flags, *theirs])
    else:
        # Ports are read from log lines, so the log has to say them.
        ours = ["--log-level=info", *flags, *ours]
        server = Daemon(path, *ours, start_timeout=START_SECONDS)
    try:
        yield server
    finally:
        server.kill()


def call(server: Server, requests: Sequence[tuple[str, str, bytes]]) -> list[Any]:
    """Make requests over HTTP; what each is answered, as JSON if it is that.

    :raises SystemExit: one is refused.
    """
    answers: list[Any] = []
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port)
    for method, target, body in requests:
        connection.request(method, target, body)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{target}: {answer.status} {text!r}")
        answers.append(json.loads(text) if text[:1] in (b"{", b"[") else text)
    connection.close()
    return answers
