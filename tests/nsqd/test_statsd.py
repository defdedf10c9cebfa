"""The lines of statsd (nsqd-engine section 11): names, types and order are those of its table."""

from __future__ import annotations

import re

import pytest
from twisted.internet.task import Clock

from nsqtx.broker.broker import Broker
from nsqtx.nsqd.statsd import StatsdLines, datagrams, expand_prefix
from tests.support.brokers import SECOND, consume, make_broker
from tests.support.lists import ListStore

#: The table of section 11: name and type, in its order. ``<p>`` is there once for each percentile.
TABLE = """
topic.<t>.message_count                               c
topic.<t>.message_bytes                               c
topic.<t>.depth                                       g
topic.<t>.backend_depth                               g
topic.<t>.e2e_processing_latency_<p>                  g
topic.<t>.channel.<c>.message_count                   c
topic.<t>.channel.<c>.depth                           g
topic.<t>.channel.<c>.backend_depth                   g
topic.<t>.channel.<c>.in_flight_count                 g
topic.<t>.channel.<c>.deferred_count                  g
topic.<t>.channel.<c>.requeue_count                   c
topic.<t>.channel.<c>.timeout_count                   c
topic.<t>.channel.<c>.clients                         g
topic.<t>.channel.<c>.e2e_processing_latency_<p>      g
mem.heap_objects                                      g
mem.heap_idle_bytes                                   g
mem.heap_in_use_bytes                                 g
mem.heap_released_bytes                               g
mem.gc_pause_usec_100                                 g
mem.gc_pause_usec_99                                  g
mem.gc_pause_usec_95                                  g
mem.next_gc_bytes                                     g
mem.gc_runs                                           c
"""
ROWS = [tuple(row.split()) for row in TABLE.strip().splitlines()]


def rows_of(topic: str, channel: str, percentiles: list[str]) -> list[tuple[str, ...]]:
    """The table for one topic with one channel."""
    rows: list[tuple[str, ...]] = []
    for name, kind in ROWS:
        for percentile in percentiles if "<p>" in name else [""]:
            filled = name.replace("<t>", topic).replace("<c>", channel)
            rows.append((filled.replace("<p>", percentile), kind))
    return rows


def parse(lines: list[bytes]) -> list[tuple[str, int, str]]:
    """Name, value and type of each line."""
    parsed = []
    for line in lines:
        found = re.fullmatch(r"([^:|]+):(-?\d+)\|([cg])\n", line.decode())
        assert found, line
        parsed.append((found[1], int(found[2]), found[3]))
    return parsed


def values(lines: StatsdLines) -> dict[str, int]:
    """The values of the next push by name."""
    return {name: value for name, value, _ in parse(list(lines.lines()))}


@pytest.fixture
def clock() -> Clock:
    """The broker's."""
    clock = Clock()
    clock.advance(1_700_000_000)
    return clock


@pytest.fixture
def broker(clock: Clock) -> Broker:
    """A topic with a channel."""
    broker = make_broker(ListStore(), clock)
    broker.get_topic("t").get_channel("c")
    return broker


@pytest.mark.parametrize("quantiles", [[], [0.999, 0.95, 0.5]])
def test_every_line_of_the_table(clock: Clock, quantiles: list[float]) -> None:
    """Each name with its type, in the order of the table; percentiles only where configured."""
    broker = make_broker(ListStore(), clock, latency_quantiles=quantiles)  # type: ignore[arg-type]
    broker.get_topic("t").get_channel("c")
    found = [(name, kind) for name, _, kind in parse(list(StatsdLines(broker, "").lines()))]
    percentiles = [f"{quantile * 100:.0f}" for quantile in quantiles]
    assert found == rows_of("t", "c", percentiles)
    assert percentiles in ([], ["100", "95", "50"])
    assert StatsdLines(broker, "").count() == len(found)


def test_what_the_lines_say(broker: Broker, clock: Clock) -> None:
    """Each value is that of /stats, counters as the difference to the last push."""
    lines = StatsdLines(broker, "p.", memory=False)
    topic = broker.topics["t"]
    consumer = consume(broker, "t", "c", ready=2)
    topic.publish([b"a", b"bb", b"cc"])
    subscription = topic.channels["c"].subscriptions[0]
    subscription.requeue(consumer.ids[0], 5 * SECOND)
    topic.channels["c"].pause()
    clock.advance(61)
    broker.scan()
    first = {
        "p.topic.t.message_count": 3,
        "p.topic.t.message_bytes": 5,
        "p.topic.t.depth": 0,
        "p.topic.t.backend_depth": 0,
        "p.topic.t.channel.c.message_count": 3,
        "p.topic.t.channel.c.depth": 3,
        "p.topic.t.channel.c.backend_depth": 1,
        "p.topic.t.channel.c.in_flight_count": 0,
        "p.topic.t.channel.c.deferred_count": 0,
        "p.topic.t.channel.c.requeue_count": 1,
        "p.topic.t.channel.c.timeout_count": 1,
        "p.topic.t.channel.c.clients": 1,
    }
    assert values(lines) == first
    topic.publish([b"ddd"])
    again = values(lines)
    changed = {name: value for name, value in again.items() if value != first[name]}
    assert changed == {
        "p.topic.t.message_count": 1,
        "p.topic.t.message_bytes": 3,
        "p.topic.t.channel.c.message_count": 1,
        "p.topic.t.channel.c.depth": 4,
        "p.topic.t.channel.c.requeue_count": 0,
        "p.topic.t.channel.c.timeout_count": 0,
    }


