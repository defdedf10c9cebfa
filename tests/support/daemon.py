"""Real daemons for tests: start one, learn its ports, stop it, and never leave it behind.

A `Daemon` runs a program of ours in a process of its own, with port 0 for every listener, and
reads the ports from the log lines ``TCP: listening on ...`` that NSQ's users parse as well. Its
log is drained by a thread into a bounded buffer and shown when something fails.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

__all__ = [
    "Daemon",
    "DaemonError",
    "Launch",
    "RunningProcess",
    "daemon_arguments",
    "run_in_process",
]

LISTENING = re.compile(r'(TCP|HTTP|HTTPS): listening on ([^\s"]+)')

# A log line that should worry somebody, and what Python writes by itself.
COMPLAINT = re.compile(r" (ERROR|FATAL): |^Traceback |^Exception ignored")

# How much of a daemon's log is kept: enough for a traceback and its surroundings.
LOG_LINES = 2000


class DaemonError(Exception):
    """A daemon did not start or did not stop as it should; the text ends with its log."""


class RunningProcess(Protocol):
    """What `Daemon` needs of a process. `subprocess.Popen` has it."""

    pid: int

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code; `subprocess.TimeoutExpired` after ``timeout`` seconds."""

    def send_signal(self, sig: int) -> None:
        """Send a signal; nothing happens when the process is gone."""


# Starts ``module``'s main() with these arguments and gives it the descriptor as standard error.
Launch = Callable[[str, Sequence[str], int], RunningProcess]


