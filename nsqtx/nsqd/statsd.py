"""What nsqd tells a statsd: lines in order, counters as differences, datagrams (nsqd-engine 11).

A push is made piece by piece, while it is being sent: the figures of a topic are those of the
moment at which its lines are made. So it costs no memory to speak of, however many topics there
are, and never keeps the reactor for long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

from nsqtx.broker.broker import Broker
from nsqtx.broker.channel import Channel
from nsqtx.broker.quantile import LatencyWindow, summary
from nsqtx.broker.topic import Topic
from nsqtx.web.memory import memory_stats

__all__ = ["StatsdLines", "datagrams", "expand_prefix"]

#: Lines of a topic, of a channel and of the memory, without percentiles.
_TOPIC_LINES, _CHANNEL_LINES, _MEMORY_LINES = 4, 8, 9


def expand_prefix(prefix: str, address: str, port: int) -> str:
    """``--statsd-prefix`` with every ``%s`` replaced by the host, and a dot at its end.

    ``address`` and ``port`` are the broadcast address and HTTP port.
    """
    host = f"{address}:{port}".translate({ord("."): "_", ord(":"): "_"})
    prefix = prefix.replace("%s", host)
    return prefix if not prefix or prefix.endswith(".") else prefix + "."


def datagrams(lines: Iterable[bytes], size: int) -> Iterator[tuple[int, bytes]]:
    """Whole lines, packed into datagrams of up to ``size`` bytes; a longer line goes alone.

    Each comes with the number of its lines.
    """
    packed: list[bytes] = []
    length = 0
    for line in lines:
        if packed and length + len(line) > size:
            yield len(packed), b"".join(packed)
            packed, length = [], 0
        packed.append(line)
        length += len(line)
    if packed:
        yield len(packed), b"".join(packed)


class StatsdLines:
    """The lines of one push after the other.

    Remembers the counters of the last push. A topic or channel that was deleted and made again
    begins anew, so that its counters never go backwards.
    """

    def __init__(
        self, broker: Broker, prefix: str, exclude_ephemeral: bool = False, memory: bool = True
    ) -> None:
        self._broker = broker
        self._prefix = prefix
        self._exclude = exclude_ephemeral
        self._memory = memory
        #: Counters by whom they are of: a topic, a channel, or None for the process.
        self._last: dict[Topic | Channel | None, tuple[int, ...]] = {}

    def count(self) -> int:
        """How many lines a push has that begins now."""
        more = len(self._broker.settings.latency_quantiles)
        lines = _MEMORY_LINES if self._memory else 0
        for topic in self._broker.topics.values():
            if not (self._exclude and topic.ephemeral):
                channels = len(self._channels(topic))
                lines += _TOPIC_LINES + channels * (_CHANNEL_LINES + more)
                lines += more if topic.channels else 0
        return lines

    def _channels(self, topic: Topic) -> list[Channel]:
        """The channels that are pushed."""
        channels = list(topic.channels.values())
        return [c for c in channels if not c.ephemeral] if self._exclude else channels

    def lines(self) -> Iterator[bytes]:
        """The lines of a push, each with its newline: topics and channels by name, memory last."""
        topics = self._broker.topics
        seen: set[Topic | Channel | None] = {None}
        for name in sorted(topics):
            topic = topics.get(name)
            if topic is None or (self._exclude and topic.ephemeral):
                continue
            seen.add(topic)
            yield from self._topic(topic)
            for channel in sorted(self._channels(topic), key=attrgetter("name")):
                seen.add(channel)
                yield from self._channel(topic, channel)
        if self._memory:
            yield from self._process()
        self._last = {whose: last for whose, last in self._last.items() if whose in seen}

    def _since(self, whose: Topic | Channel | None, counters: tuple[int, ...]) -> tuple[int, ...]:
        """By how much counters have grown since the last push."""
        last = self._last.get(whose)
        self._last[whose] = counters
        if last is None:
            return counters
        return tuple(new - old for new, old in zip(counters, last, strict=True))

    def _topic(self, topic: Topic) -> Iterator[bytes]:
        head = f"{self._prefix}topic.{topic.name}."
        messages, size = self._since(topic, (topic.message_count, topic.message_bytes))
        yield _line(head, "message_count", messages, "c")
        yield _line(head, "message_bytes", size, "c")
        yield _line(head, "depth", topic.depth, "g")
        yield _line(head, "backend_depth", topic.backend_depth, "g")
        yield from self._latencies(head, topic.channels.values())

    def _channel(self, topic: Topic, channel: Channel) -> Iterator[bytes]:
        head = f"{self._prefix}topic.{topic.name}.channel.{channel.name}."
        counters = (channel.message_count, channel.requeue_count, channel.timeout_count)
        messages, requeues, timeouts = self._since(channel, counters)
        yield _line(head, "message_count", messages, "c")
        yield _line(head, "depth", channel.depth, "g")
        yield _line(head, "backend_depth", channel.backend_depth, "g")
        yield _line(head, "in_flight_count", channel.in_flight_count, "g")
        yield _line(head, "deferred_count", channel.deferred_count, "g")
        yield _line(head, "requeue_count", requeues, "c")
        yield _line(head, "timeout_count", timeouts, "c")
        yield _line(head, "clients", len(channel.subscriptions), "g")
        yield from self._latencies(head, (channel,))

    def _latencies(self, head: str, channels: Iterable[Channel]) -> Iterator[bytes]:
        """The percentiles of some channels together."""
        quantiles = self._broker.settings.latency_quantiles
        if not quantiles:
            return
        windows: list[LatencyWindow] = [c.latency for c in channels if c.latency is not None]
        for each in summary(windows, quantiles, self._broker.now())["percentiles"] or ():
            name = f"e2e_processing_latency_{each['quantile'] * 100:.0f}"
            yield _line(head, name, each["value"], "g")

    def _process(self) -> Iterator[bytes]:
        figures: dict[str, Any] = dict(memory_stats())
        (runs,) = self._since(None, (figures.pop("gc_total_runs"),))
        head = f"{self._prefix}mem."
        for name, value in figures.items():
            yield _line(head, name, value, "g")
        yield _line(head, "gc_runs", runs, "c")


def _line(head: str, name: str, value: int, kind: str) -> bytes:
    return f"{head}{name}:{value}|{kind}\n".encode("utf-8", "surrogateescape")
