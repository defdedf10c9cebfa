"""Tools that run as processes of their own, with an input and an output."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tests.golden.forked import ForkServer

__all__ = ["ToolRun"]

#: Programs whose entries are called otherwise.
_ENTRIES = {"nsq_to_file": "nsqtx.tools.nsq_to_file.tap", "nsq": "nsqtx.allinone.tap"}


class ToolRun:
    """One run. A context manager: leaving it ends the process, whatever happened.

    What it says goes to files in memory, so that it never waits for us.
    """

    def __init__(
        self, forks: ForkServer, tool: str, arguments: Sequence[str], stdin: bytes = b""
    ) -> None:
        self._out, self._err, given = (os.memfd_create(name) for name in ("out", "err", "in"))
        entry = _ENTRIES.get(tool, f"nsqtx.tools.{tool}.command")
        os.write(given, stdin)
        os.lseek(given, 0, os.SEEK_SET)
        self._process = forks.launch(entry, arguments, self._err, given, self._out)
        os.close(given)
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        os.close(self._out)
        os.close(self._err)

    @property
    def out(self) -> bytes:
        """Standard output so far."""
        return _all(self._out)

    @property
    def err(self) -> str:
        """Standard error so far."""
        return _all(self._err).decode()

    def send_signal(self, number: int) -> None:
        """Send a signal and do not wait."""
        self._process.send_signal(number)

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def wait(self, timeout: float = 20.0) -> int:
        """The exit code, once it has ended."""
        return self._process.wait(timeout)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop; the exit code."""
        self.send_signal(number)
        return self.wait()

    def kill(self) -> None:
        """End it as a crash would; fine when it has ended already."""
        if self._process.poll() is None:
            self.send_signal(signal.SIGKILL)
            self.wait()


def _all(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
