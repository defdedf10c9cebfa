"""One load process: a writer or a reader on raw sockets that costs little per message.

``python -m bench.load '<JSON>'`` does what the JSON says (`Publish` or `Consume`) and prints the
seconds it took as JSON. Answers are counted by their bytes, ids found by one compiled expression.
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
import time
from collections import deque
from typing import Any, NamedTuple

from bench.traffic import OK, bodies, mpub, pub

__all__ = ["Consume", "Publish"]

RECEIVE = 1 << 20
TIMEOUT = 120.0
CLOSE_WAIT = b"CLOSE_WAIT"
# The head of a message frame: type 2, timestamp, attempts, id.
MESSAGE_ID = re.compile(rb"\0\0\0\x02.{10}([0-9a-f]{16})", re.DOTALL)


class Publish(NamedTuple):
    """Publish ``commands`` commands of ``batch`` messages each.

    ``batch`` 0 means PUB, else MPUB. ``size`` 0 means mixed sizes. ``window`` commands may await
    their OK on each connection; 1 is publish, wait, publish.
    """

    port: int
    topic: str
    commands: int
    batch: int
    size: int
    window: int
    connections: int = 1


class Consume(NamedTuple):
    """Consume and finish ``messages`` messages on each channel, one connection a channel."""

    port: int
    topic: str
    channels: list[str]
    messages: int
    ready: int


def publish_rounds(job: Publish) -> list[list[bytes]]:
    """The commands that are sent round and round, in blocks that are sent as one piece."""
    if job.batch:
        seeds = range(16 if job.size == 0 else 1)
        commands = [mpub(job.topic, bodies(job.batch, job.size, seed)) for seed in seeds]
    else:
        commands = [pub(job.topic, body) for body in bodies(256 if job.size == 0 else 1, job.size)]
    per_block = max(1, min(job.window // 4, job.commands))
    while job.commands % per_block:
        per_block -= 1
    while len(commands) < per_block:
        commands += commands
    return [
        commands[start : start + per_block]
        for start in range(0, len(commands) - per_block + 1, per_block)
    ]


def connect(port: int) -> socket.socket:
    """A connection that has sent the magic."""
    sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(b"  V2")
    return sock


def count_oks(data: bytes, phase: int) -> int:
    """The phase within an OK frame after these bytes, which must be nothing but OKs."""
    frames = OK * (len(data) // len(OK) + 2)
    if data != frames[phase : phase + len(data)]:
        raise SystemExit(f"not an OK: {data[:200]!r}")
    return (phase + len(data)) % len(OK)


def publish_pipelined(job: Publish) -> float:
    """Send blocks of commands, with at most ``window`` of them unanswered."""
    rounds = publish_rounds(job)
    per_block = len(rounds[0])
    blocks = [b"".join(commands) for commands in rounds]
    sock = connect(job.port)
    sent = answered_bytes = phase = turn = 0
    wanted = job.commands * len(OK)
    started = time.perf_counter()
    while answered_bytes < wanted:
        while sent < job.commands and sent + per_block - answered_bytes // len(OK) <= job.window:
            sock.sendall(blocks[turn % len(blocks)])
            turn += 1
            sent += per_block
        data = sock.recv(RECEIVE)
        if not data:
            raise SystemExit("the server closed the connection")
        phase = count_oks(data, phase)
        answered_bytes += len(data)
    elapsed = time.perf_counter() - started
    sock.close()
    return elapsed


def publish_awaiting(job: Publish) -> float:
    """Publish, wait for the OK, publish; on several connections at once."""
    commands = [command for block in publish_rounds(job) for command in block]
    socks = [connect(job.port) for _ in range(job.connections)]
    by_descriptor = {sock.fileno(): sock for sock in socks}
    poll = select.epoll()
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    turn = answered = 0
    started = time.perf_counter()
    for sock in socks:
        sock.sendall(commands[turn % len(commands)])
        turn += 1
    while answered < job.commands:
        for descriptor, _ in poll.poll(TIMEOUT):
            sock = by_descriptor[descriptor]
            if sock.recv(64) != OK:
                raise SystemExit("not an OK")
            answered += 1
            if turn < job.commands:
                sock.sendall(commands[turn % len(commands)])
                turn += 1
    elapsed = time.perf_counter() - started
    for sock in socks:
        sock.close()
    return elapsed


class Reader:
    """One consuming connection: FIN for every id it sees."""

    def __init__(self, job: Consume, channel: str) -> None:
        self.sock = connect(job.port)
        self.sock.sendall(f"SUB {job.topic} {channel}\n".encode())
        if self.sock.recv(64) != OK:
            raise SystemExit("SUB failed")
        self.left = job.messages
        self._tail = b""
        self._unsent: deque[bytes] = deque()

    def start(self, ready: int) -> None:
        """RDY."""
        self.sock.sendall(b"RDY %d\n" % ready)

    def read(self) -> bool:
        """Take what has come, finish it; true when all messages are finished."""
        data = self.sock.recv(RECEIVE)
        if not data:
            raise SystemExit("the server closed the connection")
        buffer = self._tail + data
        end = 0
        ids = MESSAGE_ID.findall(buffer)
        if ids:
            end = buffer.rindex(ids[-1]) + 16
            self.sock.sendall(b"FIN " + b"\nFIN ".join(ids) + b"\n")
            self.left -= len(ids)
        self._tail = buffer[end:]
        return self.left <= 0

    def close(self) -> None:
        """CLS, whose answer says that every FIN before it was seen."""
        self.sock.sendall(b"CLS\n")
        data = self._tail
        while CLOSE_WAIT not in data:
            more = self.sock.recv(RECEIVE)
            if not more:
                raise SystemExit("no answer to CLS")
            data = data[-32:] + more
        self.sock.close()


def consume(job: Consume) -> float:
    """Consume on all channels at once."""
    readers = {}
    poll = select.epoll()
    for channel in job.channels:
        reader = Reader(job, channel)
        readers[reader.sock.fileno()] = reader
        poll.register(reader.sock, select.EPOLLIN)
    started = time.perf_counter()
    for reader in readers.values():
        reader.start(job.ready)
    while readers:
        events = poll.poll(TIMEOUT)
        if not events:
            raise SystemExit(f"nothing for {TIMEOUT:g} s")
        for descriptor, _ in events:
            reader = readers[descriptor]
            if reader.read():
                poll.unregister(descriptor)
                reader.close()
                del readers[descriptor]
    return time.perf_counter() - started


def main(text: str) -> None:
    """Do the job and print how long it took."""
    job: dict[str, Any] = json.loads(text)
    if "channels" in job:
        elapsed = consume(Consume(**job))
    elif job["window"] == 1:
        elapsed = publish_awaiting(Publish(**job))
    else:
        elapsed = publish_pipelined(Publish(**job))
    print(json.dumps({"seconds": elapsed}))


if __name__ == "__main__":
    main(sys.argv[1])
