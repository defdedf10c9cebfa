"""Load processes that consume. Ids are found by one compiled expression."""

from __future__ import annotations

import re
import select
import struct
import time

from bench.dial import TIMEOUT, Wire, dial
from bench.jobs import Consume, Steady
from bench.publishers import Taken
from bench.traffic import OK, bodies, pub

__all__ = ["CLOSE_WAIT", "consume", "steady"]

RECEIVE = 1 << 20
#: With few messages on their way: the C library maps larger buffers anew for each read.
RECEIVE_FEW = 1 << 14
FEW = 16
CLOSE_WAIT = b"CLOSE_WAIT"
# The head of a message frame: type 2, timestamp, attempts, id.
MESSAGE_ID = re.compile(rb"\0\0\0\x02.{10}([0-9a-f]{16})", re.DOTALL)
STAMPED = re.compile(rb"\0\0\0\x02.{10}([0-9a-f]{16})([0-9]{20})", re.DOTALL)
# Size, type, timestamp, attempts, id.
HEAD_SIZE = 4 + 4 + 8 + 2 + 16


def subscribe(port: int, topic: str, channel: str, layer: str = "") -> Wire:
    """A connection that is subscribed."""
    wire = dial(port, layer)
    wire.sendall(f"SUB {topic} {channel}\n".encode())
    if wire.recv(64) != OK:
        raise SystemExit("SUB failed")
    return wire


class Reader:
    """One consuming connection: FIN for every id it sees."""

    def __init__(self, job: Consume, channel: str) -> None:
        self.wire = subscribe(job.port, job.topic, channel, job.layer)
        self.channel = channel
        self._receive = RECEIVE if job.large or job.ready > FEW else RECEIVE_FEW
        self._tail = b""

    def read(self) -> int:
        """Take what has come, finish it; how many that were."""
        data = self.wire.recv(self._receive)
        if not data:
            raise SystemExit("the server closed the connection")
        ids = self._ids(data)
        if ids:
            self.wire.sendall(b"FIN " + b"\nFIN ".join(ids) + b"\n")
        return len(ids)

    def _ids(self, data: bytes) -> list[bytes]:
        buffer = self._tail + data
        end = 0
        ids = MESSAGE_ID.findall(buffer)
        if ids:
            end = buffer.rindex(ids[-1]) + 16
        self._tail = buffer[end:]
        return ids

    def close(self) -> None:
        """CLS, whose answer says that every FIN before it was seen."""
        self.wire.sendall(b"CLS\n")
        data = self._tail
        while CLOSE_WAIT not in data:
            more = self.wire.recv(RECEIVE)
            if not more:
                raise SystemExit("no answer to CLS")
            data = data[-32:] + more
        self.wire.close()


class LargeReader(Reader):
    """Walks from frame to frame by their sizes, and looks at no body."""

    _skip = 0

    def _ids(self, data: bytes) -> list[bytes]:
        if self._skip >= len(data):
            self._skip -= len(data)
            return []
        buffer = self._tail + data[self._skip :]
        self._skip = at = 0
        ids = []
        while len(buffer) - at >= 8:
            size, kind = struct.unpack_from(">II", buffer, at)
            if kind == 2:
                if len(buffer) - at < HEAD_SIZE:
                    break
                ids.append(buffer[at + 18 : at + HEAD_SIZE])
            at += 4 + size
        self._tail = buffer[at:]
        self._skip = max(0, at - len(buffer))
        return ids


def consume(job: Consume) -> Taken:
    """Consume on all channels at once."""
    make = LargeReader if job.large else Reader
    readers = {}
    poll = select.epoll()
    left = dict.fromkeys(job.channels, job.messages)
    for channel in job.channels:
        for _ in range(job.connections):
            reader = make(job, channel)
            readers[reader.wire.fileno()] = reader
            poll.register(reader.wire, select.EPOLLIN)
    started = time.perf_counter()
    for reader in readers.values():
        reader.wire.sendall(b"RDY %d\n" % job.ready)
    while any(count > 0 for count in left.values()):
        events = poll.poll(TIMEOUT)
        if not events:
            raise SystemExit(f"nothing for {TIMEOUT:g} s")
        for descriptor, _ in events:
            reader = readers[descriptor]
            left[reader.channel] -= reader.read()
    for reader in readers.values():
        reader.close()
    return time.perf_counter() - started, []


def steady(job: Steady) -> Taken:
    """Publish at a rate, and take the time of each message from before its PUB to its arrival."""
    reader = subscribe(job.port, job.topic, job.channel)
    reader.sendall(b"RDY 2500\n")
    writer = dial(job.port)
    poll = select.epoll()
    poll.register(reader, select.EPOLLIN)
    poll.register(writer, select.EPOLLIN)
    clock = time.perf_counter_ns
    (padding,) = bodies(1, job.size - 20)
    every = 10**9 // job.rate
    taken: list[float] = []
    tail = b""
    sent = 0
    due = started = clock()
    while len(taken) < job.messages:
        now = clock()
        if sent < job.messages and now >= due:
            due += every
            sent += 1
            writer.sendall(pub(job.topic, b"%020d" % now + padding))
        # A wait for the next publish would be rounded up to a millisecond.
        for descriptor, _ in poll.poll(0 if sent < job.messages else 1):
            if descriptor == writer.fileno():
                writer.recv(RECEIVE)
                continue
            buffer = tail + reader.recv(RECEIVE)
            now = clock()
            found = STAMPED.findall(buffer)
            if found:
                reader.sendall(b"".join(b"FIN %b\n" % each for each, _ in found))
                taken += [(now - int(stamp)) / 1e9 for _, stamp in found]
                tail = buffer[buffer.rindex(found[-1][1]) :]
            else:
                tail = buffer
    return (clock() - started) / 1e9, taken
