"""nsqd's side of nsqlookupd: registering, staying connected, asking about new topics."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock

from nsqtx.broker.broker import Broker, Settings
from nsqtx.broker.channel import Channel
from nsqtx.broker.topic import Topic
from nsqtx.nsqd import lookup_peer
from nsqtx.nsqd.lookup_connection import ANSWER_TIMEOUT
from nsqtx.nsqd.lookup_peer import LONGEST_PAUSE, PING_INTERVAL
from nsqtx.nsqd.lookups import Lookups
from nsqtx.nsqd.node import Node
from nsqtx.nsqd.options import NsqdOptions
from tests.support.lists import ListStore
from tests.support.logged import Logged
from tests.support.lookupds import GREETING, FakeLookupd

RECORDED = Path(__file__).parents[1] / "golden/data/nsqd_client.json"


class World:
    """A nsqd without sockets, and nsqlookupds by address."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1e9)
        options = NsqdOptions(broadcast_address="b.example", topology_zone="z")
        options.broadcast_tcp_port, options.broadcast_http_port = 4150, 4151
        self.broker = Broker(ListStore(), self.clock.seconds, Settings(), self.changed)
        self.node = Node(options, self.broker, self.clock, self.clock.seconds(), hostname="host")
        self.lookupds = {"l:1": FakeLookupd(self.clock)}
        self.asked: list[str] = []
        self.answers: dict[str, Deferred[list[str]]] = {}
        self.lookups = Lookups(self.node, self.clock, self.endpoint, self.ask, Random(1))

    def changed(self, kind: str, topic: Topic, channel: Channel | None) -> None:
        self.lookups.changed(kind, topic, channel)

    def endpoint(self, address: str) -> FakeLookupd:
        if address not in self.lookupds:
            raise ValueError(f"{address!r} is not host:port")
        return self.lookupds[address]

    def ask(self, url: str) -> Deferred[list[str]]:
        self.asked.append(url)
        return self.answers.get(url, succeed([]))

    def set_addresses(self, *addresses: str) -> None:
        """Name the nsqlookupds, and let it come to what it comes to."""
        self.lookups.set_addresses(addresses)
        self.settle()

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        for lookupd in self.lookupds.values():
            lookupd.settle()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)
        self.settle()

    def read(self) -> list[str]:
        """What the first nsqlookupd got since the last call."""
        lookupd = self.lookupds["l:1"]
        self.settle()
        received, lookupd.received = lookupd.received, []
        return received

    def act(self, target: str) -> None:
        """What a POST to this target does."""
        path = urlsplit(target).path
        query = {name: value[0] for name, value in parse_qs(urlsplit(target).query).items()}
        topic = query["topic"]
        if path == "/topic/create":
            self.broker.get_topic(topic)
        elif path == "/topic/delete":
            self.broker.delete_topic(topic)
        elif path == "/channel/create":
            self.broker.topics[topic].get_channel(query["channel"])
        else:
            assert path == "/channel/delete"
            self.broker.topics[topic].delete_channel(query["channel"])
        self.settle()


@pytest.fixture
def world() -> World:
    return World()


IDENTIFY = (
    'IDENTIFY\n<int32 size>{"broadcast_address":"b.example","hostname":"host","http_port":4151,'
    '"tcp_port":4150,"topology_region":"","topology_zone":"z","version":"1.3.0"}'
)
URL = "http://l.example:4161/channels?topic=t"


def recorded(number: int) -> dict[str, Any]:
    """One run of the original against a nsqlookupd that answers."""
    run: dict[str, Any] = json.loads(RECORDED.read_text())["runs"][number]
    places = {"<host>": "host", "<nsqd.http_port>": "4151", "<nsqd.tcp_port>": "4150"}
    for key, value in places.items():
        run["received"] = [each.replace(key, value) for each in run["received"]]
    return run


def test_recorded_life(world: World) -> None:
    """What the original sends for topics and channels that come and go, we send; a PING then."""
    run = recorded(0)
    world.set_addresses("l:1")
    for action in run["actions"]:
        world.act(action)
    world.wait(PING_INTERVAL)
    received = world.read()
    world.lookups.leave()
    world.settle()
    assert not world.lookupds["l:1"].connected
    expected = run["received"][:-1]
    # Deleting a topic unregisters it and its channels, in no fixed order.
    at = expected.index("UNREGISTER t\n")
    assert sorted(received[at : at + 2]) == sorted(expected[at : at + 2])
    del received[at : at + 2], expected[at : at + 2]
    assert received == expected


