"""nsqd at /metrics."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from nsqtx.nsqd.metrics import OTHER, PART
from tests.support.brokers import SECOND, consume
from tests.support.http import Connection, Response
from tests.support.nsqdapi import Nsqd, token


@pytest.fixture
def nsqd() -> Nsqd:
    """An nsqd without sockets."""
    return Nsqd()


def scrape(nsqd: Nsqd) -> Response:
    """GET /metrics: its answer takes some turns of the reactor."""
    connection = Connection(nsqd.site)
    connection.send(b"GET /metrics HTTP/1.1\r\nHost: nsqd\r\n\r\n")
    while not connection.transport.value():
        nsqd.node.clock.advance(0)
    (response,) = connection.answers()
    return response


def samples(nsqd: Nsqd) -> dict[tuple[str, ...], float]:
    """Name and labels of each sample of topics and channels, with its value."""
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(scrape(nsqd).text):
        for sample in family.samples:
            labels = {**sample.labels}
            if "topic" in labels or not labels:
                key = (sample.name, *(labels[name] for name in sorted(labels, reverse=True)))
                assert key not in found
                found[key] = sample.value
    return found


def test_the_answer(nsqd: Nsqd) -> None:
    """In the text format of Prometheus, and every name by its conventions."""
    nsqd.node.broker.get_topic("t").get_channel("c")
    answer = scrape(nsqd)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_string_to_metric_families(answer.text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    for family in families:
        assert family.documentation
        assert family.name.startswith(("nsqd_", "process_", "python_"))


def test_other_methods(nsqd: Nsqd) -> None:
    """Are refused as elsewhere, and a slash too many is put right."""
    answer = nsqd.post("/metrics")
    assert token(answer) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, OPTIONS"
    answer = nsqd.get("/metrics/")
    assert (answer.status, answer.headers["location"]) == (301, "/metrics")


def test_figures_of_topics_and_channels(nsqd: Nsqd) -> None:
    """They are those of /stats."""
    broker, clock = nsqd.node.broker, nsqd.node.clock
    topic = broker.get_topic("t")
    channel = topic.get_channel("c")
    consumer = consume(broker, "t", "c", ready=3)
    topic.publish([b"a", b"bb", b"ccc", b"dddd"])
    subscription = channel.subscriptions[0]
    first, second, third = consumer.take()
    subscription.set_ready(0)
    subscription.requeue(first, 0)
    subscription.requeue(second, 5 * SECOND)
    clock.advance(2)
    subscription.finish([third])
    topic.pause()
    channel.pause()
    topic.publish([b"e"])
    clock.advance(1)
    found = samples(nsqd)
    for name, value in {
        "depth": 1, "backend_depth": 0, "messages_total": 5, "message_bytes_total": 11,
        "dropped_messages_total": 0, "paused": 1, "channels": 1, "oldest_message_age_seconds": 1,
    }.items():  # fmt: skip
        assert found["nsqd_topic_" + name, "t"] == value, name
    for name, value in {
        "depth": 2, "backend_depth": 0, "in_flight": 0, "deferred": 1, "messages_total": 4,
        "requeued_messages_total": 2, "timed_out_messages_total": 0, "clients": 1, "paused": 1,
        "dropped_messages_total": 0, "dead_letters_total": 0, "oldest_message_age_seconds": 3,
        "processing_seconds_count": 1, "processing_seconds_sum": 2,
        "end_to_end_latency_seconds_count": 1, "end_to_end_latency_seconds_sum": 2,
    }.items():  # fmt: skip
        assert found["nsqd_channel_" + name, "t", "c"] == pytest.approx(value), name
    assert found["nsqd_topics",] == 1


def test_latencies_of_a_run_are_those_of_its_first(nsqd: Nsqd) -> None:
    """All that were finished by one read are counted, by the latency of the first."""
    broker, clock = nsqd.node.broker, nsqd.node.clock
    topic = broker.get_topic("t")
    channel = topic.get_channel("c")
    topic.publish([b"a"] * 10)
    clock.advance(4)
    consumer = consume(broker, "t", "c")
    clock.advance(2)
    channel.subscriptions[0].finish([*consumer.take(), b"0" * 16])
    found = samples(nsqd)
    end, processing = "nsqd_channel_end_to_end_latency_seconds", "nsqd_channel_processing_seconds"
    assert found[f"{end}_bucket", "t", "5.0", "c"] == 0
    assert found[f"{end}_bucket", "t", "10.0", "c"] == 10
    assert found[f"{end}_sum", "t", "c"] == pytest.approx(60)
    assert found[f"{processing}_bucket", "t", "1.0", "c"] == 0
    assert found[f"{processing}_bucket", "t", "5.0", "c"] == 10
    assert channel.subscriptions[0].finish([b"0" * 16]) == [b"0" * 16]
    assert samples(nsqd)[f"{end}_count", "t", "c"] == 10


def test_latencies_are_sampled(nsqd: Nsqd) -> None:
    """One message stands for those since the last, at least one of 64 and one after each scan."""
    broker, clock = nsqd.node.broker, nsqd.node.clock
    topic = broker.get_topic("t")
    channel = topic.get_channel("c")
    consumer = consume(broker, "t", "c")
    topic.publish([b"a"] * 200)
    finish, ids = channel.subscriptions[0].finish, consumer.take()
    counted = []
    for number in range(100):
        finish(ids[number : number + 1])
        counted.append(channel.processing.count)
    assert counted == [1] * 64 + [65] * 36
    clock.advance(2)
    broker.scan()
    finish(ids[100:102])
    assert (channel.processing.count, channel.processing.sum) == (102, 37 * 2 * SECOND)
    finish(ids[102:])
    assert channel.processing.count == 200


def test_dropped_messages(nsqd: Nsqd) -> None:
    """What ephemeral topics and channels dropped is counted, requeued messages too."""
    nsqd.node.broker.settings.mem_queue_size = 2
    topic = nsqd.node.broker.get_topic("t#ephemeral")
    topic.publish([b"a"] * 3)
    channel = topic.get_channel("c")
    consumer = consume(nsqd.node.broker, "t#ephemeral", "c")
    topic.publish([b"a"])
    channel.pause()
    for each in consumer.take():
        channel.subscriptions[0].requeue(each, 0)
    found = samples(nsqd)
    assert found["nsqd_topic_dropped_messages_total", "t#ephemeral"] == 1
    assert found["nsqd_channel_dropped_messages_total", "t#ephemeral", "c"] == 1


def test_the_oldest_message_may_be_on_disk(nsqd: Nsqd) -> None:
    """Then it is read once, not at each scrape; a disk that refuses leaves the figure out."""
    nsqd.node.broker.settings.mem_queue_size = 0
    topic = nsqd.node.broker.get_topic("t")
    topic.get_channel("c")
    name = ("nsqd_channel_oldest_message_age_seconds", "t", "c")
    assert name not in samples(nsqd)
    topic.publish([b"a"])
    nsqd.node.clock.advance(7)
    log = nsqd.log("t")
    log.refuse_reads = "no"
    assert name not in samples(nsqd)
    log.refuse_reads = None
    assert samples(nsqd)[name] == pytest.approx(7)
    reads = log.reads
    nsqd.node.clock.advance(1)
    assert samples(nsqd)[name] == pytest.approx(8)
    assert log.reads == reads


def test_beyond_the_limit_figures_are_summed(nsqd: Nsqd) -> None:
    """The topics made first keep their own, whatever comes; a channel counts once."""
    nsqd.node.options.metrics_max_topics = 2
    broker = nsqd.node.broker
    for number, name in enumerate(["z", "y", "b", "a"]):
        topic = broker.get_topic(name)
        topic.get_channel("c")
        topic.publish([b"m"] * 10**number)
    broker.topics["z"].get_channel("d")
    for name in "ba":
        consumer = consume(broker, name, "c", ready=2)
        broker.topics[name].channels["c"].subscriptions[0].finish(consumer.take())
    found = samples(nsqd)
    values = {
        key[1:]: value for key, value in found.items() if key[0] == "nsqd_topic_messages_total"
    }
    assert values == {("z",): 1, ("y",): 10, (OTHER,): 1100}
    values = {
        key[1:]: value for key, value in found.items() if key[0] == "nsqd_channel_messages_total"
    }
    assert values == {("z", "c"): 1, ("z", "d"): 0, (OTHER, OTHER): 1110}
    assert found["nsqd_channel_processing_seconds_count", OTHER, OTHER] == 4
    assert found["nsqd_topics",] == 4


def test_health_and_connections(nsqd: Nsqd) -> None:
    """The node as a whole."""
    assert (samples(nsqd)["nsqd_healthy",], samples(nsqd)["nsqd_connections",]) == (1, 0)
    nsqd.node.health = "NOK - disk full"
    nsqd.node.sessions[object()] = None
    assert (samples(nsqd)["nsqd_healthy",], samples(nsqd)["nsqd_connections",]) == (0, 1)


def test_figures_of_the_disk(nsqd: Nsqd) -> None:
    """Those that the store counts."""
    counters = nsqd.node.counters
    counters.append_count, counters.append_bytes, counters.damage_count = 3, 300, 1
    counters.sync_times.add(0.02)
    found = samples(nsqd)
    assert found["nsqd_disk_appends_total",] == 3
    assert found["nsqd_disk_append_bytes_total",] == 300
    assert found["nsqd_disk_damages_total",] == 1
    assert found["nsqd_disk_sync_seconds_count",] == 1
    assert found["nsqd_disk_write_seconds_count",] == 0


def test_many_topics(nsqd: Nsqd) -> None:
    """The answer does not grow with the number of topics, nor do the parts it is made in."""
    sizes = []
    for number in range(1000):
        nsqd.node.broker.get_topic(f"t{number}").get_channel("c")
        if number in (300, 999):
            sizes.append(len(scrape(nsqd).text.splitlines()))
    assert sizes[0] == sizes[1]
    for family in nsqd.node.exposition.registry.collect():
        if family.name.startswith("nsqd_"):
            assert len(family.samples) <= 15 * PART
