"""Draining: who is refused, what is waited for, when it ends."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from nsqtx.broker.broker import Broker, Settings
from nsqtx.nsqd.drain import Drain
from nsqtx.nsqd.node import Node
from nsqtx.nsqd.options import NsqdOptions
from tests.support.brokers import SECOND, consume
from tests.support.lists import ListStore


class Draining:
    """A node with a topic, two messages and their consumer, under a clock."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.broker = Broker(ListStore(), self.clock.seconds, Settings())
        self.node = Node(NsqdOptions(**options), self.broker, self.clock, 0.0)
        self.stops: list[float] = []
        self.drain = Drain(self.node, lambda: self.stops.append(self.clock.seconds()))
        self.topic = self.broker.get_topic("t")
        self.channel = self.topic.get_channel("c")
        self.began = self.clock.seconds()

    def pass_time(self, seconds: float) -> None:
        """In steps of the scan."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            self.broker.scan()

    def finish_all(self) -> None:
        """FIN everything that is in flight."""
        for subscription in self.channel.subscriptions:
            subscription.finish(list(subscription.in_flight))
        self.channel.pump()


def test_an_empty_node_stops_soon() -> None:
    """After the answer to who asked for it."""
    draining = Draining()
    draining.drain.begin("x")
    assert draining.stops == []
    draining.pass_time(0.5)
    assert len(draining.stops) == 1
    assert draining.clock.getDelayedCalls() == []


def test_it_waits_for_what_is_ready_and_in_flight() -> None:
    """New consumers may come; when they have finished all, it is over."""
    draining = Draining()
    draining.topic.publish([b"1", b"2"])
    draining.drain.begin("x")
    draining.pass_time(5)
    assert draining.stops == []
    consume(draining.broker, "t", "c")
    draining.pass_time(5)
    assert draining.stops == []
    draining.finish_all()
    draining.pass_time(0.5)
    assert len(draining.stops) == 1


def test_what_times_out_is_delivered_again() -> None:
    """A consumer that is gone does not end the wait for its messages."""
    draining = Draining(drain_timeout=0)
    draining.topic.publish([b"1"])
    consume(draining.broker, "t", "c")
    draining.channel.subscriptions[0].leave()
    draining.drain.begin("x")
    draining.pass_time(61)
    assert (draining.stops, draining.channel.depth) == ([], 1)
    consume(draining.broker, "t", "c")
    draining.finish_all()
    draining.pass_time(0.5)
    assert len(draining.stops) == 1


@pytest.mark.parametrize("where", ["channel", "topic"])
def test_the_deadline_ends_it(where: str) -> None:
    """What nobody consumes, in a channel or in a topic that is paused, is kept."""
    draining = Draining(drain_timeout=3 * SECOND)
    if where == "topic":
        draining.topic.pause()
    draining.topic.publish([b"1"])
    draining.drain.begin("x")
    draining.pass_time(2.9)
    assert draining.stops == []
    draining.pass_time(0.4)
    assert len(draining.stops) == 1
    assert draining.topic.depth + draining.channel.depth == 1


@pytest.mark.parametrize("where", ["channel", "topic"])
def test_deferred_messages_are_waited_for_if_they_are_due_in_time(where: str) -> None:
    """Others stay in the log; there is no point in waiting for them."""
    draining = Draining(drain_timeout=10 * SECOND)
    now = draining.broker.now()
    draining.topic.publish([b"late"], now + 60 * SECOND)
    if where == "topic":
        draining.topic.pause()
    draining.topic.publish([b"soon"], now + 2 * SECOND)
    consumer = consume(draining.broker, "t", "c")
    draining.drain.begin("x")
    draining.pass_time(1.9)
    assert draining.stops == []
    draining.topic.unpause()
    draining.pass_time(0.5)
    assert consumer.bodies == [b"soon"]
    draining.finish_all()
    draining.pass_time(0.5)
    assert len(draining.stops) == 1
    assert draining.channel.deferred_count == 1


def test_without_a_deadline_all_deferred_messages_are_waited_for() -> None:
    """However late they are."""
    draining = Draining(drain_timeout=0)
    draining.topic.publish([b"late"], draining.broker.now() + 100 * SECOND)
    draining.drain.begin("x")
    draining.pass_time(90)
    assert draining.stops == []


def test_it_can_be_called_off() -> None:
    """Then it is as if nothing had been, and it may begin again with a new deadline."""
    draining = Draining(drain_timeout=2 * SECOND, lookupd_tcp_address=["a:1"])
    told: list[list[str]] = []
    node = draining.node
    node.set_lookupds = told.append
    draining.topic.publish([b"1"])
    draining.drain.begin("x")
    draining.drain.begin("twice is once")
    assert (node.draining, node.health) == (True, "NOK - draining")
    # It is not told to nsqlookupds that are named meanwhile, either.
    node.config_set("nsqlookupd_tcp_addresses", b'["b:2"]')
    draining.pass_time(1)
    draining.drain.cancel("y")
    draining.drain.cancel("twice is once")
    assert (node.draining, node.health) == (False, "OK")
    assert told == [[], ["b:2"]]
    draining.pass_time(5)
    assert draining.stops == []
    draining.drain.begin("x")
    draining.pass_time(1.9)
    assert draining.stops == []
    draining.pass_time(0.4)
    assert len(draining.stops) == 1


def test_config_drain() -> None:
    """``true`` and ``false``, nothing else; GET shows how it is."""
    draining = Draining()
    node = draining.node
    asked: list[bool] = []
    node.set_draining = asked.append
    assert node.config_get("drain") is False
    node.config_set("drain", b"true")
    node.config_set("drain", b"false")
    assert asked == [True, False]
    for body in (b"True", b"1", b"true\n", b""):
        with pytest.raises(ValueError, match="neither"):
            node.config_set("drain", body)
    draining.drain.begin("x")
    assert node.config_get("drain") is True