def test_recorded_refusal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who answers E_INVALID to IDENTIFY is left, and tried again later."""
    run = recorded(1)
    monkeypatch.setattr(lookup_peer, "pause", lambda failures, random: 1.0)
    world.lookupds["l:1"] = FakeLookupd(world.clock, [run["stub_answer_to_IDENTIFY"].encode()])
    world.set_addresses("l:1")
    assert not world.lookupds["l:1"].connected
    world.act(run["actions"][0])
    assert world.broker.topics["t"].started
    world.wait(1.0)
    assert not world.lookupds["l:1"].connected
    assert world.read() == [each for each in run["received"] if each != "<closed by nsqd>"]


def test_registers_what_there_is(world: World) -> None:
    """A topic with channels is registered through them, one without by itself."""
    world.act("/topic/create?topic=t")
    world.act("/topic/create?topic=u")
    for channel in ("a", "b"):
        world.act(f"/channel/create?topic=t&channel={channel}")
    world.set_addresses("l:1")
    expected = ["REGISTER t a\n", "REGISTER t b\n", "REGISTER u\n"]
    assert world.read() == ["<connect>", "  V1", IDENTIFY, *expected]
    assert world.lookups.peers["l:1"].connected


def test_connects_again(world: World) -> None:
    """A lost connection is made again after a pause, and everything registered again."""
    world.set_addresses("l:1")
    world.act("/topic/create?topic=t")
    world.read()
    world.lookupds["l:1"].drop()
    world.settle()
    world.act("/topic/delete?topic=t")
    world.act("/topic/create?topic=u")
    assert world.read() == []
    assert not world.lookups.peers["l:1"].connected
    world.wait(LONGEST_PAUSE)
    assert world.read() == ["<connect>", "  V1", IDENTIFY, "REGISTER u\n"]


def test_pauses_grow(world: World) -> None:
    """Attempts to reach one that is down become seldom, but go on."""
    lookupd = world.lookupds["l:1"]
    lookupd.down = True
    world.set_addresses("l:1")
    for _ in range(3600):
        world.wait(1.0)
    assert 3600 / LONGEST_PAUSE <= lookupd.attempts <= 3600 / (LONGEST_PAUSE / 10) + 20
    lookupd.down = False
    world.wait(LONGEST_PAUSE)
    assert lookupd.connected


@pytest.mark.parametrize("failures", range(1, 20))
def test_pauses_are_random(failures: int) -> None:
    """No two nsqd come back in step; no pause is longer than promised."""
    random = Random(failures)
    pauses = {lookup_peer.pause(failures, random) for _ in range(20)}
    assert len(pauses) > 10
    assert all(0 < each <= LONGEST_PAUSE for each in pauses)


def test_silence(world: World) -> None:
    """One that does not answer is left; a link that was cut is noticed by the PING."""
    lookupd = world.lookupds["l:1"]
    world.set_addresses("l:1")
    world.read()
    lookupd.silent = True
    world.wait(PING_INTERVAL)
    assert world.read() == ["PING\n"]
    assert lookupd.connected
    world.wait(ANSWER_TIMEOUT)
    assert not lookupd.connected
    assert not world.lookups.peers["l:1"].connected


@pytest.mark.parametrize(
    "answer",
    [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\2OK"],
    ids=["negative", "huge", "to nothing"],
)
def test_nonsense(world: World, answer: bytes) -> None:
    """What is not V1 ends the connection, not nsqd."""
    world.set_addresses("l:1")
    world.read()
    world.lookupds["l:1"].send(answer)
    world.settle()
    assert not world.lookupds["l:1"].connected


@pytest.mark.parametrize("answer", [b"", b"E_BAD_BODY x", b"[1]", b"null", b'{"http_port":"x"}'])
def test_nobody_we_know(answer: bytes) -> None:
    """Whoever answers IDENTIFY with anything but its description is left."""
    world = World()
    world.lookupds["l:1"] = FakeLookupd(world.clock, [answer])
    world.set_addresses("l:1")
    assert not world.lookupds["l:1"].connected
    assert world.lookups.peers["l:1"].info is None


def test_addresses_change(world: World) -> None:
    """At run time: who is no longer named is left, who is new is told everything."""
    world.lookupds["m:1"] = FakeLookupd(world.clock)
    world.node.set_lookupds = world.lookups.set_addresses
    world.set_addresses("l:1", "l:1")
    world.act("/topic/create?topic=t")
    world.node.config_set("nsqlookupd_tcp_addresses", b'["m:1","nonsense"]')
    world.settle()
    assert not world.lookupds["l:1"].connected
    assert world.lookupds["m:1"].received[-1] == "REGISTER t\n"
    assert list(world.lookups.peers) == ["m:1"]
    world.node.config_set("nsqlookupd_tcp_addresses", b"null")
    world.settle()
    assert not world.lookupds["m:1"].connected
    assert world.broker.autostart
    world.wait(3600)
    assert world.lookupds["m:1"].attempts == 1


def test_a_new_topic_learns_its_channels(world: World) -> None:
    """Its first message waits for the channels it has elsewhere, and goes to all of them."""
    answer: Deferred[list[str]] = Deferred()
    world.answers[URL] = answer
    world.set_addresses("l:1")
    topic = world.broker.get_topic("t")
    topic.publish([b"m"])
    topic.get_channel("own")
    assert world.asked == [URL]
    assert not topic.started
    assert topic.depth == 1
    answer.callback(["b", "a", "x#ephemeral", "not valid", "own"])
    assert topic.depth == 0
    assert {name: channel.depth for name, channel in topic.channels.items()} == {
        "own": 1,
        "a": 1,
        "b": 1,
    }


def test_some_do_not_answer(world: World) -> None:
    """What the others know is enough; nobody's answer is no reason to wait for ever."""
    world.lookupds["m:1"] = FakeLookupd(world.clock, [GREETING.replace(b"l.example", b"::1")])
    other = "http://[::1]:4161/channels?topic=t"
    world.answers = {URL: fail(ConnectionLost()), other: succeed(["a"])}
    world.set_addresses("l:1", "m:1")
    assert list(world.broker.get_topic("t").channels) == ["a"]
    assert sorted(world.asked) == sorted([URL, other])
    world.answers = {each: fail(ConnectionLost()) for each in (URL, other)}
    world.broker.delete_topic("t")
    topic = world.broker.get_topic("t")
    assert topic.started
    assert not topic.channels


