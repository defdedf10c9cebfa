"""Reader and Writer with our nsqd, all in memory and on one clock: its real protocol and broker."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater

from nsqtx.broker.broker import Broker, Settings
from nsqtx.client import Message, Reader, ReaderConfig, Requeue, Writer, WriterConfig
from nsqtx.nsqd.node import Node
from nsqtx.nsqd.options import NsqdOptions
from nsqtx.nsqd.protocol import NsqdFactory
from nsqtx.testing import MemoryReactor
from tests.support.lists import ListStore
from tests.support.logged import Logged


class Nsqd:
    """An nsqd without HTTP and disk."""

    def __init__(self, reactor: MemoryReactor, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self.broker = Broker(ListStore(), reactor.seconds, Settings())
        node = Node(NsqdOptions(), self.broker, reactor, reactor.seconds())
        reactor.listenTCP(port, NsqdFactory(node))
        self.scanning = LoopingCall(self.broker.scan)
        self.scanning.clock = reactor
        self.scanning.start(0.1, now=False)

    def left(self) -> int:
        """Messages of the channel that are not finished."""
        channel = self.broker.topics["t"].channels["c"]
        return channel.depth + channel.in_flight_count + channel.deferred_count


@pytest.mark.parametrize("layer", ["", "deflate"])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_published_is_handled(seed: int, layer: str) -> None:
    """Whatever handlers do, and while connections are cut: at least once, and none stays behind."""
    random = Random(seed)
    reactor = MemoryReactor()
    reactor.advance(1_700_000_000)
    nsqds = [Nsqd(reactor, 4150), Nsqd(reactor, 5150)]
    addresses = [nsqd.address for nsqd in nsqds]
    handled: Counter[bytes] = Counter()

    async def handle(message: Message) -> None:
        chance = random.random()
        if chance < 0.1:
            raise ValueError("no")
        if chance < 0.2:
            raise Requeue(random.random(), backoff=False)
        if chance < 0.5:
            # Sometimes longer than nsqd waits for it.
            await deferLater(reactor, random.random() * 2.5)
        handled[message.body] += 1

    layers: dict[str, Any] = {layer: True} if layer else {}
    reader = Reader(
        "t",
        "c",
        handle,
        reactor=reactor,
        nsqd_tcp_addresses=addresses,
        config=ReaderConfig(
            max_in_flight=50,
            msg_timeout=2.0,
            max_attempts=0,
            default_requeue_delay=0.5,
            max_backoff_duration=1.0,
            **layers,
        ),
        random=random,
    )
    writer = Writer(addresses, reactor=reactor, config=WriterConfig(**layers), random=random)
    reader.startService()
    writer.startService()
    published: list[Deferred[bytes]] = []
    with Logged():
        for number in range(300):
            published.append(writer.publish("t", b"%d" % number))
            if reactor.transports and random.random() < 0.05:
                random.choice(reactor.transports).peer.abortConnection()
            reactor.advance(random.random() * 0.2)
        for each in published:
            assert reactor.wait_for(each) == b"OK"
        for _ in range(120):
            reactor.advance(1)
        assert set(handled) == {b"%d" % number for number in range(300)}
        assert [nsqd.left() for nsqd in nsqds] == [0, 0]
        assert reader.stats().ready.in_flight == 0
    reactor.wait_for(writer.stopService())
    reactor.wait_for(reader.stopService())
    reactor.advance(2)
    for nsqd in nsqds:
        nsqd.scanning.stop()
    assert reactor.transports == []
    assert reactor.getDelayedCalls() == []
