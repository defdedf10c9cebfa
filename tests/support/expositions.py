"""What ``/metrics`` of each daemon says, of nodes in memory that have something of everything."""

from __future__ import annotations

from twisted.internet.task import Clock

from nsqtx.broker.broker import Broker, Settings
from nsqtx.nsqd.node import Node
from nsqtx.nsqd.options import NsqdOptions
from nsqtx.nsqlookupd.node import Node as LookupNode
from nsqtx.nsqlookupd.options import NsqlookupdOptions
from nsqtx.web.metrics import Exposition
from tests.support.brokers import consume
from tests.support.lists import ListStore

__all__ = ["lookupd_exposition", "nsqd_exposition"]


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