def test_a_first_attempt_is_waited_for(world: World) -> None:
    """A topic made while nsqd connects for the first time still learns its channels."""
    world.lookupds["l:1"].slow = True
    world.answers[URL] = succeed(["a"])
    world.set_addresses("l:1")
    topic = world.broker.get_topic("t")
    assert not topic.started
    world.lookupds["l:1"].accept()
    world.settle()
    assert topic.started
    assert list(topic.channels) == ["a"]


def test_one_that_is_down_is_not_waited_for(world: World) -> None:
    """Neither at the first attempt, once that failed, nor later."""
    lookupd = world.lookupds["l:1"]
    lookupd.slow = True
    world.set_addresses("l:1")
    topic = world.broker.get_topic("t")
    lookupd.refuse()
    world.settle()
    assert topic.started
    assert world.broker.get_topic("u").started
    assert world.asked == []


def test_asked_while_its_connection_is_down(world: World) -> None:
    """One that was identified once is asked over HTTP, whatever became of the connection."""
    world.set_addresses("l:1")
    world.lookupds["l:1"].down = True
    world.lookupds["l:1"].drop()
    world.settle()
    world.broker.get_topic("t")
    assert world.asked == [URL]


def test_a_topic_that_goes_meanwhile(world: World) -> None:
    """An answer for a topic that was deleted makes no channel."""
    answer: Deferred[list[str]] = Deferred()
    world.answers[URL] = answer
    world.set_addresses("l:1")
    topic = world.broker.get_topic("t")
    world.broker.delete_topic("t")
    answer.callback(["a"])
    assert not topic.channels
    assert "t" not in world.broker.topics


def test_leaving_before_anybody_was_reached(world: World) -> None:
    """A topic that waits for the first connection is started, and no error is left behind."""
    with Logged() as logged:
        world.lookups.set_addresses(["l:1"])
        topic = world.broker.get_topic("t")
        assert not topic.started
        world.lookups.leave()
        gc.collect()
    assert topic.started
    assert logged.failures == []
    assert world.asked == []


def test_leaving(world: World) -> None:
    """Nothing goes on afterwards: no connection, no question, no timer; topics are started."""
    world.answers[URL] = Deferred()
    world.set_addresses("l:1")
    topic = world.broker.get_topic("t")
    left: list[Any] = []
    world.lookups.leave().addCallback(left.append)
    world.settle()
    assert left
    assert topic.started
    assert not world.lookupds["l:1"].connected
    assert not world.clock.getDelayedCalls()
    world.set_addresses("l:1")
    assert not world.lookups.peers
