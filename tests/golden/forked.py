"""The client of `tests.golden.forkserver`: a way to launch daemons for `Daemon`."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.daemon import DaemonError

__all__ = ["ForkServer", "ForkedProcess"]


class ForkedProcess:
    """A daemon that the fork server made. It has what `tests.support.daemon` needs."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""
        self._code: int | None = None
        if not self._read_line(30.0):
            raise DaemonError("the fork server did not start a process")
        self.pid = int(self._take_line())

    def _read_line(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while b"\n" not in self._received:
            left = max(deadline - time.monotonic(), 0)
            if not select.select([self._connection], [], [], left)[0]:
                return False
            data = self._connection.recv(4096)
            if not data:
                raise DaemonError("the fork server is gone")
            self._received += data
        return True

    def _take_line(self) -> bytes:
        line, _, self._received = self._received.partition(b"\n")
        return line

    def disconnect(self) -> None:
        """Leave the server, which then kills the process."""
        self._connection.close()

    def poll(self) -> int | None:
        """The exit code; None while the process runs."""
        if self._code is None and self._read_line(0):
            self._code = int(self._take_line())
            self._connection.close()
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code."""
        if self._code is None and not self._read_line(1e6 if timeout is None else timeout):
            raise subprocess.TimeoutExpired("forked daemon", timeout or 0.0)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, sig: int) -> None:
        """Send a signal unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)


class ForkServer:
    """A running fork server. A context manager; leaving it ends the server and its children."""

    def __init__(self, path: Path) -> None:
        self._path = path / "forkserver"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.golden.forkserver", str(self._path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).resolve().parents[2],
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            self.close()
            raise DaemonError("the fork server did not start")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the server. Its children notice and are killed by it or by their own clients."""
        self._process.terminate()
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def launch(
        self, module: str, arguments: Sequence[str], stderr: int, *others: int
    ) -> ForkedProcess:
        """Start ``module``'s main(), as `tests.support.daemon.Launch` says.

        ``others`` are descriptors for standard input and output, which lead nowhere else.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(self._path))
            request = json.dumps({"module": module, "arguments": list(arguments)}).encode()
            socket.send_fds(connection, [request], [stderr, *others])
            return ForkedProcess(connection)
        except BaseException:
            connection.close()
            raise
