"""A connection to nsqd in memory, that TLS and compression can be added to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from nsqtx.broker.broker import Broker, Settings
from nsqtx.nsqd.node import Node
from nsqtx.nsqd.options import NsqdOptions
from nsqtx.nsqd.protocol import NsqdFactory, NsqdProtocol
from nsqtx.tls import ServerTls, TlsSettings
from tests.support.lists import ListStore
from tests.support.tlsclient import TlsClient

__all__ = [
    "HEARTBEAT",
    "OK",
    "PUB",
    "Peer",
    "SocketTransport",
    "frame",
    "identify",
    "open_peer",
    "sized",
]


class SocketTransport(StringTransport):
    """A transport in memory that can close its sending side and be aborted."""

    write_closed = False
    aborted = False

    def setTcpNoDelay(self, on: bool) -> None:
        """As asked."""

    def setTcpKeepAlive(self, on: bool) -> None:
        """As asked."""

    def loseWriteConnection(self) -> None:
        self.write_closed = True

    def abortConnection(self) -> None:
        self.aborted = True

    def take(self) -> bytes:
        """What was written since the last time."""
        data: bytes = self.value()
        self.clear()
        return data


def sized(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def frame(data: bytes, kind: int = 0) -> bytes:
    return sized(kind.to_bytes(4, "big") + data)


def identify(**fields: Any) -> bytes:
    return b"IDENTIFY\n" + sized(json.dumps({"feature_negotiation": True, **fields}).encode())


OK = frame(b"OK")
HEARTBEAT = frame(b"_heartbeat_")
PUB = b"PUB t\n" + sized(b"x")


@attrs.define
class Peer:
    """A connection to nsqd, in memory."""

    clock: Clock
    node: Node
    store: ListStore
    protocol: NsqdProtocol
    transport: SocketTransport

    def send(self, data: bytes) -> bytes:
        """Send raw bytes; the raw answer."""
        self.protocol.dataReceived(data)
        return self.transport.take()

    def identify(self, **fields: Any) -> bytes:
        """IDENTIFY; what came behind its answer."""
        answer = self.send(identify(**fields))
        return answer[4 + int.from_bytes(answer[:4], "big") :]

    def shake_hands(self, client: TlsClient, early: bytes = b"") -> bytes:
        """All of the handshake; the plain bytes that came with its end."""
        plain = client.feed(b"")
        while not client.secured:
            plain = client.feed(self.send(client.output()))
        last = client.output()
        if early:
            last += client.encrypt(early)
        return plain + self.talk(client, last) if last else plain

    def talk(self, client: TlsClient, data: bytes) -> bytes:
        """Send encrypted bytes; the plain answer, of the next turns too."""
        answer = client.feed(self.send(data))
        self.clock.advance(0)
        return answer + client.feed(self.transport.take())


def open_peer(
    certificates: Path, must_commit: bool = False, client_auth: str = "", **options: Any
) -> Peer:
    """A new nsqd with the certificate ``server`` in that folder, and a connection to it."""
    clock = Clock()
    clock.advance(1_700_000_000)
    store = ListStore(must_commit=must_commit)
    broker = Broker(store, clock.seconds, Settings())
    node = Node(NsqdOptions(**options), broker, clock, clock.seconds())
    node.tls = ServerTls(
        TlsSettings(
            cert=str(certificates / "server.pem"),
            key=str(certificates / "server.key"),
            client_auth=client_auth,
        )
    )
    protocol = NsqdFactory(node).buildProtocol(None)
    transport = SocketTransport(peerAddress=IPv4Address("TCP", "1.2.3.4", 5))
    protocol.makeConnection(transport)
    protocol.dataReceived(b"  V2")
    return Peer(clock, node, store, protocol, transport)
