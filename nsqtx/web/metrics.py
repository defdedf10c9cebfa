"""``GET /metrics`` for Prometheus: what every daemon of ours has, without blocking the reactor.

A daemon has one `CollectorRegistry` of its own, with collectors that read their figures when they
are asked. A family with many samples is yielded in several parts, one right after the other; the
answer has its head once. Between two parts the reactor gets its turn when this one took 10 ms.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from typing import Any

from klein import Klein
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Cooperator
from twisted.python.failure import Failure

from nsqtx.histogram import Histogram
from nsqtx.version import NSQ_VERSION, __version__
from nsqtx.web.api import unlogged
from nsqtx.web.lag import ReactorLag
from nsqtx.web.site import ApiRequest

__all__ = [
    "DaemonCollector",
    "Exposition",
    "add_histogram",
    "add_metrics_route",
    "histogram_family",
    "make_registry",
]

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


def histogram_family(name: str, help: str, labels: Iterable[str] = ()) -> HistogramMetricFamily:
    """An empty family; `add_histogram` fills it."""
    return HistogramMetricFamily(name, help, labels=list(labels))


def add_histogram(
    family: HistogramMetricFamily, labels: Iterable[str], histogram: Histogram, unit: float = 1.0
) -> None:
    """Add a histogram whose values are in units of so many seconds."""
    buckets = [(floatToGoString(bound * unit), count) for bound, count in histogram.cumulative()]
    family.add_metric(list(labels), buckets, histogram.sum * unit)


class DaemonCollector:
    """What is known of any daemon; ``program`` begins the names."""

    def __init__(self, program: str, clock: IReactorTime, start: float, lag: ReactorLag) -> None:
        self._program = program
        self._clock = clock
        self._start = start
        self._lag = lag

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        program = self._program
        versions = {
            "version": __version__,
            "nsq_version": NSQ_VERSION,
            "python": platform.python_version(),
        }
        yield InfoMetricFamily(f"{program}_build", "Versions; always 1.", versions)
        uptime = max(0.0, self._clock.seconds() - self._start)
        yield GaugeMetricFamily(f"{program}_uptime_seconds", "Time since the start.", uptime)
        yield GaugeMetricFamily(
            f"{program}_reactor_last_lag_seconds",
            "How late the reactor was when it was last looked at.",
            self._lag.last,
        )
        family = histogram_family(
            f"{program}_reactor_lag_seconds", "How late the reactor was, looked at twice a second."
        )
        add_histogram(family, (), self._lag.seen)
        yield family


def make_registry(*collectors: object) -> CollectorRegistry:
    """A registry with these collectors and the figures of the process; nothing of it is global."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)  # type: ignore[arg-type]
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class _Part:
    """A registry of one family, for prometheus_client to write."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> list[Metric]:
        return [self._metric]


class Exposition:
    """Writes the figures of a registry as text. Who asks while it does gets the same answer."""

    def __init__(self, registry: CollectorRegistry, clock: IReactorTime) -> None:
        self.registry = registry
        self._waiting: list[Deferred[bytes]] = []
        self._cooperator = Cooperator(scheduler=lambda work: clock.callLater(0, work))

    def text(self) -> Deferred[bytes]:
        """The figures in the text format of Prometheus, version 0.0.4."""
        answer: Deferred[bytes] = Deferred()
        self._waiting.append(answer)
        if len(self._waiting) == 1:
            written: list[bytes] = []
            done = self._cooperator.coiterate(self._write(written))
            done.addCallbacks(lambda _: self._answer(b"".join(written)), self._answer)
        return answer

    def _write(self, written: list[bytes]) -> Iterator[None]:
        last = None
        for metric in self.registry.collect():
            text = generate_latest(_Part(metric))
            if metric.name == last:
                # The rest of a family whose head, two lines, is there already.
                text = text.split(b"\n", 2)[2]
            last = metric.name
            written.append(text)
            yield

    def _answer(self, result: bytes | Failure) -> None:
        waiting, self._waiting = self._waiting, []
        for answer in waiting:
            if isinstance(result, Failure):
                answer.errback(result)
            else:
                answer.callback(result)


def add_metrics_route(app: Klein) -> None:
    """Add ``/metrics`` to an app. The object that the app is bound to has an ``exposition``."""

    @app.route("/metrics", methods=["GET"])
    @unlogged
    def metrics(api: Any, request: ApiRequest) -> Any:
        def answer(text: bytes) -> bytes:
            request.set_header(b"Content-Type", CONTENT_TYPE)
            request.set_header(b"Content-Length", b"%d" % len(text))
            return text

        return api.exposition.text().addCallback(answer)
