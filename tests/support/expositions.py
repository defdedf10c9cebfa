"""What ``/metrics`` of each daemon says, of nodes in memory that have something of everything."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock

from nsqtx.broker.broker import Broker, Settings
from nsqtx.client import Reader, Writer
from nsqtx.client.metrics import ClientCollector
from nsqtx.nsqd.node import Node
from nsqtx.nsqd.options import NsqdOptions
from nsqtx.nsqlookupd.node import Node as LookupNode
from nsqtx.nsqlookupd.options import NsqlookupdOptions
from nsqtx.testing import FakeNsqd, MemoryReactor
from nsqtx.web.metrics import Exposition
from tests.support.brokers import consume
from tests.support.lists import ListStore

__all__ = ["client_registry", "lookupd_exposition", "nsqd_exposition"]


def nsqd_exposition() -> Exposition:
    """The /metrics of an nsqd that has something of everything."""
    clock = Clock()
    broker = Broker(ListStore(), clock.seconds, Settings())
    topic = broker.get_topic("t")
    channel = topic.get_channel("c")
    consumer = consume(broker, "t", "c", ready=1)
    topic.publish([b"to be finished"])
    channel.pause()
    channel.subscriptions[0].finish(consumer.ids)
    topic.publish([b"to wait in the channel"])
    topic.pause()
    topic.publish([b"to wait in the topic"])
    return Node(NsqdOptions(), broker, clock, 0.0).exposition


def lookupd_exposition() -> Exposition:
    """The /metrics of a nsqlookupd."""
    return LookupNode(NsqlookupdOptions(), Clock()).exposition


def client_registry() -> CollectorRegistry:
    """The figures of a Reader and a Writer that are connected to an nsqd in memory."""
    reactor = MemoryReactor()
    nsqd = FakeNsqd(reactor)
    collector = ClientCollector()
    reader = Reader("t", "c", lambda _: None, reactor=reactor, nsqd_tcp_addresses=[nsqd.address])
    writer = Writer([nsqd.address], reactor=reactor)
    for service in (reader, writer):
        service.startService()
    collector.add_reader(reader)
    collector.add_writer(writer, "orders")
    reactor.settle()
    registry = CollectorRegistry()
    registry.register(collector)
    return registry
