"""A connection that has ended, and a channel, are freed at once, without the garbage collector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from nsqtx.broker.broker import Broker, Settings
from nsqtx.broker.turn import Turn
from nsqtx.nsqd.admission import Admission
from nsqtx.nsqd.auth import decode_answer
from nsqtx.nsqd.node import Node
from nsqtx.nsqd.options import NsqdOptions
from nsqtx.nsqd.protocol import NsqdFactory
from nsqtx.tls import ServerTls, TlsSettings
from nsqtx.wire import gojson
from tests.support.authservers import ALL, AskedServers
from tests.support.certificates import authority
from tests.support.garbage import left_to_collector
from tests.support.lists import ListLog, ListStore
from tests.support.tlsclient import TlsClient, client_context
from tests.support.upgradepeer import Peer, SocketTransport, sized

PUB = b"PUB p\n" + sized(b"x")
SUB = b"SUB t c\nRDY 5\n"


class Nsqd:
    """An nsqd without sockets, that stays while its clients come and go."""

    def __init__(self, tls: ServerTls, must_commit: bool = False) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.store = ListStore(must_commit=must_commit)
        self.broker = Broker(self.store, self.clock.seconds, Settings())
        self.node = Node(NsqdOptions(), self.broker, self.clock, self.clock.seconds())
        self.node.tls = tls
        self.works: list[Callable[[], None]] = []
        self.node.turn = Turn(self.broker, self.works.append)
        self.factory = NsqdFactory(self.node)

    def connect(self) -> Peer:
        """A client that has said the magic."""
        protocol = self.factory.buildProtocol(None)
        transport = SocketTransport(peerAddress=IPv4Address("TCP", "1.2.3.4", 5))
        protocol.makeConnection(transport)
        protocol.dataReceived(b"  V2")
        return Peer(self.clock, self.node, self.store, protocol, transport)

    def end_turn(self) -> None:
        works, self.works[:] = self.works[:], []
        for work in works:
            work()

    def lose(self, peer: Peer) -> None:
        """The client is gone, then the turn ends, and what waits for a time is over."""
        if peer.transport.producer is not None:
            peer.transport.unregisterProducer()  # as Twisted's transports do first
        peer.protocol.connectionLost(Failure(ConnectionDone()))
        self.end_turn()
        self.clock.advance(900)
        self.broker.scan()
        assert self.clock.getDelayedCalls() == []


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ServerTls:
    path: Path = tmp_path_factory.mktemp("certificates")
    authority().write(path, "server", "server")
    return ServerTls(TlsSettings(cert=str(path / "server.pem"), key=str(path / "server.key")))


@pytest.fixture
def nsqd(tls: ServerTls) -> Nsqd:
    return Nsqd(tls)


def silent(peer: Peer) -> None:
    """Says nothing."""


def publishes(peer: Peer) -> None:
    peer.send(PUB)


def consumes(peer: Peer) -> None:
    peer.send(SUB)
    peer.node.broker.topics["t"].publish([b"a", b"b"])
    answer = peer.transport.take()
    peer.send(b"FIN %b\n" % answer[18:34])


def is_refused(peer: Peer) -> None:
    peer.send(b"WHAT\n")
    assert peer.transport.write_closed


def ends_inside_a_body(peer: Peer) -> None:
    peer.send(b"PUB p\n\0\0\0\5a")
    peer.protocol.readConnectionLost()


def does_not_read(peer: Peer) -> None:
    peer.send(SUB)
    peer.protocol.link.pauseProducing()


def beats(peer: Peer) -> None:
    peer.clock.advance(30)
    peer.send(b"NOP\n")


def compresses(name: str) -> Callable[[Peer], None]:
    def identifies(peer: Peer) -> None:
        assert peer.identify(**{name: True})
        assert getattr(peer.protocol.session.layering, name)

    identifies.__name__ = name
    return identifies


def encrypts(peer: Peer, **fields: Any) -> None:
    peer.identify(tls_v1=True, **fields)
    client = TlsClient(client_context())
    peer.shake_hands(client)
    assert peer.protocol.session.tls


def encrypts_and_compresses(peer: Peer) -> None:
    encrypts(peer, snappy=True)


def shakes_half_a_hand(peer: Peer) -> None:
    peer.identify(tls_v1=True)
    client = TlsClient(client_context())
    client.feed(b"")
    peer.send(client.output())


def breaks_tls(peer: Peer) -> None:
    peer.identify(tls_v1=True)
    peer.send(b"\0" * 100)


@pytest.mark.parametrize(
    "behave",
    [
        silent,
        publishes,
        consumes,
        is_refused,
        ends_inside_a_body,
        does_not_read,
        beats,
        compresses("snappy"),
        compresses("deflate"),
        encrypts,
        encrypts_and_compresses,
        shakes_half_a_hand,
        breaks_tls,
    ],
)
def test_a_connection(nsqd: Nsqd, behave: Callable[[Peer], None]) -> None:
    """Whatever the client did: session, link, layers and parser go with it."""

    def come_and_go() -> None:
        peer = nsqd.connect()
        behave(peer)
        nsqd.lose(peer)

    assert left_to_collector(come_and_go) == {}


def test_a_connection_that_nsqd_closes(nsqd: Nsqd) -> None:
    """By CLS, and by a silence of two heartbeat intervals."""

    def come_and_go() -> None:
        peer = nsqd.connect()
        peer.send(SUB + b"CLS\n")
        nsqd.clock.advance(61)
        assert peer.transport.write_closed
        nsqd.lose(peer)

    assert left_to_collector(come_and_go) == {}


def test_a_connection_whose_answer_waits_for_the_disk(tls: ServerTls) -> None:
    """It is gone before its OK; the commit comes later."""
    nsqd = Nsqd(tls, must_commit=True)

    def come_and_go() -> None:
        peer = nsqd.connect()
        assert peer.send(PUB) == b""
        nsqd.lose(peer)
        log = nsqd.store.logs["p"]
        log.commits.pop()(None)

    assert left_to_collector(come_and_go) == {}


@pytest.mark.parametrize("answered", [True, False])
def test_a_connection_that_is_admitted_by_auth_servers(nsqd: Nsqd, answered: bool) -> None:
    """Whether it goes before or after their answer."""
    servers = AskedServers()
    nsqd.node.admit = lambda: Admission(servers)  # type: ignore[arg-type]

    def come_and_go() -> None:
        peer = nsqd.connect()
        peer.send(b"AUTH\n" + sized(b"s") + PUB)
        _, answer = servers.asked.pop()
        if answered:
            answer.callback(decode_answer(gojson.encode(ALL)))
            assert peer.transport.take()
        nsqd.lose(peer)

    assert left_to_collector(come_and_go) == {}


@pytest.mark.parametrize("channel", ["c", "c#ephemeral"])
def test_a_channel(nsqd: Nsqd, channel: str) -> None:
    """Deleted by somebody, or with its last consumer."""
    topic = nsqd.broker.get_topic("t")

    def come_and_go() -> None:
        peer = nsqd.connect()
        peer.send(b"SUB t %b\nRDY 1\n" % channel.encode())
        topic.publish([b"a", b"b"])
        if channel == "c":
            topic.delete_channel(channel)
        nsqd.lose(peer)
        assert topic.channels == {}
        topic.empty()

    assert left_to_collector(come_and_go) == {}


@pytest.mark.parametrize("name", ["t", "t#ephemeral"])
def test_a_topic(nsqd: Nsqd, name: str) -> None:
    """With a channel, messages and a consumer."""

    def come_and_go() -> None:
        peer = nsqd.connect()
        peer.send(b"SUB %b c\nRDY 1\n" % name.encode())
        nsqd.broker.get_topic(name).publish([b"a", b"b"])
        nsqd.broker.delete_topic(name)
        nsqd.lose(peer)
        assert nsqd.broker.topics == {}

    assert left_to_collector(come_and_go) == {}


def test_a_cycle_is_found() -> None:
    """The function that all of this relies on can tell."""

    def come_and_go() -> None:
        log = ListLog()
        log.commits.append(log.commit)  # type: ignore[arg-type]

    found = left_to_collector(come_and_go)
    assert found["tests.support.lists.ListLog"] == 1
