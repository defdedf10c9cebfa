"""The figures of nsqd in ``/metrics``, read from the broker and the disk when they are asked for.

At most ``--metrics-max-topics`` topics and as many channels have figures of their own: those made
first, so that one does not come and go with the others. The rest is summed under `OTHER`, which
no topic can be called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from nsqtx.broker.backlog import Backlog
from nsqtx.broker.channel import LATENCY_BOUNDS, Channel
from nsqtx.broker.topic import Topic
from nsqtx.histogram import Histogram
from nsqtx.interfaces import StorageError
from nsqtx.web.metrics import (
    DaemonCollector,
    Exposition,
    add_histogram,
    histogram_family,
    make_registry,
)
from nsqtx.wire.frames import timestamp_of

if TYPE_CHECKING:
    from nsqtx.nsqd.node import Node

__all__ = ["OTHER", "nsqd_exposition"]

#: The label of what has no figures of its own.
OTHER = "(other)"
#: Things whose figures are read at a time; a family is yielded in such parts.
PART = 20
NANOSECOND = 1e-9

_Of = TypeVar("_Of", Topic, Channel)


class Figure(NamedTuple, Generic[_Of]):
    """A number that each topic, or each channel, has."""

    name: str
    help: str
    of: Callable[[_Of], float]
    counter: bool = False


_TOPIC_FIGURES: tuple[Figure[Topic], ...] = (
    Figure("depth", "Messages that no channel has been given yet.", lambda t: t.depth),
    Figure(
        "backend_depth", "The part of the depth that is only in the log.", lambda t: t.backend_depth
    ),
    Figure("messages", "Messages published.", lambda t: t.message_count, True),
    Figure("message_bytes", "Bytes of the bodies published.", lambda t: t.message_bytes, True),
    Figure(
        "dropped_messages",
        "Messages dropped, for want of room, by an ephemeral topic.",
        lambda t: t.held.drop_count,
        True,
    ),
    Figure("paused", "1 if paused.", lambda t: t.paused),
    Figure("channels", "Number of channels.", lambda t: len(t.channels)),
)
_CHANNEL_FIGURES: tuple[Figure[Channel], ...] = (
    Figure("depth", "Messages ready to be delivered.", lambda c: c.depth),
    Figure(
        "backend_depth", "The part of the depth that is only in the log.", lambda c: c.backend_depth
    ),
    Figure(
        "in_flight",
        "Messages sent, and neither finished, requeued nor timed out.",
        lambda c: c.in_flight_count,
    ),
    Figure("deferred", "Messages waiting for their time.", lambda c: c.deferred_count),
    Figure("messages", "Messages received from the topic.", lambda c: c.message_count, True),
    Figure("requeued_messages", "Messages given back by REQ.", lambda c: c.requeue_count, True),
    Figure("timed_out_messages", "Messages not finished in time.", lambda c: c.timeout_count, True),
    Figure(
        "dropped_messages",
        "Messages dropped for want of room, where there is no log.",
        lambda c: c.drop_count,
        True,
    ),
    Figure(
        "dead_letters",
        "Messages moved to the dead-letter topic.",
        lambda c: c.dead_letters.count,
        True,
    ),
    Figure("clients", "Number of consumers.", lambda c: len(c.subscriptions)),
    Figure("paused", "1 if paused.", lambda c: c.paused),
)
_LATENCIES: tuple[tuple[str, str, Callable[[Channel], Histogram]], ...] = (
    ("end_to_end_latency_seconds", "From publish to FIN.", lambda c: c.end_to_end),
    ("processing_seconds", "From the last delivery to FIN.", lambda c: c.processing),
)


class _BrokerCollector:
    """Topics and channels."""

    def __init__(self, node: Node) -> None:
        self._node = node
        #: When the first message of a backlog was published that is only in the log, and its
        #: position: as long as that is the first, the log is not read again.
        self._fronts: WeakKeyDictionary[Backlog, tuple[int, int | None]] = WeakKeyDictionary()

    def collect(self) -> Iterator[Metric]:
        """All families, each in parts; see `nsqtx.web.metrics`."""
        topics = list(self._node.broker.topics.values())
        most = max(0, self._node.options.metrics_max_topics)
        shown, others = topics[:most], topics[most:]
        yield GaugeMetricFamily("nsqd_topics", "Number of topics.", len(topics))
        named = [(topic.name, topic) for topic in shown]
        for figure in _TOPIC_FIGURES:
            rows = [((name,), topic) for name, topic in named]
            yield from _family("nsqd_topic_", ["topic"], figure, rows, others)
        yield from self._ages("nsqd_topic_", ["topic"], [((n,), t.held, None) for n, t in named])
        yield from self._channels(named, others, most)

    def _channels(
        self, named: list[tuple[str, Topic]], others: list[Topic], most: int
    ) -> Iterator[Metric]:
        labels = ["topic", "channel"]
        every = [
            ((name, channel.name), channel)
            for name, topic in named
            for channel in list(topic.channels.values())
        ]
        rows = every[:most]
        rest = [channel for _, channel in every[most:]]
        rest += [channel for topic in others for channel in list(topic.channels.values())]
        for figure in _CHANNEL_FIGURES:
            yield from _family("nsqd_channel_", labels, figure, rows, rest)
        waiting = [(whose, channel.backlog, channel) for whose, channel in rows]
        yield from self._ages("nsqd_channel_", labels, waiting)
        for name, help, of in _LATENCIES:
            yield from _histograms(f"nsqd_channel_{name}", help, labels, of, rows, rest)

    def _ages(
        self,
        prefix: str,
        labels: list[str],
        rows: Sequence[tuple[tuple[str, ...], Backlog, Channel | None]],
    ) -> Iterator[Metric]:
        """How old the message is that comes next, of those that have one."""
        now = self._node.broker.now()
        for part in _parts(rows):
            family = GaugeMetricFamily(
                f"{prefix}oldest_message_age_seconds",
                "How long ago the message was published that is next; absent if none waits.",
                labels=labels,
            )
            for whose, backlog, channel in part:
                stamps = [self._front(backlog), *_again(channel)]
                known = [stamp for stamp in stamps if stamp is not None]
                if known:
                    family.add_metric(whose, max(0, now - min(known)) * NANOSECOND)
            yield family

    def _front(self, backlog: Backlog) -> int | None:
        """When the first message of a backlog was published; None: there is none to be seen."""
        if backlog.fresh:
            return timestamp_of(backlog.fresh[0])
        if not backlog.ranges:
            return None
        cursor = backlog.cursor
        found = self._fronts.get(backlog)
        if found is None or found[0] != cursor:
            try:
                first = backlog.first(1)
            except StorageError:
                return None
            found = self._fronts[backlog] = (cursor, timestamp_of(first[0]) if first else None)
        return found[1]


def _again(channel: Channel | None) -> list[int]:
    """The same of the messages that come again, as far as they are in memory."""
    first = channel.requeued.first(1) if channel is not None else ()
    return [timestamp_of(record) for _, _, _, record in first if record is not None]


_Row = TypeVar("_Row")


def _parts(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    for start in range(0, len(rows), PART):
        yield rows[start : start + PART]


def _family(
    prefix: str,
    labels: list[str],
    figure: Figure[_Of],
    rows: Sequence[tuple[tuple[str, ...], _Of]],
    others: Sequence[_Of],
) -> Iterator[Metric]:
    """A figure of those that have their own, and the sum of those of the others."""
    make = CounterMetricFamily if figure.counter else GaugeMetricFamily

    def family() -> CounterMetricFamily | GaugeMetricFamily:
        return make(prefix + figure.name, figure.help, labels=labels)

    for part in _parts(rows):
        some = family()
        for whose, thing in part:
            some.add_metric(whose, figure.of(thing))
        yield some
    total = 0.0
    for several in _parts(others):
        total += sum(map(figure.of, several))
        yield family()
    last = family()
    if others:
        last.add_metric([OTHER] * len(labels), total)
    yield last


def _histograms(
    name: str,
    help: str,
    labels: list[str],
    of: Callable[[Channel], Histogram],
    rows: Sequence[tuple[tuple[str, ...], Channel]],
    others: Sequence[Channel],
) -> Iterator[Metric]:
    """As `_family`; channels that have finished nothing yet are left out."""
    for part in _parts(rows):
        some = histogram_family(name, help, labels)
        for whose, channel in part:
            if of(channel).count:
                add_histogram(some, whose, of(channel), NANOSECOND)
        yield some
    total = Histogram(LATENCY_BOUNDS)
    for several in _parts(others):
        for channel in several:
            total.merge(of(channel))
        yield histogram_family(name, help, labels)
    last = histogram_family(name, help, labels)
    if total.count:
        add_histogram(last, [OTHER] * len(labels), total, NANOSECOND)
    yield last


class _NodeCollector:
    """The node as a whole, and its disk."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        """All families."""
        node = self._node
        healthy = node.store_health() is None
        yield GaugeMetricFamily(
            "nsqd_healthy", "1 as long as the disk takes what it is given.", healthy
        )
        yield GaugeMetricFamily("nsqd_connections", "Connections over TCP.", len(node.sessions))
        disk = node.counters
        for name, help, value in (
            ("appends", "Batches appended to logs.", disk.append_count),
            ("append_bytes", "Bytes of messages appended to logs.", disk.append_bytes),
            ("read_bytes", "Bytes read from logs.", disk.read_bytes),
            ("damages", "Damaged places passed over.", disk.damage_count),
            ("failures", "Refusals by the disk.", disk.failure_count),
        ):
            yield CounterMetricFamily(f"nsqd_disk_{name}", help, value)
        for name, help, histogram in (
            ("write", "Time of writes to logs.", disk.write_times),
            ("sync", "Time of syncs, until they were heard of.", disk.sync_times),
            ("checkpoint", "Time to write checkpoints.", disk.checkpoint_times),
        ):
            family = histogram_family(f"nsqd_disk_{name}_seconds", help)
            add_histogram(family, (), histogram)
            yield family


def nsqd_exposition(node: Node) -> Exposition:
    """What ``/metrics`` of a node says."""
    daemon = DaemonCollector("nsqd", node.clock, node.start_time, node.lag)
    registry = make_registry(daemon, _NodeCollector(node), _BrokerCollector(node))
    return Exposition(registry, node.clock)
