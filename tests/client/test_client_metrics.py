"""The figures of Readers and Writers, as Prometheus gets them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from nsqtx.client import Reader, Writer
from nsqtx.client.metrics import ClientCollector
from nsqtx.testing import FakeNsqd, MemoryReactor
from tests.support.reading import Reading


def test_of_a_reader() -> None:
    """What it counted, and how it is: by topic and channel, RDY by nsqd."""
    collector = ClientCollector()
    registry = CollectorRegistry()
    registry.register(collector)
    with Reading(nsqds=2, max_in_flight=4) as reading:
        collector.add_reader(reading.reader)
        reading.put(b"a", b"b")
        reading.finish()

        def value(name: str, **labels: str) -> float | None:
            labels = {"topic": "t", "channel": "c", **labels}
            return registry.get_sample_value(f"nsqtx_client_{name}", labels)

        assert value("messages_received_total") == 2
        assert value("messages_finished_total") == 1
        assert value("handler_failures_total") == 0
        assert value("connections") == 2
        assert value("rdy", nsqd="127.0.0.1:4150") == 2
        assert value("in_flight", nsqd="127.0.0.1:4150") == 1
        assert value("max_in_flight") == 4
        assert value("backoff", state="normal") == 1
        reading.fail()
        assert value("backoff", state="normal") == 0
        assert value("backoff", state="block") == 1
        assert value("backoff_level") == 1
        assert value("backoff_seconds") == 2
        collector.remove(reading.reader)
        assert value("connections") is None


def test_readers_of_the_same_channel_are_one() -> None:
    """No sample comes twice, which Prometheus would refuse."""
    reactor = MemoryReactor()
    nsqd = FakeNsqd(reactor)
    collector = ClientCollector()
    for _ in range(2):
        reader = Reader(
            "t", "c", lambda _: None, reactor=reactor, nsqd_tcp_addresses=[nsqd.address]
        )
        reader.startService()
        collector.add_reader(reader)
    nsqd.put("t", *[b"x"] * 6)
    reactor.settle()
    registry = CollectorRegistry()
    registry.register(collector)
    text = generate_latest(registry).decode()
    assert 'nsqtx_client_messages_finished_total{channel="c",topic="t"} 6.0' in text
    assert 'nsqtx_client_rdy{channel="c",nsqd="127.0.0.1:4150",topic="t"} 2.0' in text
    samples = [line.rpartition(" ")[0] for line in text.splitlines() if line[0] != "#"]
    assert len(set(samples)) == len(samples)


def test_of_a_writer() -> None:
    """What it published, and what is under way."""
    reactor = MemoryReactor()
    nsqd = FakeNsqd(reactor)
    writer = Writer([nsqd.address], reactor=reactor)
    collector = ClientCollector()
    collector.add_writer(writer, "orders")
    registry = CollectorRegistry()
    registry.register(collector)
    writer.startService()
    reactor.wait_for(writer.multi_publish("t", [b"a", b"b"]))
    nsqd.ignore("PUB")
    waiting = writer.publish("t", b"c")
    reactor.settle()

    def value(name: str, **labels: str) -> float | None:
        found = registry.get_sample_value(
            f"nsqtx_client_writer_{name}", {"writer": "orders", **labels}
        )
        return found

    assert value("published_total") == 2
    assert value("failed_total") == 0
    assert value("connected", nsqd=nsqd.address) == 1
    assert value("outstanding", nsqd=nsqd.address) == 1
    assert value("waiting") == 0
    nsqd.connection.respond()
    reactor.wait_for(waiting)
    assert value("published_total") == 3
    reactor.wait_for(writer.stopService())
    collector.remove(writer)
    assert value("published_total") is None
