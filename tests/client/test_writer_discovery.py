"""A Writer that finds its nsqds by nsqlookupd."""

from __future__ import annotations

from random import Random

import pytest

from nsqtx.client.config import WriterConfig
from nsqtx.client.errors import ConfigError
from nsqtx.client.events import Event, LookupRound
from nsqtx.client.writer import Writer
from nsqtx.nsqlookupd.entries import Producer
from nsqtx.nsqlookupd.http import LookupApi
from nsqtx.nsqlookupd.node import Node
from nsqtx.nsqlookupd.options import NsqlookupdOptions
from tests.support.httpnet import HttpNet
from tests.support.lookup import peer
from tests.support.scriptednsqd import Network, ScriptedNsqd
from tests.support.writers import result


class Found:
    """A Writer, an nsqlookupd of ours, and nsqds that it may know."""

    def __init__(self, given: list[str], nsqds: int = 2) -> None:
        self.network = Network()
        self.net = HttpNet(self.network)
        self.node = Node(NsqlookupdOptions(), self.network)
        self.net.sites["l:4161"] = LookupApi(self.node).site()
        self.nsqds = [ScriptedNsqd(self.network, 4150 + number) for number in range(nsqds)]
        self.producers: dict[int, Producer] = {}
        self.events: list[Event] = []
        self.writer = Writer(
            given,
            lookupd_http_addresses=["l:4161"],
            reactor=self.network,
            agent=self.net.agent,
            config=WriterConfig(lookupd_poll_interval=10, max_reconnect_delay=1),
            on_event=self.events.append,
            random=Random(1),
        )

    def register(self, number: int) -> None:
        """An nsqd makes itself known; it need have no topic."""
        fields = {"broadcast_address": "127.0.0.1", "tcp_port": 4150 + number}
        producer = Producer(f"peer {number}", peer(**fields), self.node.now())
        self.node.registry.add(producer)
        self.producers[number] = producer

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 4)):
            self.network.advance(0.25)
            self.net.flush()

    def addresses(self) -> list[str]:
        return [each.address for each in self.writer.stats().nsqds]


def test_nsqds_are_found_and_forgotten() -> None:
    """All that nsqlookupd knows are used; one that is gone from there, and lost, is given up."""
    found = Found(["127.0.0.1:4150"])
    found.register(1)
    found.writer.startService()
    found.pass_time(1)
    assert found.addresses() == ["127.0.0.1:4150", "127.0.0.1:4151"]
    assert found.writer.stats().connections == 2
    publishes = [found.writer.publish("t", b"a") for _ in range(2)]
    for nsqd in found.nsqds:
        nsqd.connection.ok()
    assert [result(publish) for publish in publishes] == [b"OK"] * 2
    found.node.registry.remove(found.producers[1])
    found.pass_time(15)
    assert found.writer.stats().connections == 2, "what is connected stays"
    found.nsqds[1].up = False
    found.nsqds[1].connection.lose()
    found.pass_time(15)
    assert found.addresses() == ["127.0.0.1:4150"]
    assert found.writer.stats().published == 2, "its figures are not lost"
    assert any(isinstance(event, LookupRound) for event in found.events)
    stopping = found.writer.stopService()
    found.pass_time(1)
    assert stopping.called
    assert found.network.getDelayedCalls() == []


def test_publishes_wait_until_one_is_found() -> None:
    """Without any nsqd that was given, publishes wait for nsqlookupd to know one."""
    found = Found([], nsqds=1)
    found.writer.startService()
    publish = found.writer.publish("t", b"a")
    found.pass_time(1)
    assert found.addresses() == []
    found.register(0)
    found.pass_time(15)
    found.nsqds[0].connection.ok()
    assert result(publish) == b"OK"
    stopping = found.writer.stopService()
    found.pass_time(1)
    assert stopping.called


def test_a_bad_address_of_a_nsqlookupd() -> None:
    """It is an error when the Writer is made."""
    with pytest.raises(ConfigError, match="nsqlookupd"):
        Writer(reactor=Network(), lookupd_http_addresses=["ftp://x"])
