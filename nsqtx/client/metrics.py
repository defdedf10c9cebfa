"""The figures of Readers and Writers for Prometheus, read when they are asked for.

::

    from prometheus_client import REGISTRY
    from nsqtx.client.metrics import ClientCollector

    collector = ClientCollector()
    REGISTRY.register(collector)
    collector.add_reader(reader)
    collector.add_writer(writer, "orders")

All names begin with ``nsqtx_client_``. What is of a Reader is labelled with its topic and channel;
what is of a Writer with the name it was added by. Readers of the same topic and channel in one
process are one, and so are Writers of the same name. Only gauges are by nsqd: a counter would be
gone with its nsqd.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from nsqtx.client.backoff import BackoffState
from nsqtx.client.source import Counts

if TYPE_CHECKING:
    from nsqtx.client.reader import Reader
    from nsqtx.client.stats import ReaderStats
    from nsqtx.client.writer import Writer, WriterStats

__all__ = ["ClientCollector"]

_COUNTERS = {
    "received": ("messages_received", "Messages that came from nsqd."),
    "finished": ("messages_finished", "FINs sent."),
    "requeued": ("messages_requeued", "REQs sent."),
    "touched": ("messages_touched", "TOUCHes sent, automatic ones included."),
    "failed": ("handler_failures", "Handlers that raised."),
    "gave_up": ("messages_given_up", "Messages with more than max_attempts."),
    "lost": ("answers_lost", "Answers that came too late, or whose connection was gone."),
}
_OF_READER = ("topic", "channel")
_OF_WRITER = ("writer",)


class _Gauges:
    """Gauges by name, samples with the same labels added up."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels
        self._values: dict[str, Counter[tuple[str, ...]]] = {}
        self._about: dict[str, tuple[str, str]] = {}

    def add(self, name: str, help: str, key: tuple[str, ...], value: float, more: str = "") -> None:
        """``more`` is the name of a label that ``key`` has a value for at its end."""
        self._about[name] = help, more
        # Not added to what is there by `Counter`, which would take integers alone.
        values = self._values.setdefault(name, Counter())
        values[key] += value  # type: ignore[assignment]

    def families(self) -> Iterator[Metric]:
        for name, values in self._values.items():
            help, more = self._about[name]
            labels = [*self._labels, more] if more else self._labels
            family = GaugeMetricFamily(f"nsqtx_client_{name}", help, labels=labels)
            for key, value in sorted(values.items()):
                family.add_metric(key, value)
            yield family


@attrs.define(eq=False)
class ClientCollector:
    """A collector for a registry of `prometheus_client`; it keeps what is added to it alive."""

    _readers: list[Reader] = attrs.Factory(list)
    _writers: list[tuple[Writer, str]] = attrs.Factory(list)

    def add_reader(self, reader: Reader) -> None:
        """Tell of this one, too."""
        self._readers.append(reader)

    def add_writer(self, writer: Writer, name: str = "") -> None:
        """Tell of this one, too."""
        self._writers.append((writer, name))

    def remove(self, client: Reader | Writer) -> None:
        """Tell of it no more."""
        self._readers = [each for each in self._readers if each is not client]
        self._writers = [each for each in self._writers if each[0] is not client]

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        readers = [((each.topic, each.channel), each.stats()) for each in self._readers]
        yield from _counters(readers)
        yield from _reader_gauges(readers)
        writers = [(name, writer.stats()) for writer, name in self._writers]
        yield from _writer_families(writers)


def _counters(readers: list[tuple[tuple[str, str], ReaderStats]]) -> Iterator[Metric]:
    sums: dict[tuple[str, str], Counts] = {}
    for key, stats in readers:
        sums.setdefault(key, Counts()).add(stats.counts)
    for field, (name, help) in _COUNTERS.items():
        family = CounterMetricFamily(f"nsqtx_client_{name}", help, labels=_OF_READER)
        for key, counts in sorted(sums.items()):
            family.add_metric(key, getattr(counts, field))
        yield family


def _reader_gauges(readers: list[tuple[tuple[str, str], ReaderStats]]) -> Iterator[Metric]:
    gauges = _Gauges(_OF_READER)
    for key, stats in readers:
        ready = stats.ready
        gauges.add("connections", "Connections of Readers.", key, len(stats.connections))
        for each in stats.connections:
            of_nsqd = (*key, each.address)
            gauges.add("rdy", "RDY, as sent last.", of_nsqd, each.rdy, "nsqd")
            help = "Messages not answered yet."
            gauges.add("in_flight", help, of_nsqd, each.in_flight, "nsqd")
        help = "Messages that may be in flight; 0 while paused."
        gauges.add("max_in_flight", help, key, ready.max_in_flight)
        help = "1 when some nsqd gives little more before it gets answers."
        gauges.add("starved", help, key, int(ready.starved))
        gauges.add("queued", "Messages that wait for a handler.", key, stats.queued)
        gauges.add("handlers", "Handlers that run.", key, stats.running)
        gauges.add("backoff_level", "How far Readers have backed off.", key, stats.backoff_level)
        help = "Seconds until a block is over."
        gauges.add("backoff_seconds", help, key, stats.backoff_remaining)
        for state in BackoffState:
            help = "1 for the state of backoff that a Reader is in."
            now = int(state.value == stats.backoff_state)
            gauges.add("backoff", help, (*key, state.value), now, "state")
    yield from gauges.families()


def _writer_families(writers: list[tuple[str, WriterStats]]) -> Iterator[Metric]:
    counters = {
        "published": "Messages that nsqd has said OK to.",
        "failed": "Messages whose publish has failed in the end.",
        "retried": "Publishes that were tried again.",
    }
    for field, help in counters.items():
        sums: Counter[str] = Counter()
        for name, stats in writers:
            sums[name] += getattr(stats, field)
        family = CounterMetricFamily(f"nsqtx_client_writer_{field}", help, labels=_OF_WRITER)
        for name, value in sorted(sums.items()):
            family.add_metric([name], value)
        yield family
    gauges = _Gauges(_OF_WRITER)
    for name, stats in writers:
        for each in stats.nsqds:
            key = (name, each.address)
            help = "1 when a Writer is connected to an nsqd."
            gauges.add("writer_connected", help, key, int(each.connected), "nsqd")
            help = "Publishes without an answer yet."
            gauges.add("writer_outstanding", help, key, each.outstanding, "nsqd")
        help = "Bytes of messages in publishes that have not come to an end."
        gauges.add("writer_outstanding_bytes", help, (name,), stats.outstanding_bytes)
        help = "Publishes that wait for a connection or for room."
        gauges.add("writer_waiting", help, (name,), stats.waiting)
        help = "Messages that wait for others to be sent with."
        gauges.add("writer_batched", help, (name,), stats.batched)
    yield from gauges.families()
