"""/stats (nsqd-http section 8). The keys are those of section 8.1, in its order."""

from __future__ import annotations

import json

import pytest

from nsqtx.nsqd import stats
from nsqtx.nsqd.stats import FEW_TOPICS
from tests.support.http import Connection, request_bytes
from tests.support.nsqdapi import PRODUCER, Consumer, Nsqd, token

TOP_KEYS = ["version", "health", "start_time", "topics", "memory", "producers"]
TOPIC_KEYS = [
    "topic_name", "channels", "depth", "backend_depth", "message_count", "message_bytes",
    "paused", "e2e_processing_latency",
]  # fmt: skip
CHANNEL_KEYS = [
    "channel_name", "depth", "backend_depth", "in_flight_count", "deferred_count",
    "message_count", "requeue_count", "timeout_count", "client_count", "clients", "paused",
    "e2e_processing_latency",
]  # fmt: skip


@pytest.fixture
def nsqd() -> Nsqd:
    """An nsqd with --max-msg-size 100 and --max-body-size 200."""
    return Nsqd()


@pytest.fixture
def busy(nsqd: Nsqd) -> Nsqd:
    """An nsqd with two topics, a channel, a consumer and a producer."""
    nsqd.node.broker.get_topic("u")
    channel = nsqd.node.broker.get_topic("t").get_channel("c")
    channel.subscribe(Consumer(), 60 * 10**9, 900 * 10**9)
    nsqd.post("/mpub?topic=t", b"one\ntwo")
    nsqd.node.clients = [PRODUCER]
    return nsqd


def test_stats_keys(busy: Nsqd) -> None:
    """Every key is there, in order."""
    stats = busy.stats()
    assert list(stats) == TOP_KEYS
    assert [topic["topic_name"] for topic in stats["topics"]] == ["t", "u"]
    assert all(list(topic) == TOPIC_KEYS for topic in stats["topics"])
    (channel,) = stats["topics"][0]["channels"]
    assert list(channel) == CHANNEL_KEYS
    assert (channel["depth"], channel["message_count"], channel["client_count"]) == (2, 2, 1)
    assert len(stats["memory"]) == 9
    assert stats["producers"] == [PRODUCER]


def test_empty_stats(nsqd: Nsqd) -> None:
    """An nsqd with nothing has an empty list of topics, and null for producers."""
    answer = nsqd.get("/stats?format=json&include_mem=false")
    assert answer.body == (
        b'{"version":"1.3.0","health":"OK","start_time":1700000000,"topics":[],"producers":null}'
    )
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("query", "topics", "producers"),
    [
        ("", ["t", "u"], True),
        ("&topic=", ["t", "u"], True),
        ("&topic=t&topic=u", ["t"], True),
        ("&topic=u", ["u"], True),
        ("&channel=c", ["t"], True),
        ("&topic=u&channel=c", [], True),
        ("&topic=t&channel=nope", [], True),
        ("&topic=nope", None, False),
        ("&include_clients=false", ["t", "u"], False),
        ("&include_clients=0", ["t", "u"], False),
        ("&include_clients=no", ["t", "u"], True),
    ],
)
def test_stats_filters(busy: Nsqd, query: str, topics: list[str] | None, producers: bool) -> None:
    """Filters leave out topics and clients; a topic that does not exist leaves null."""
    stats = busy.stats(query)
    names = None if stats["topics"] is None else [each["topic_name"] for each in stats["topics"]]
    assert names == topics
    assert stats["producers"] == ([PRODUCER] if producers else None)


def test_stats_without_clients(busy: Nsqd) -> None:
    """Clients that are left out are null, yet counted."""
    (channel,) = busy.stats("&topic=t&include_clients=false")["topics"][0]["channels"]
    assert (channel["clients"], channel["client_count"]) == (None, 1)


@pytest.mark.parametrize(
    ("query", "shown"), [("", True), ("&include_mem=x", True), ("&include_mem=0", False)]
)
def test_stats_memory(nsqd: Nsqd, query: str, shown: bool) -> None:
    """Memory is shown unless it is asked not to be."""
    assert ("memory" in nsqd.stats(query)) is shown


@pytest.mark.parametrize("query", ["", "?format=JSON", "?format=text"])
def test_stats_text(nsqd: Nsqd, query: str) -> None:
    """Any format but exactly json is text."""
    nsqd.node.health = "NOK - disk full"
    answer = nsqd.get(f"/stats{query}")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.startswith("nsqd v1.3.0 (built w/")
    assert "\n\nHealth: NOK - disk full\n\nMemory:\n" in answer.text
    assert answer.text.endswith("\n\nTopics: None\n\nProducers: None\n")


def test_stats_text_of_a_busy_nsqd(busy: Nsqd) -> None:
    """The text shows what the JSON shows."""
    text = busy.get("/stats?topic=t&include_mem=0").text
    assert "   [t              ] depth: 0     be-depth: 0     msgs: 2        e2e%: \n" in text
    assert "   [V2 ph:9 pub/1           ] msgs: 3        topics: t=3 connected: 0s\n" in text


def test_stats_of_a_malformed_query(nsqd: Nsqd) -> None:
    """A malformed query is the only error that /stats has."""
    assert token(nsqd.get("/stats?format=json;x")) == (400, "INVALID_REQUEST")


@pytest.fixture
def large(busy: Nsqd) -> Nsqd:
    """An nsqd with more topics than are written at once."""
    for number in range(FEW_TOPICS + 50):
        busy.node.broker.get_topic(f"many-{number:03}").get_channel("c")
    return busy


def ask(nsqd: Nsqd, target: str) -> Connection:
    """A connection with a request that is not answered yet."""
    connection = Connection(nsqd.site)
    connection.send(request_bytes("GET", target))
    assert not connection.transport.value()
    return connection


@pytest.mark.parametrize("query", ["", "format=json", "channel=c&format=json&include_clients=0"])
def test_many_topics_are_written_in_between(
    large: Nsqd, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is that of a few topics, but for the turns of the reactor that it takes."""
    target = f"/stats?include_mem=0&{query}"
    connection = ask(large, target)
    while not connection.transport.value():
        large.node.clock.advance(0)
    (answer,) = connection.answers()
    monkeypatch.setattr(stats, "FEW_TOPICS", 1000)
    assert answer == large.get(target)
    assert answer.text.count("many-") == FEW_TOPICS + 50


def test_what_goes_while_it_is_written(large: Nsqd) -> None:
    """A topic is shown as it was, a channel not at all, and a client is not waited for."""
    connection = ask(large, "/stats?format=json&channel=c")
    gone = ask(large, "/stats")
    broker = large.node.broker
    broker.delete_topic("many-001")
    broker.topics["many-002"].delete_channel("c")
    gone.lost()
    while not connection.transport.value():
        large.node.clock.advance(0)
    (answer,) = connection.answers()
    topics = {each["topic_name"]: each["channels"] for each in json.loads(answer.body)["topics"]}
    assert topics["many-001"] == topics["many-002"] == []
    assert len(topics["many-003"]) == 1
    large.node.clock.advance(1)
    assert not large.node.clock.getDelayedCalls()
