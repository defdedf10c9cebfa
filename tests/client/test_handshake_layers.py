"""The client's handshake with TLS and compression, with our nsqd, in memory and under a Clock."""

# Twisted's own doubles and its TLS have no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate, optionsForClientTLS
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from nsqtx.client.config import ReaderConfig
from nsqtx.client.connection import MAGIC, NsqdConnection
from nsqtx.client.errors import ConnectError
from nsqtx.client.handshake import connect
from tests.support.certificates import authority
from tests.support.upgradepeer import Peer, SocketTransport, open_peer


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("certificates")
    authority().write(path, "server", "server")
    return path


class TlsTransport(SocketTransport):
    """The client's end, to which TLS can be added as to Twisted's own; ``network`` has the bytes
    as they go over the wire."""

    def __init__(self, reactor: MemoryReactorClock) -> None:
        super().__init__()
        self.network = SocketTransport()
        self.protocol: Any = None
        self.tls: Any = None
        self._reactor = reactor

    def write(self, data: bytes) -> None:
        (self.tls or self.network).write(data)

    def startTLS(self, options: Any) -> None:
        factory = TLSMemoryBIOFactory(options, True, Factory(), clock=self._reactor)
        self.tls = TLSMemoryBIOProtocol(factory, self.protocol, False)
        self.tls.makeConnection(self.network)

    def receive(self, data: bytes) -> None:
        (self.tls or self.protocol).dataReceived(data)


class Wire:
    """A client that connects to an nsqd, and what goes to and fro."""

    def __init__(self, peer: Peer, name: str = "server", **settings: Any) -> None:
        self.peer = peer
        self.reactor = MemoryReactorClock()
        trusted = Certificate.loadPEM(authority().pem)
        config = ReaderConfig(
            tls_v1=True,
            tls_config=lambda _: optionsForClientTLS(name, trustRoot=trusted),
            **settings,
        )
        self.results: list[Any] = []
        dialled = connect(self.reactor, "127.0.0.1:4150", config, ("t", "c"))
        dialled.addBoth(self.results.append)
        factory = self.reactor.tcpClients[0][2]
        self.transport = TlsTransport(self.reactor)
        self.transport.protocol = factory.buildProtocol(None)
        self.transport.protocol.makeConnection(self.transport)
        data = self.transport.network.take()
        # The peer has had its magic.
        assert data.startswith(MAGIC)
        self.sent = data.removeprefix(MAGIC)
        peer.protocol.dataReceived(self.sent)
        self.pump()

    @property
    def connection(self) -> NsqdConnection:
        (connection,) = self.results
        assert isinstance(connection, NsqdConnection)
        return connection

    def pump(self) -> None:
        """Carry bytes until none are left."""
        while True:
            self.reactor.advance(0)
            self.peer.clock.advance(0)
            there, back = self.transport.network.take(), self.peer.transport.take()
            if not there and not back:
                return
            self.sent += there
            if there:
                self.peer.protocol.dataReceived(there)
            if back:
                self.transport.receive(back)

    def lose(self) -> None:
        """The connection is gone, and nothing of the client stays."""
        self.transport.tls.connectionLost(Failure(ConnectionLost()))
        assert self.reactor.getDelayedCalls() == []


@pytest.mark.parametrize("codec", ["deflate", "snappy"])
def test_h4_compression_inside_tls(certificates: Path, codec: str) -> None:
    """OK comes after each layer, SUB and all that follows go inside both."""
    peer = open_peer(certificates)
    chosen: dict[str, Any] = {codec: True}
    wire = Wire(peer, **chosen)
    negotiated = wire.connection.negotiated
    assert (negotiated.tls_v1, getattr(negotiated, codec)) == (True, True)
    assert list(peer.node.broker.topics["t"].channels) == ["c"]
    assert b"IDENTIFY" in wire.sent
    assert b"SUB" not in wire.sent
    received: list[bytes] = []
    wire.connection.on_messages = received.extend
    body = b"a message that nobody on the way reads" * 10
    answer = wire.connection.request(b"PUB t\n" + len(body).to_bytes(4, "big") + body)
    wire.connection.send(b"RDY 1\n")
    wire.pump()
    assert answer.result == b"OK"
    assert [data[26:] for data in received] == [body]
    assert body[:20] not in wire.sent
    wire.lose()


def test_a_server_of_another_name_is_refused(certificates: Path) -> None:
    """Nothing but IDENTIFY is sent to who cannot prove its name, and the reason is told."""
    wire = Wire(open_peer(certificates), "another.example", snappy=True)
    assert b"SUB" not in wire.sent
    assert not wire.peer.node.broker.topics
    assert wire.transport.network.disconnecting
    wire.lose()
    (failure,) = wire.results
    assert failure.check(ConnectError)
    assert "another.example" in failure.getErrorMessage()
