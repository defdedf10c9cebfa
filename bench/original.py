"""What the original's benchmark programs have in common (apps section 9).

`bench.bench_writer`, `bench.bench_reader` and `bench.bench_channels` have its flags and print its
lines, so that its figures and ours can be compared, and scripts that read them go on working. The
clients are plain sockets in as many processes as there are CPUs: what is measured is the server.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from multiprocessing import get_context
from typing import Any

from nsqtx.durations import SECOND, format_duration
from nsqtx.options import flags_or_exit, read_options
from nsqtx.version import __version__

__all__ = [
    "Aborted",
    "Connection",
    "identify",
    "read_arguments",
    "result_line",
    "run_program",
    "run_workers",
    "say",
    "wait_for_deadline",
]

DIAL_TIMEOUT = 1.0
READ_TIMEOUT = 60.0
RECEIVE = 1 << 20
HEARTBEAT = b"_heartbeat_"


class Aborted(Exception):
    """The server said or did something that makes the figures worthless."""


def read_arguments(cls: type[Any], program: str, arguments: Sequence[str] | None) -> Any:
    """The options of a command line; None: that of this process.

    :raises SystemExit: there is nothing to run.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    flags, _ = flags_or_exit(cls, program, arguments)
    return read_options(cls, flags, {})


def say(program: str, text: str) -> None:
    """Write a line with the prefix that scripts look for."""
    sys.stderr.write(f"[{program}] {time.strftime('%Y/%m/%d %H:%M:%S')} {text}\n")
    sys.stderr.flush()


def wait_for_deadline(program: str, text: str) -> None:
    """Sleep until that time, which is UTC. An empty text, or a time that is over: do not.

    :raises SystemExit: it is no time.
    """
    if not text:
        return
    try:
        until = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError as error:
        say(program, str(error))
        raise SystemExit(1) from None
    left = (until - datetime.now(UTC)).total_seconds()
    say(program, f"sleeping until {until:%Y-%m-%d %H:%M:%S} +0000 UTC ({_duration(left)})")
    time.sleep(max(left, 0.0))


def _duration(seconds: float) -> str:
    return format_duration(round(seconds * SECOND))


def result_line(seconds: float, messages: int, size: int) -> str:
    """The line with the figures; what it divides by is 2^20, whatever it says."""
    per_message = f"{int(seconds * 1e6) / messages:.3f}" if messages else "+Inf"
    return (
        f"duration: {_duration(seconds)} - {messages * size / seconds / 1048576:.3f}mb/s"
        f" - {messages / seconds:.3f}ops/s - {per_message}us/op"
    )


def identify(client: str, program: str) -> bytes:
    """IDENTIFY without feature negotiation, to be answered by a plain OK."""
    body = json.dumps(
        {"client_id": client, "hostname": client, "user_agent": f"{program}/{__version__}"}
    ).encode()
    return b"IDENTIFY\n" + struct.pack(">I", len(body)) + body


class Connection:
    """A connection that has sent the magic.

    :raises OSError: there is none within a second.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host.strip("[]"), int(port)), DIAL_TIMEOUT)
        self.socket.settimeout(READ_TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(b"  V2")
        self._buffer = b""

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.socket.sendall(data)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """The frames of the next read, type and content. Heartbeats are answered, and not among
        them.

        :raises Aborted: one is an error, or the connection has ended.
        """
        data = self.socket.recv(RECEIVE)
        if not data:
            raise Aborted("the connection was closed")
        buffer = self._buffer + data
        position, end = 0, len(buffer)
        while end - position >= 8:
            size, kind = struct.unpack_from(">II", buffer, position)
            if end - position < 4 + size:
                break
            content = buffer[position + 8 : position + 4 + size]
            position += 4 + size
            if kind == 1:
                raise Aborted(content.decode("utf-8", "replace"))
            if kind == 0 and content == HEARTBEAT:
                self.send(b"NOP\n")
            else:
                yield kind, content
        self._buffer = buffer[position:]

    def expect_ok(self) -> None:
        """Read until an OK has come.

        :raises Aborted: something else came.
        """
        waiting = True
        while waiting:
            for _, content in self.frames():
                if content != b"OK":
                    raise Aborted(f"not OK: {content[:100]!r}")
                waiting = False


#: Connects; what it returns is called at the start, runs for so many seconds and says how many
#: messages that were.
Work = Callable[[], Callable[[float], int]]


def run_workers(work: Work, seconds: float, before: Callable[[], None]) -> tuple[float, int]:
    """Run one worker for each CPU; how long that took, and how many messages it was.

    ``before`` is called when all are connected.

    :raises Aborted: one of them could not go on.
    """
    context = get_context("fork")
    ready, start, results = context.Semaphore(0), context.Event(), context.SimpleQueue()

    def worker() -> None:
        try:
            run = work()
            ready.release()
            start.wait()
            results.put(run(seconds))
        except (OSError, ValueError, Aborted) as error:
            results.put(str(error) or type(error).__name__)
            ready.release()

    processes = [
        context.Process(target=worker, daemon=True) for _ in range(len(os.sched_getaffinity(0)))
    ]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    before()
    started = time.perf_counter()
    start.set()
    messages = 0
    for _ in processes:
        result = results.get()
        if isinstance(result, str):
            raise Aborted(result)
        messages += result
    took = time.perf_counter() - started
    for process in processes:
        process.join()
    return took, messages


def run_program(program: str, work: Work, runfor: int, deadline: str, size: int) -> int:
    """Run and print the line; the exit code. ``runfor`` is in ns."""

    def before() -> None:
        wait_for_deadline(program, deadline)

    try:
        seconds, messages = run_workers(work, runfor / SECOND, before)
    except Aborted as error:
        say(program, f"ERROR: {error}")
        return 2
    say(program, result_line(seconds, messages, size))
    return 0