def run_in_process(
    module: str,
    arguments: Sequence[str],
    stderr: int,
    before: Sequence[str] = (),
    pass_fds: Sequence[int] = (),
    own_session: bool = True,
) -> RunningProcess:
    """Start the console entry of ``module`` in a fresh interpreter, as a user would.

    ``before`` is put before the command: a program that runs it, in its own process. It gets the
    descriptors ``pass_fds`` as well. Without ``own_session``, signals to our group are for it, too.
    """
    code = f"import sys; from {module} import main; sys.exit(main())"
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen(
        [*before, sys.executable, "-c", code, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        cwd=root,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=own_session,
        pass_fds=pass_fds,
    )


def daemon_arguments(program: str, flags: Sequence[str], data_path: Path | None) -> list[str]:
    """The flags, with free ports and the data path added where they do not say otherwise."""
    given = {flag.lstrip("-").split("=", 1)[0] for flag in flags}
    added = []
    if "tcp-address" not in given and program != "nsqadmin":
        added.append("--tcp-address=127.0.0.1:0")
    if "http-address" not in given:
        added.append("--http-address=127.0.0.1:0")
    if "tls-cert" in given and "https-address" not in given:
        added.append("--https-address=127.0.0.1:0")
    if program == "nsqd" and "data-path" not in given and data_path is not None:
        added.append(f"--data-path={data_path}")
    return [*added, *flags]


class Daemon:
    """One running daemon. A context manager: leaving it ends the process, whatever happened.

    :param data_path: where nsqd keeps its files; made if missing. None for other programs.
    :param flags: command line flags beside those that `daemon_arguments` adds.
    :param program: ``nsqd``; the program's entry is ``nsqtx.<program>.tap:main``.
    :param launch: how the process is made.
    :param start_timeout: seconds to wait for all listeners.
    """

    def __init__(
        self,
        data_path: Path | None,
        *flags: str,
        program: str = "nsqd",
        launch: Launch = run_in_process,
        start_timeout: float = 30.0,
    ) -> None:
        self.program = program
        self.data_path = data_path
        self.flags = flags
        self.tcp_port = 0
        self.http_port = 0
        self.https_port = 0
        self.start_seconds = 0.0
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        #: The first errors it logged, each on one line.
        self.complaints: list[str] = []
        self._changed = threading.Condition()
        self._log_ended = False
        self._listening: dict[str, str] = {}
        if data_path is not None:
            data_path.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        arguments = daemon_arguments(program, flags, data_path)
        reading, writing = os.pipe()
        try:
            self._process = launch(f"nsqtx.{program}.tap", arguments, writing)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self.pid = self._process.pid
        self._drain = threading.Thread(
            target=self._read_log, args=(os.fdopen(reading, "rb"),), daemon=True
        )
        self._drain.start()
        try:
            self._wait_for_listeners(arguments, start_timeout)
        except BaseException:
            self.kill()
            raise
        self.start_seconds = time.monotonic() - started

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    # -- the log -------------------------------------------------------------------------------

    def _read_log(self, stream: IO[bytes]) -> None:
        with stream:
            for raw in stream:
                line = raw.decode("utf-8", "replace").rstrip("\n")
                with self._changed:
                    self._log.append(line)
                    if COMPLAINT.search(line) and len(self.complaints) < LOG_LINES:
                        self.complaints.append(line)
                    found = LISTENING.search(line)
                    if found:
                        self._listening[found[1]] = found[2]
                    self._changed.notify_all()
        with self._changed:
            self._log_ended = True
            self._changed.notify_all()

    @property
    def log(self) -> str:
        """The last lines of standard error."""
        with self._changed:
            return "\n".join(self._log)

    def wait_for_log(self, pattern: str, timeout: float = 10.0) -> str:
        """Wait until a log line matches the regular expression and return that line."""
        compiled = re.compile(pattern)

        def found() -> str | None:
            return next((line for line in self._log if compiled.search(line)), None)

        with self._changed:
            self._changed.wait_for(lambda: found() is not None or self._log_ended, timeout)
            line = found()
        if line is None:
            raise DaemonError(f"no log line matches {pattern!r}\n{self.log}")
        return line

    # -- start ---------------------------------------------------------------------------------

    def _wait_for_listeners(self, arguments: Sequence[str], timeout: float) -> None:
        values = dict(a.lstrip("-").split("=", 1) for a in arguments if "=" in a)
        wanted = {"TCP"} if self.program != "nsqadmin" else set()
        if values.get("http-address", "-"):
            wanted.add("HTTP")
        if "tls-cert" in values and values.get("https-address", "-"):
            wanted.add("HTTPS")
        with self._changed:
            self._changed.wait_for(
                lambda: wanted <= self._listening.keys() or self._log_ended, timeout
            )
            missing = wanted - self._listening.keys()
            if not missing:
                self.tcp_port = self._port("TCP")
                self.http_port = self._port("HTTP")
                self.https_port = self._port("HTTPS")
                return
        if self._log_ended:
            # Its standard error is closed, so its end is near: the exit code belongs to the story.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5.0)
        code = self._process.poll()
        state = "still runs" if code is None else f"exited with {code}"
        raise DaemonError(
            f"{self.program} does not listen for {sorted(missing)} ({state})\n{self.log}"
        )

    def _port(self, kind: str) -> int:
        port = self._listening.get(kind, "").rpartition(":")[2]
        return int(port) if port.isdigit() else 0

    @property
    def tcp(self) -> tuple[str, int]:
        """Host and port of the NSQ protocol."""
        return ("127.0.0.1", self.tcp_port)

    @property
    def http(self) -> tuple[str, int]:
        """Host and port of the HTTP API."""
        return ("127.0.0.1", self.http_port)

    # -- the end -------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """True until the process has ended."""
        return self._process.poll() is None

    def send_signal(self, number: int) -> None:
        """Send a signal and do not wait."""
        self._process.send_signal(number)

    def wait(self, timeout: float = 10.0) -> int:
        """Wait for the end: the exit code, negative when a signal ended it."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise DaemonError(
                f"{self.program} still runs after {timeout:g} s\n{self.log}"
            ) from None
        self._drain.join(timeout)
        return code

    def stop(self, number: int = signal.SIGTERM, timeout: float = 10.0) -> int:
        """Ask the daemon to stop; the exit code."""
        self.send_signal(number)
        return self.wait(timeout)

    def kill(self) -> int:
        """End the process at once, as a crash would; fine when it has ended already."""
        if self.running:
            self._process.send_signal(signal.SIGKILL)
        return self.wait()
