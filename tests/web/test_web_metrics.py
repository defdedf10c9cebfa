"""What every daemon has at /metrics, and how the answer is made."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from nsqtx.web.lag import INTERVAL, ReactorLag
from nsqtx.web.metrics import DaemonCollector, Exposition, make_registry


class Parted:
    """A family in three parts, one of them empty, and another one after it."""

    def __init__(self) -> None:
        self.asked = 0
        self.broken = False

    def collect(self) -> Iterator[Metric]:
        self.asked += 1
        for names in ("ab", "", "c"):
            family = GaugeMetricFamily("parted", "In parts.", labels=["name"])
            for name in names:
                family.add_metric([name], 1)
            yield family
        if self.broken:
            raise ZeroDivisionError
        yield GaugeMetricFamily("whole", "In one.", 2)


@pytest.fixture
def clock() -> Clock:
    """At a time of these days."""
    clock = Clock()
    clock.advance(1_700_000_000)
    return clock


def result_of(clock: Clock, answer: Deferred[bytes]) -> str:
    """What an answer is in the end."""
    found: list[bytes] = []
    answer.addCallback(found.append)
    clock.advance(0)
    while not found:
        clock.advance(0)
    return found[0].decode()


def test_the_parts_of_a_family_have_one_head(clock: Clock) -> None:
    """They follow each other as if they had been one."""
    exposition = Exposition(make_registry(Parted()), clock)
    text = result_of(clock, exposition.text())
    assert text.startswith(
        "# HELP parted In parts.\n# TYPE parted gauge\n"
        'parted{name="a"} 1.0\nparted{name="b"} 1.0\nparted{name="c"} 1.0\n'
        "# HELP whole In one.\n# TYPE whole gauge\nwhole 2.0\n"
    )


def test_who_asks_meanwhile_gets_the_same_answer(clock: Clock) -> None:
    """One answer is made at a time, however many ask; who comes later gets a new one."""
    parted = Parted()
    exposition = Exposition(make_registry(parted), clock)
    first, second, third = (exposition.text() for _ in range(3))
    second.addErrback(lambda failure: failure.trap(CancelledError) and None)
    second.cancel()
    assert parted.asked == 0
    assert result_of(clock, first) == result_of(clock, third)
    assert parted.asked == 1
    result_of(clock, exposition.text())
    assert parted.asked == 2


def test_a_bug_in_a_collector_costs_one_answer(clock: Clock) -> None:
    """It reaches who asked, and the next one works."""
    parted = Parted()
    parted.broken = True
    exposition = Exposition(make_registry(parted), clock)
    failed: list[object] = []
    exposition.text().addErrback(lambda failure: failed.append(failure.type))
    clock.pump([0.0] * 20)
    assert failed == [ZeroDivisionError]
    parted.broken = False
    assert "whole 2.0\n" in result_of(clock, exposition.text())


def test_figures_of_any_daemon(clock: Clock) -> None:
    """Versions, uptime, lag of the reactor, the process and its garbage collector."""
    lag = ReactorLag(clock)
    daemon = DaemonCollector("nsqx", clock, clock.seconds() - 5, lag)
    text = result_of(clock, Exposition(make_registry(daemon), clock).text())
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {
        "nsqx_build_info",
        "nsqx_uptime_seconds",
        "nsqx_reactor_last_lag_seconds",
        "nsqx_reactor_lag_seconds",
        "process_cpu_seconds",
        "process_resident_memory_bytes",
        "process_open_fds",
        "python_gc_collections",
    } <= families.keys()
    assert families["nsqx_uptime_seconds"].samples[0].value == 5.0
    assert families["nsqx_build_info"].samples[0].labels["nsq_version"] == "1.3.0"


def test_nothing_is_global(clock: Clock) -> None:
    """Two registries know nothing of each other, nor does the library's own of them."""
    daemons = [DaemonCollector(name, clock, 0.0, ReactorLag(clock)) for name in ("one", "two")]
    texts = [result_of(clock, Exposition(make_registry(each), clock).text()) for each in daemons]
    assert ["one_build_info" in text for text in texts] == [True, False]
    assert b"_reactor_lag_" not in generate_latest(REGISTRY)


def test_lag_of_the_reactor(clock: Clock) -> None:
    """By how much a call comes late; a reactor in time has none."""
    lag = ReactorLag(clock)
    lag.start()
    clock.advance(INTERVAL)
    assert lag.last == 0.0
    clock.advance(INTERVAL + 0.2)
    assert lag.last == pytest.approx(0.2)
    clock.advance(INTERVAL - 0.2)
    assert lag.last == pytest.approx(0.0)
    clock.advance(4 * INTERVAL + 0.1)
    assert lag.last == pytest.approx(3 * INTERVAL + 0.1)
    clock.advance(INTERVAL - 0.1)
    assert lag.last == pytest.approx(0.0, abs=1e-6)
    assert lag.seen.count == 5
    lag.stop()
    assert clock.getDelayedCalls() == []
