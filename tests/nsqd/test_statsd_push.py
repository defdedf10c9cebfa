"""Pushing to statsd: when, where to, and what does not disturb."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher

from nsqtx.broker.broker import Broker, Settings
from nsqtx.nsqd.statsd import StatsdLines
from nsqtx.nsqd.statsd_push import TURN, StatsdPusher, statsd_place
from tests.support.lists import ListStore
from tests.support.udp import FakeUdpReactor

HERE = ("127.0.0.1", 8125)


@pytest.fixture
def events() -> Iterator[list[LogEvent]]:
    """What is logged."""
    found: list[LogEvent] = []
    observer: ILogObserver = cast(ILogObserver, found.append)
    globalLogPublisher.addObserver(observer)
    yield found
    globalLogPublisher.removeObserver(observer)


def pusher(
    reactor: FakeUdpReactor,
    topics: int = 1,
    place: tuple[str, int] = HERE,
    interval: float = 10.0,
    size: int = 508,
) -> StatsdPusher:
    """A started one, of a broker with so many topics of four lines each."""
    broker = Broker(ListStore(), reactor.seconds, Settings())
    for number in range(topics):
        broker.get_topic(f"t{number:05}")
    made = StatsdPusher(reactor, place, interval, size, StatsdLines(broker, "", memory=False))
    made.start()
    return made


def test_first_push_after_one_interval() -> None:
    """Nothing is sent before an interval has passed, then once in each."""
    reactor = FakeUdpReactor()
    pusher(reactor)
    reactor.advance(9.9)
    assert reactor.sent == []
    reactor.advance(0.1)
    reactor.pump([1.0] * 9)
    assert [(when, place) for when, place, _ in reactor.sent] == [(10.0, HERE)]
    assert reactor.sent[0][2].count(b"\n") == 4
    assert reactor.open_ports == 0
    reactor.advance(1.0)
    assert len(reactor.sent) == 2


def test_datagrams_are_spread_evenly() -> None:
    """What is sent in a push is spread over its interval less a second."""
    reactor = FakeUdpReactor()
    pusher(reactor, topics=10, interval=11.0, size=1)
    reactor.advance(11.0)
    reactor.pump([0.05] * 219)
    times = [when - 11.0 for when, _, _ in reactor.sent]
    assert len(times) == 40
    assert times == pytest.approx([number * 10.0 / 40 for number in range(40)], abs=0.051)


@pytest.mark.parametrize("interval", [1.0, 0.5])
def test_short_intervals(interval: float) -> None:
    """An interval of a second or less spreads nothing, and works."""
    reactor = FakeUdpReactor()
    pusher(reactor, interval=interval)
    reactor.pump([interval] * 3)
    assert [when for when, _, _ in reactor.sent] == [interval, 2 * interval, 3 * interval]


def test_a_big_push_lets_others_have_a_turn() -> None:
    """Even when nothing is spread, only so many datagrams are made in a turn of the reactor."""
    reactor = FakeUdpReactor()
    pusher(reactor, topics=100, interval=1.0, size=1)
    reactor.advance(1.0)
    assert len(reactor.sent) == 400
    assert reactor.delays.count(0.0) == 400 // TURN - 1


def test_one_push_ends_before_the_next_begins() -> None:
    """A push that takes too long costs the next one, not the order."""
    reactor = FakeUdpReactor(statsd="192.0.2.1")
    reactor.slow["statsd"] = None
    pusher(reactor, place=("statsd", 8125))
    reactor.advance(10.0)
    reactor.pump([1.0] * 25)
    assert reactor.lookups == ["statsd"]
    reactor.answer("statsd")
    assert [place for _, place, _ in reactor.sent] == [("192.0.2.1", 8125)]
    reactor.advance(5.0)
    assert reactor.lookups == ["statsd", "statsd"]


def test_a_name_is_looked_up_each_time() -> None:
    """The first address of the name is used, as it is at the time."""
    reactor = FakeUdpReactor(statsd="192.0.2.1")
    pusher(reactor, place=("statsd", 1))
    reactor.advance(10.0)
    reactor.names["statsd"] = "192.0.2.2"
    reactor.advance(10.0)
    assert [place for _, place, _ in reactor.sent] == [("192.0.2.1", 1), ("192.0.2.2", 1)]


def test_ipv6() -> None:
    """An IPv6 address gets an IPv6 socket, and no lookup."""
    reactor = FakeUdpReactor()
    pusher(reactor, place=("::1", 1))
    pusher(reactor, place=HERE)
    reactor.advance(10.0)
    assert (reactor.interfaces, reactor.lookups) == (["::", ""], [])
    assert [place for _, place, _ in reactor.sent] == [("::1", 1), HERE]


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("127.0.0.1:8125", HERE),
        ("[::1]:8125", ("::1", 8125)),
        ("statsd.example:1", ("statsd.example", 1)),
        (":8125", ("localhost", 8125)),
    ],
)
def test_addresses(address: str, place: tuple[str, int]) -> None:
    """A statsd has an address or a name, and a port."""
    assert statsd_place(address) == place


@pytest.mark.parametrize(
    "address", ["statsd", "::1:8125", "h:http", "h:65536", "/run/statsd", "h:"]
)
def test_bad_addresses(address: str) -> None:
    """What has no port is refused, by its name."""
    with pytest.raises(ValueError, match=f"{address} is not host:port"):
        statsd_place(address)


@pytest.mark.parametrize("problem", ["name", "listen", "send", "length"])
def test_a_push_that_fails(problem: str, events: list[LogEvent]) -> None:
    """Is lost, says why once, and disturbs nobody; the next one may work."""
    reactor = FakeUdpReactor()
    pusher(reactor, place=("statsd", 8125))
    if problem != "name":
        reactor.names["statsd"] = "192.0.2.1"
    if problem == "listen":
        reactor.refuse_to_listen = CannotListenError("", 0, OSError(24, "too many files"))
    elif problem == "send":
        reactor.refuse_to_send = OSError(101, "network is unreachable")
    elif problem == "length":
        reactor.refuse_to_send = MessageLengthError("message too long")
    reactor.pump([10.0] * 3)
    assert len(events) == 1
    assert "statsd" in events[0]["log_format"]
    assert (reactor.sent, reactor.open_ports) == ([], 0)
    reactor.names["statsd"] = "192.0.2.1"
    reactor.refuse_to_listen = reactor.refuse_to_send = None
    reactor.advance(10.0)
    (sent,) = reactor.sent
    assert b"topic.t00000.depth:0|g\n" in sent[2]


def test_counters_of_a_push_that_had_no_address_come_with_the_next() -> None:
    """As long as no line was made, nothing is forgotten."""
    reactor = FakeUdpReactor()
    broker = Broker(ListStore(), reactor.seconds, Settings())
    broker.get_topic("t").publish([b"a"])
    lines = StatsdLines(broker, "", memory=False)
    StatsdPusher(reactor, ("statsd", 1), 10.0, 508, lines).start()
    reactor.advance(10.0)
    broker.get_topic("t").publish([b"b"])
    reactor.names["statsd"] = "192.0.2.1"
    reactor.advance(10.0)
    assert b"topic.t.message_count:2|c\n" in reactor.sent[0][2]


@pytest.mark.parametrize("when", ["before", "looking up", "sending"])
def test_stop(when: str, events: list[LogEvent]) -> None:
    """Whatever goes on, it ends there and the socket is closed."""
    reactor = FakeUdpReactor(statsd="192.0.2.1")
    reactor.slow["statsd"] = None
    place = ("statsd", 1) if when == "looking up" else HERE
    pushing = pusher(reactor, topics=10, place=place, size=1)
    if when != "before":
        reactor.advance(10.0)
    stopped = pushing.stop()
    assert stopped.called
    sent = len(reactor.sent)
    assert (sent, reactor.open_ports) == (1 if when == "sending" else 0, 0)
    if when == "looking up":
        reactor.answer("statsd")
    reactor.advance(100.0)
    assert (len(reactor.sent), reactor.getDelayedCalls(), events) == (sent, [], [])
