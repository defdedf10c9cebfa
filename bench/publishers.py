"""Load processes that publish. Answers are counted by their bytes."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence

from bench.dial import TIMEOUT, Wire, dial
from bench.jobs import HttpPublish, Publish
from bench.traffic import OK, http_request, publish_rounds

__all__ = ["publish", "publish_http"]

RECEIVE = 1 << 20

#: Seconds that a job took, and those of each command where that was measured.
Taken = tuple[float, list[float]]


def publish(job: Publish) -> Taken:
    """Do what the job says."""
    return _awaiting(job) if job.window == 1 else (_pipelined(job), [])


def _count_oks(data: bytes, phase: int) -> int:
    """The phase within an OK frame after these bytes, which must be nothing but OKs."""
    frames = OK * (len(data) // len(OK) + 2)
    if data != frames[phase : phase + len(data)]:
        raise SystemExit(f"not an OK: {data[:200]!r}")
    return (phase + len(data)) % len(OK)


def _pipelined(job: Publish) -> float:
    """Send blocks of commands, with at most ``window`` of them unanswered."""
    rounds = publish_rounds(job)
    per_block = len(rounds[0])
    blocks = [b"".join(commands) for commands in rounds]
    wire = dial(job.port, job.layer)
    sent = answered_bytes = phase = turn = 0
    wanted = job.commands * len(OK)
    started = time.perf_counter()
    while answered_bytes < wanted:
        while sent < job.commands and sent + per_block - answered_bytes // len(OK) <= job.window:
            wire.sendall(blocks[turn % len(blocks)])
            turn += 1
            sent += per_block
        data = wire.recv(RECEIVE)
        if not data:
            raise SystemExit("the server closed the connection")
        phase = _count_oks(data, phase)
        answered_bytes += len(data)
    elapsed = time.perf_counter() - started
    wire.close()
    return elapsed


def _awaiting(job: Publish) -> Taken:
    """Publish, wait for the OK, publish; on several connections at once."""
    commands = [command for block in publish_rounds(job) for command in block]
    wires = [dial(job.port, job.layer) for _ in range(job.connections)]
    return _rounds(wires, commands, job.commands, OK)


def publish_http(job: HttpPublish) -> Taken:
    """One request after the other on each connection."""
    wires = []
    for _ in range(job.connections):
        sock = socket.create_connection(("127.0.0.1", job.port), TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wires.append(sock)
    return _rounds(wires, [http_request(job)], job.commands, b"")


def _rounds(wires: Sequence[Wire], commands: list[bytes], count: int, answer: bytes) -> Taken:
    """``count`` commands, each connection's next one when its last was answered.

    Without an ``answer`` it is HTTP's.
    """
    by_descriptor = {wire.fileno(): wire for wire in wires}
    poll = select.epoll()
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    clock = time.perf_counter
    begun: dict[int, float] = {}
    taken: list[float] = []
    turn = 0
    started = clock()
    for descriptor, wire in by_descriptor.items():
        if turn < count:
            begun[descriptor] = clock()
            wire.sendall(commands[turn % len(commands)])
            turn += 1
    while len(taken) < count:
        for descriptor, _ in poll.poll(TIMEOUT):
            wire = by_descriptor[descriptor]
            data = wire.recv(4096)
            if data != answer if answer else not data.startswith(b"HTTP/1.1 200 "):
                raise SystemExit(f"not an OK: {data[:200]!r}")
            now = clock()
            taken.append(now - begun[descriptor])
            if turn < count:
                begun[descriptor] = now
                wire.sendall(commands[turn % len(commands)])
                turn += 1
    elapsed = clock() - started
    for wire in wires:
        wire.close()
    return elapsed, taken
