"""Any bytes for an nsqd as it is over TCP, but for its sockets and its disk."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from nsqtx.broker.broker import Broker, Settings
from nsqtx.nsqd.node import Node
from nsqtx.nsqd.options import NsqdOptions
from nsqtx.nsqd.protocol import NsqdFactory
from tests.support.http import TcpTransport
from tests.support.lists import ListStore
from tests.support.logged import Logged

__all__ = ["any_session"]


def any_session(reads: Sequence[bytes]) -> None:
    """Nothing fails, nothing of the client is left when it is gone, and others are served."""
    clock = Clock()
    clock.advance(1_700_000_000)
    broker = Broker(ListStore(), clock.seconds, Settings())
    node = Node(NsqdOptions(max_msg_size=100, max_body_size=300), broker, clock, clock.seconds())
    factory = NsqdFactory(node)
    with Logged() as logged:
        protocol, transport = factory.buildProtocol(None), TcpTransport()
        protocol.makeConnection(transport)
        for read in reads:
            if not transport.disconnecting:
                protocol.dataReceived(read)
            clock.advance(0.1)
        protocol.connectionLost(Failure(ConnectionDone()))
        assert logged.failures == []
        assert not node.sessions
        channels = [each for topic in broker.topics.values() for each in topic.channels.values()]
        assert not any(channel.subscriptions for channel in channels)
        assert clock.getDelayedCalls() == []
        other, answers = factory.buildProtocol(None), TcpTransport()
        other.makeConnection(answers)
        other.dataReceived(b"  V2PUB other\n\0\0\0\1x")
        assert answers.value() == b"\0\0\0\6\0\0\0\0OK"
        other.connectionLost(Failure(ConnectionDone()))
    assert logged.failures == []