def test_a_topic_made_again_counts_anew(broker: Broker) -> None:
    """Counters of a topic that was deleted and made again do not go backwards."""
    lines = StatsdLines(broker, "", memory=False)
    broker.topics["t"].publish([b"a"] * 5)
    assert values(lines)["topic.t.message_count"] == 5
    broker.delete_topic("t")
    broker.get_topic("t").publish([b"a"] * 2)
    assert values(lines)["topic.t.message_count"] == 2
    broker.delete_topic("t")
    assert values(lines) == {}
    assert list(lines._last) == []


def test_order_of_topics_and_channels(broker: Broker) -> None:
    """Topics are sorted by name, and so are the channels of each; names go in unchanged."""
    for channel in ("d", "b#ephemeral"):
        broker.get_topic("t").get_channel(channel)
    broker.get_topic("s")
    broker.get_topic("x#ephemeral")
    depths = [
        name.removesuffix(".depth")
        for name in values(StatsdLines(broker, "", memory=False))
        if name.endswith(".depth")
    ]
    assert depths == [
        "topic.s",
        "topic.t",
        "topic.t.channel.b#ephemeral",
        "topic.t.channel.c",
        "topic.t.channel.d",
        "topic.x#ephemeral",
    ]


def test_excluding_what_is_ephemeral(broker: Broker) -> None:
    """Ephemeral channels can be left out, and ephemeral topics with all of their channels."""
    broker.get_topic("t").get_channel("b#ephemeral")
    broker.get_topic("x#ephemeral").get_channel("c")
    lines = StatsdLines(broker, "", exclude_ephemeral=True, memory=False)
    found = values(lines)
    assert {name.rpartition(".")[0] for name in found} == {"topic.t", "topic.t.channel.c"}
    assert lines.count() == len(found)


def test_a_topic_deleted_during_a_push(broker: Broker) -> None:
    """A push goes on when topics go while it is being made."""
    broker.get_topic("u")
    lines = StatsdLines(broker, "", memory=False).lines()
    assert next(lines).startswith(b"topic.t.")
    broker.delete_topic("u")
    assert all(line.startswith(b"topic.t.") for line in lines)


def test_latencies(clock: Clock) -> None:
    """Percentiles are whole nanoseconds; a topic without channels has none."""
    broker = make_broker(ListStore(), clock, latency_quantiles=[1.0])  # type: ignore[arg-type]
    broker.get_topic("t").get_channel("c")
    broker.get_topic("lonely")
    consumer = consume(broker, "t", "c")
    broker.topics["t"].publish([b"a"])
    clock.advance(2)
    broker.topics["t"].channels["c"].subscriptions[0].finish(consumer.take())
    found = values(StatsdLines(broker, "", memory=False))
    assert found["topic.t.e2e_processing_latency_100"] == pytest.approx(2 * SECOND, rel=0.01)
    assert found["topic.t.channel.c.e2e_processing_latency_100"] == pytest.approx(
        2 * SECOND, rel=0.01
    )
    assert not any(name.startswith("topic.lonely.e2e") for name in found)


@pytest.mark.parametrize(
    ("size", "packed"),
    [
        (0, [(1, b"aa\n"), (1, b"bbbb\n"), (1, b"c\n"), (1, b"d\n")]),
        (4, [(1, b"aa\n"), (1, b"bbbb\n"), (2, b"c\nd\n")]),
        (8, [(2, b"aa\nbbbb\n"), (2, b"c\nd\n")]),
        (100, [(4, b"aa\nbbbb\nc\nd\n")]),
    ],
)
def test_datagrams(size: int, packed: list[tuple[int, bytes]]) -> None:
    """Whole lines are packed up to the size; a longer line goes alone."""
    assert list(datagrams([b"aa\n", b"bbbb\n", b"c\n", b"d\n"], size)) == packed


def test_no_lines_make_no_datagram() -> None:
    """Nothing to say, nothing to send."""
    assert list(datagrams([], 508)) == []


@pytest.mark.parametrize(
    ("prefix", "expanded"),
    [
        ("nsq.%s", "nsq.a_b_4151."),
        ("%s.%s.", "a_b_4151.a_b_4151."),
        ("mine", "mine."),
        ("", ""),
    ],
)
def test_prefix(prefix: str, expanded: str) -> None:
    """The host goes in with underscores for dots and colons, and the prefix ends with a dot."""
    assert expand_prefix(prefix, "a.b", 4151) == expanded
