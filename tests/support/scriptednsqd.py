"""nsqds in memory that do what a test says, and a reactor that connects clients to them.

A client under test is given a `Network` as its reactor. What it sends to a `ScriptedNsqd` is taken
apart into commands; answers, heartbeats, errors and the end are the test's to send. IDENTIFY, AUTH
and SUB are answered by themselves unless the test wants otherwise. Answers are never given within
a write: they wait for the clock, as `advance(0)`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from nsqtx.wire.codecs import Decoder, Encoder
from tests.support.upgradepeer import SocketTransport, frame

__all__ = ["Command", "Network", "ScriptedConnection", "ScriptedNsqd"]

MAGIC = b"  V2"
#: Commands that have a body.
WITH_BODY = (b"IDENTIFY", b"AUTH", b"PUB", b"MPUB", b"DPUB")
ANSWER = {
    "max_rdy_count": 2500,
    "version": "1.3.0",
    "max_msg_timeout": 900_000,
    "msg_timeout": 60_000,
    "tls_v1": False,
    "deflate": False,
    "snappy": False,
    "sample_rate": 0,
    "auth_required": False,
    "output_buffer_size": 16384,
    "output_buffer_timeout": 250,
}


@attrs.frozen
class Command:
    """What a client sent: the words of the line, and the body if there is one."""

    words: tuple[bytes, ...]
    body: bytes = b""

    @property
    def name(self) -> bytes:
        return self.words[0]

    @property
    def messages(self) -> list[bytes]:
        """The messages of an MPUB, whose count must be right."""
        count = int.from_bytes(self.body[:4], "big")
        rest, found = self.body[4:], []
        while rest:
            size = int.from_bytes(rest[:4], "big")
            found.append(rest[4 : 4 + size])
            rest = rest[4 + size :]
        assert len(found) == count
        return found


class ScriptedTransport(SocketTransport):
    """Gives what is written to the nsqd, and ends later."""

    def __init__(self, connection: ScriptedConnection, network: Network) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", "127.0.0.1", connection.nsqd.port))
        self._connection = connection
        self._reactor = network
        #: The options TLS was started with.
        self.tls: Any = None

    def write(self, data: bytes) -> None:
        if not self._connection.lost:
            self._connection.feed(data)

    @property
    def network(self) -> Any:
        """What is told that the network takes no more bytes, or does again."""
        return self.producer

    def startTLS(self, options: Any, normal: bool = True) -> None:
        self.tls = options

    def loseConnection(self) -> None:
        self._reactor.callLater(0, self._connection.lose, ConnectionDone())

    def abortConnection(self) -> None:
        self.aborted = True
        self._reactor.callLater(0, self._connection.lose, ConnectionLost())


class ScriptedConnection:
    """One connection of a client to a `ScriptedNsqd`."""

    def __init__(self, nsqd: ScriptedNsqd, network: Network, protocol: Any) -> None:
        self.nsqd = nsqd
        self.protocol = protocol
        #: All commands so far, and those that `take` has not given out.
        self.commands: list[Command] = []
        self.lost = False
        self.codec: tuple[Encoder, Decoder] | None = None
        self._reactor = network
        self._taken = 0
        self._buffer = b""
        self._greeted = False
        self.transport = ScriptedTransport(self, network)

    def open(self) -> None:
        self.protocol.makeConnection(self.transport)

    # -- what the client sends -------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        if self.codec is not None:
            data = self.codec[1].feed(data, 1 << 20)
        self._buffer += data
        if not self._greeted:
            if len(self._buffer) < len(MAGIC):
                return
            assert self._buffer.startswith(MAGIC)
            self._buffer = self._buffer[len(MAGIC) :]
            self._greeted = True
        while (command := self._command()) is not None:
            self.commands.append(command)
            self._reactor.callLater(0, self.nsqd.react, self, command)

    def _command(self) -> Command | None:
        line, end, rest = self._buffer.partition(b"\n")
        if not end:
            return None
        words = tuple(line.split(b" "))
        body = b""
        if words[0] in WITH_BODY:
            size = int.from_bytes(rest[:4], "big")
            if len(rest) < 4 + size:
                return None
            body, rest = rest[4 : 4 + size], rest[4 + size :]
        self._buffer = rest
        return Command(words, body)

    def take(self) -> list[Command]:
        """The commands since the last time; those of the handshake and NOP are left out."""
        new, self._taken = self.commands[self._taken :], len(self.commands)
        return [each for each in new if each.name not in (b"IDENTIFY", b"AUTH", b"SUB", b"NOP")]

    def names(self) -> list[bytes]:
        """The names of all commands so far."""
        return [command.name for command in self.commands]

    # -- what nsqd does --------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """These bytes come from nsqd."""
        if not self.lost:
            self.protocol.dataReceived(data)

    def send(self, data: bytes, kind: int = 0) -> None:
        """A frame, compressed if that was agreed on."""
        raw = frame(data, kind)
        self.receive(raw if self.codec is None else self.codec[0].encode(raw))

    def ok(self, count: int = 1) -> None:
        """So many OKs, in one segment."""
        self.receive(frame(b"OK") * count)

    def heartbeat(self) -> None:
        self.send(b"_heartbeat_")

    def error(self, text: bytes) -> None:
        """An error frame, after which nsqd closes."""
        self.send(text, 1)
        self.lose()

    def lose(self, reason: Exception | None = None) -> None:
        """The connection is gone."""
        if not self.lost:
            self.lost = True
            self.protocol.connectionLost(Failure(reason or ConnectionDone()))


class ScriptedNsqd:
    """An nsqd at a port of 127.0.0.1. ``up`` is whether it accepts connections."""

    def __init__(self, network: Network, port: int, **answer: Any) -> None:
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self.up = True
        #: Answers to commands by name; None: there is none. What is not here is not answered.
        self.answers: dict[bytes, bytes | None] = {
            b"IDENTIFY": json.dumps({**ANSWER, **answer}).encode(),
            b"AUTH": b"{}",
            b"SUB": b"OK",
        }
        #: Called with each command that was not answered so.
        self.on_command: Callable[[ScriptedConnection, Command], None] | None = None
        self.connections: list[ScriptedConnection] = []
        network.nsqds[port] = self

    @property
    def connection(self) -> ScriptedConnection:
        """The newest."""
        return self.connections[-1]

    def react(self, connection: ScriptedConnection, command: Command) -> None:
        if connection.lost:
            return
        answer = self.answers.get(command.name)
        if answer is not None:
            connection.send(answer, 1 if answer.startswith(b"E_") else 0)
        elif self.on_command is not None:
            self.on_command(connection, command)


class Network(MemoryReactorClock):
    """A reactor whose connections lead to `ScriptedNsqd`s, or are refused."""

    def __init__(self) -> None:
        super().__init__()
        self.nsqds: dict[int, ScriptedNsqd] = {}

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> Any:
        connector = super().connectTCP(host, port, factory, timeout, bindAddress)
        nsqd = self.nsqds.get(port)
        if nsqd is None or not nsqd.up:
            reason = Failure(ConnectionRefusedError("nobody is there"))
            self.callLater(0, factory.clientConnectionFailed, connector, reason)
            return connector
        protocol = factory.buildProtocol(IPv4Address("TCP", host, port))
        connection = ScriptedConnection(nsqd, self, protocol)
        nsqd.connections.append(connection)
        connection.open()
        return connector
