"""A nsqlookupd for tests of nsqd's side: everything in memory, on a clock."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["GREETING", "FakeLookupd"]

#: What a nsqlookupd answers to IDENTIFY.
GREETING = json.dumps(
    {"tcp_port": 4160, "http_port": 4161, "version": "1.3.0", "broadcast_address": "l.example"}
).encode()


class _Transport(StringTransport):
    """Tells the protocol that it is gone, in the next turn, as a real one does."""

    def __init__(self, clock: Clock, protocol: Any) -> None:
        super().__init__()
        self.clock = clock
        self.protocol = protocol

    def loseConnection(self) -> None:
        self._end(Failure(ConnectionDone()))

    def abortConnection(self) -> None:
        self._end(Failure(ConnectionDone()))

    def _end(self, reason: Failure) -> None:
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            self.connected = False
            self.clock.callLater(0, protocol.connectionLost, reason)


@implementer(IStreamClientEndpoint)
class FakeLookupd:
    """Something to connect to. ``received`` has what came, as nsqd_client.json writes it.

    ``answers`` are the answers to IDENTIFY, the last one again and again. Commands are answered
    ``OK`` at once, unless it is made ``silent``; connections are made at once, unless it is
    ``down`` (refused) or ``slow`` (`accept` makes them). Nothing happens before
    the clock is advanced and `read` called, as with a real one; `settle` does both until all is
    quiet.
    """

    def __init__(self, clock: Clock, answers: Sequence[bytes] = (GREETING,)) -> None:
        self.clock = clock
        self.received: list[str] = []
        self.down = False
        self.slow = False
        self.silent = False
        self.attempts = 0
        self._answers = list(answers)
        self._transport: _Transport | None = None
        self._waiting: list[tuple[Deferred[Any], IProtocolFactory]] = []
        self._unread = b""

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        self.attempts += 1
        connecting: Deferred[Any] = Deferred()
        self._waiting.append((connecting, protocolFactory))
        if not self.slow:
            self.clock.callLater(0, self.refuse if self.down else self.accept)
        return connecting

    def refuse(self) -> None:
        """Refuse the connection under way."""
        waiting, self._waiting = self._waiting, []
        for connecting, _ in waiting:
            connecting.errback(ConnectionRefusedError())

    def accept(self) -> None:
        """Make the connection under way."""
        waiting, self._waiting = self._waiting, []
        for connecting, factory in waiting:
            protocol = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 4160))
            assert protocol is not None
            self._transport = _Transport(self.clock, protocol)
            self._unread = b""
            self.received.append("<connect>")
            protocol.makeConnection(self._transport)
            connecting.callback(protocol)

    @property
    def connected(self) -> bool:
        """Whether somebody is connected."""
        return self._transport is not None and self._transport.protocol is not None

    def drop(self) -> None:
        """Close the connection from this side."""
        assert self._transport is not None
        self._transport.loseConnection()

    def answer(self, data: bytes) -> None:
        """Send an answer."""
        self.send(struct.pack(">i", len(data)) + data)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        if self._transport is not None and self._transport.protocol is not None:
            self._transport.protocol.dataReceived(data)

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        for _ in range(5):
            self.clock.advance(0)
            self.read()

    def read(self) -> None:
        """Take what came, and answer it."""
        while self._transport is not None:
            self._unread += self._transport.value()
            self._transport.clear()
            command = self._next()
            if command is None:
                return
            self.received.append(command)
            if command.startswith("IDENTIFY") and not self.silent:
                answer = self._answers[0]
                if len(self._answers) > 1:
                    del self._answers[0]
                self.answer(answer)
            elif command != "  V1" and not self.silent:
                self.answer(b"OK")

    def _next(self) -> str | None:
        data = self._unread
        if data.startswith(b"  V1"):
            self._unread = data[4:]
            return "  V1"
        line, end, rest = data.partition(b"\n")
        if not end:
            return None
        if line != b"IDENTIFY":
            self._unread = rest
            return line.decode() + "\n"
        (size,) = struct.unpack_from(">i", rest)
        self._unread = rest[4 + size :]
        return "IDENTIFY\n<int32 size>" + rest[4 : 4 + size].decode()
