"""The protocol on a transport: timers, back-pressure, the end of connections."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from nsqtx.broker.broker import Broker, Settings
from nsqtx.connections import LINGER
from nsqtx.nsqd.admission import Admission
from nsqtx.nsqd.auth import decode_answer
from nsqtx.nsqd.node import Node
from nsqtx.nsqd.options import NsqdOptions
from nsqtx.nsqd.protocol import NsqdFactory, NsqdProtocol
from nsqtx.wire import gojson
from tests.support.authservers import ALL, AskedServers
from tests.support.lists import ListLog, ListStore

HEARTBEAT = b"\x00\x00\x00\x0f\x00\x00\x00\x00_heartbeat_"


class HalfCloseTransport(StringTransport):
    """A transport in memory that can close its sending side."""

    write_closed = False

    def setTcpNoDelay(self, on: bool) -> None:
        self.no_delay = on

    def setTcpKeepAlive(self, on: bool) -> None:
        self.keep_alive = on

    def loseWriteConnection(self) -> None:
        self.write_closed = True


def connect(
    must_commit: bool = False, **options: Any
) -> tuple[Clock, NsqdProtocol, HalfCloseTransport]:
    clock = Clock()
    clock.advance(1_700_000_000)
    broker = Broker(ListStore(must_commit=must_commit), clock.seconds, Settings())
    node = Node(NsqdOptions(**options), broker, clock, clock.seconds())
    protocol = NsqdFactory(node).buildProtocol(None)
    transport = HalfCloseTransport(peerAddress=IPv4Address("TCP", "1.2.3.4", 5))
    protocol.makeConnection(transport)
    protocol.dataReceived(b"  V2")
    return clock, protocol, transport


def sized(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def identify(protocol: NsqdProtocol, body: bytes) -> None:
    protocol.dataReceived(b"IDENTIFY\n" + sized(body))


def test_tcp_options() -> None:
    """No delay and keep-alive are on (nsqd-tcp section 1)."""
    _, _, transport = connect()
    assert transport.no_delay
    assert transport.keep_alive


def test_heartbeats_every_30_seconds_until_negotiated() -> None:
    """Before IDENTIFY the interval is 30 s; a client that answers stays connected."""
    clock, protocol, transport = connect()
    for _ in range(3):
        clock.advance(29.9)
        assert transport.value() == b""
        clock.advance(0.1)
        assert transport.value() == HEARTBEAT
        transport.clear()
        protocol.dataReceived(b"NOP\n")
    assert not transport.write_closed


def test_a_silent_client_is_closed_after_two_intervals() -> None:
    """Without a complete command for two heartbeat intervals the connection closes silently."""
    clock, protocol, transport = connect()
    identify(protocol, b'{"heartbeat_interval":1000}')
    transport.clear()
    clock.advance(1.0)
    protocol.dataReceived(b"NO")  # a partial line does not count
    clock.advance(0.9)
    assert not transport.write_closed
    clock.advance(0.2)
    assert transport.write_closed
    assert transport.value().replace(HEARTBEAT, b"") == b""


def test_any_command_moves_the_deadline() -> None:
    """Two intervals count from the last complete command."""
    clock, protocol, transport = connect()
    identify(protocol, b'{"heartbeat_interval":1000}')
    for _ in range(10):
        clock.advance(1.5)
        protocol.dataReceived(b"NOP\n")
    assert not transport.write_closed
    clock.advance(2.1)
    assert transport.write_closed


def test_the_deadline_inside_a_body_is_an_error() -> None:
    """A body that does not come in time is answered before the close (nsqd-tcp section 6)."""
    clock, protocol, transport = connect()
    identify(protocol, b'{"heartbeat_interval":1000}')
    protocol.dataReceived(b"PUB t\n\x00\x00\x00\x05ab")
    clock.advance(2.1)
    assert b"E_BAD_MESSAGE PUB failed to read message body" in transport.value()
    assert transport.write_closed


def test_no_heartbeats_when_disabled() -> None:
    """With heartbeat_interval -1 there are no heartbeats and no deadline."""
    clock, protocol, transport = connect()
    identify(protocol, b'{"heartbeat_interval":-1}')
    transport.clear()
    for _ in range(100):
        clock.advance(10)
    assert transport.value() == b""
    assert not transport.write_closed


def test_back_pressure_stops_deliveries() -> None:
    """While the transport is full nothing is delivered; when it has drained, all of it is."""
    _, protocol, transport = connect()
    protocol.dataReceived(b"SUB t c\nRDY 10\n")
    transport.clear()
    protocol.link.pauseProducing()
    topic = protocol.session.node.broker.topics["t"]
    topic.publish([b"a", b"b"])
    assert transport.value() == b""
    protocol.link.resumeProducing()
    assert transport.value().endswith(b"b")


def test_a_client_that_does_not_read_for_an_interval_is_cut_off() -> None:
    """Blocked for longer than a heartbeat interval, a connection is aborted (section 16.24)."""
    clock, protocol, transport = connect()
    protocol.link.pauseProducing()
    protocol.dataReceived(b"NOP\n")
    clock.advance(15)
    protocol.dataReceived(b"NOP\n")
    clock.advance(15)
    assert transport.disconnecting
    assert b"_heartbeat_" not in transport.value()


def test_unread_answers_stop_the_reading() -> None:
    """S8: a client that pipelines and never reads is not read from beyond a limit."""
    _, protocol, transport = connect()
    protocol.link.pauseProducing()
    for _ in range(20):
        protocol.dataReceived((b"PUB t#ephemeral\n" + sized(b"x")) * 10000)
    assert transport.producerState == "paused"
    protocol.link.resumeProducing()
    assert transport.producerState == "producing"


def test_after_a_fatal_error_we_linger_and_then_close() -> None:
    """The error is sent, the sending side closed; bytes under way are read and ignored."""
    clock, protocol, transport = connect()
    protocol.dataReceived(b"FOO\n")
    assert transport.value().endswith(b"E_INVALID invalid command FOO")
    assert transport.write_closed
    assert not transport.disconnecting
    protocol.dataReceived(b"PUB t\n" + sized(b"x"))
    assert protocol.session.node.broker.topics == {}
    clock.advance(LINGER)
    assert transport.disconnecting


def test_half_close_inside_a_body() -> None:
    """A client that ends inside a body gets its error (nsqd-tcp 5.2), inside a line none."""
    _, protocol, transport = connect()
    protocol.dataReceived(b"PUB t\n\x00\x00\x00\x05ab")
    protocol.readConnectionLost()
    assert transport.value().endswith(b"E_BAD_MESSAGE PUB failed to read message body")
    assert transport.disconnecting
    _, protocol, transport = connect()
    protocol.dataReceived(b"PU")
    protocol.readConnectionLost()
    assert (transport.value(), transport.disconnecting) == (b"", True)


def test_half_close_behind_a_publish_that_waits_for_the_disk() -> None:
    """A client that publishes and closes its sending side gets its OK, and then the end."""
    _, protocol, transport = connect(must_commit=True)
    protocol.dataReceived(b"PUB t\n" + sized(b"x"))
    protocol.readConnectionLost()
    assert (transport.value(), transport.disconnecting) == (b"", False)
    topic = protocol.session.node.broker.topics["t"]
    assert isinstance(topic.log, ListLog)
    topic.log.commits.pop()(None)
    assert transport.value() == b"\x00\x00\x00\x06\x00\x00\x00\x00OK"
    assert transport.disconnecting


def test_a_lost_connection_leaves_nothing_behind() -> None:
    """After the end no timer runs and the node has forgotten the session."""
    clock, protocol, _ = connect()
    node = protocol.session.node
    protocol.dataReceived(b"SUB t c\nRDY 1\n")
    protocol.connectionLost(Failure(ConnectionDone()))
    assert clock.getDelayedCalls() == []
    assert node.sessions == {}
    assert node.broker.topics["t"].channels["c"].subscriptions == []


def test_who_waits_for_an_auth_server_is_not_silent() -> None:
    """While nsqd asks it reads nothing, heartbeats go on, and the deadline waits for the answer."""
    clock, protocol, _ = connect()
    servers = AskedServers()
    protocol.session.node.admit = lambda: Admission(servers)  # type: ignore[arg-type]
    protocol = NsqdFactory(protocol.session.node).buildProtocol(None)
    transport = HalfCloseTransport(peerAddress=IPv4Address("TCP", "1.2.3.4", 5))
    protocol.makeConnection(transport)
    protocol.dataReceived(b"  V2")
    identify(protocol, b'{"heartbeat_interval":1000}')
    protocol.dataReceived(b"AUTH\n" + sized(b"s") + b"NOP\n")
    assert transport.producerState == "paused"
    transport.clear()
    for _ in range(5):
        clock.advance(1)
    assert transport.value() == HEARTBEAT * 5
    servers.asked[0][1].callback(decode_answer(gojson.encode(ALL)))
    assert transport.producerState == "producing"
    clock.advance(1.9)
    assert not transport.write_closed
    clock.advance(0.3)
    assert transport.write_closed
