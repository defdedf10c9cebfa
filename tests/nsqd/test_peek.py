"""/channel/peek and /topic/peek: what waits, without touching it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nsqtx.interfaces import TopicState
from tests.support.nsqdapi import Consumer, Nsqd, token

SECOND = 10**9


def look(nsqd: Nsqd, query: str, path: str = "/channel/peek?topic=t&channel=c") -> Any:
    """The messages in an answer."""
    answer = nsqd.get(path + query)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)["messages"]


def bodies(nsqd: Nsqd, query: str = "", path: str = "/channel/peek?topic=t&channel=c") -> list[Any]:
    """Their bodies."""
    return [each["body"] for each in look(nsqd, query, path)]


def busy_nsqd() -> tuple[Nsqd, Consumer]:
    """A channel with messages in every state; two of six fit into memory."""
    nsqd = Nsqd(mem_queue_size=2)
    broker = nsqd.node.broker
    topic = broker.get_topic("t")
    channel = topic.get_channel("c")
    consumer = Consumer()
    subscription = channel.subscribe(consumer, 60 * SECOND, 900 * SECOND)
    topic.publish([b"later"], broker.now() + 9 * SECOND)
    topic.publish([b"%d" % i for i in range(9)])
    subscription.set_ready(5)
    subscription.set_ready(0)
    for at in (0, 1, 2):
        subscription.requeue(consumer.ids[at], 0)
    subscription.requeue(consumer.ids[3], 5 * SECOND)
    return nsqd, consumer


def test_every_state() -> None:
    """Requeued ones first, then fresh ones, in memory or not; deferred ones by due time."""
    nsqd, consumer = busy_nsqd()
    now = nsqd.node.broker.now()
    ready = look(nsqd, "&state=ready")
    assert [(m["body"], m["attempts"]) for m in ready] == [
        *[("0", 1), ("1", 1), ("2", 1)],
        *[("5", 0), ("6", 0), ("7", 0), ("8", 0)],
    ]
    assert ready == look(nsqd, "")
    deferred = look(nsqd, "&state=deferred")
    assert [(m["body"], m["attempts"], m["due"] - now) for m in deferred] == [
        ("3", 1, 5 * SECOND),
        ("later", 0, 9 * SECOND),
    ]
    assert look(nsqd, "&state=inflight") == [
        {
            "id": consumer.ids[4].decode(),
            "timestamp": now,
            "age": 0,
            "attempts": 1,
            "deadline": now + 60 * SECOND,
            "client": {"client_id": "p", "hostname": "ph", "remote_address": "127.0.0.1:9"},
            "size": 1,
            "base64": False,
            "body": "4",
        }
    ]


def test_limits() -> None:
    """No more messages and no more bytes of each than asked for."""
    nsqd, _ = busy_nsqd()
    assert bodies(nsqd, "&limit=2") == ["0", "1"]
    assert bodies(nsqd, "&limit=4") == ["0", "1", "2", "5"]
    assert bodies(nsqd, "&state=deferred&limit=1") == ["3"]
    assert bodies(nsqd, "&state=deferred&bytes=2") == ["3", "la"]
    nsqd.node.broker.get_topic("u").publish([b"%d" % i for i in range(20)])
    assert len(bodies(nsqd, "", "/topic/peek?topic=u")) == 10
    assert len(bodies(nsqd, "&limit=20", "/topic/peek?topic=u")) == 20


def test_nothing_changes() -> None:
    """Looking leaves checkpoint, counters and the order of delivery as they were."""
    states: list[tuple[TopicState, Any, list[bytes]]] = []
    for looks in (0, 3):
        nsqd, consumer = busy_nsqd()
        for _ in range(looks):
            for which in ("ready", "deferred", "inflight"):
                look(nsqd, f"&state={which}")
            look(nsqd, "", "/topic/peek?topic=t")
        topic = nsqd.node.broker.topics["t"]
        state, stats = topic.state(), nsqd.stats()
        topic.channels["c"].subscriptions[0].set_ready(100)
        states.append((state, stats, consumer.records))
    first, second = states
    assert first[0] == second[0]
    assert first[1]["topics"] == second[1]["topics"]
    assert first[2] == second[2]


def test_deferred_ones_come_in_the_order_in_which_they_are_due() -> None:
    """However they came in."""
    nsqd = Nsqd()
    topic = nsqd.node.broker.get_topic("t")
    now = nsqd.node.broker.now()
    for number in (5, 3, 9, 1, 7, 2, 8, 6, 4):
        topic.publish([b"%d" % number], now + number * SECOND)
    path = "/topic/peek?topic=t&state=deferred"
    assert bodies(nsqd, "&limit=5", path) == list("12345")
    assert bodies(nsqd, "", path) == list("123456789")


def test_a_touched_message_has_its_own_deadline() -> None:
    """Also one that --max-msg-timeout cut short; and one whose client is gone has no client."""
    nsqd = Nsqd()
    topic = nsqd.node.broker.get_topic("t")
    consumer = Consumer()
    subscription = topic.get_channel("c").subscribe(consumer, 60 * SECOND, 90 * SECOND)
    topic.publish([b"a", b"b"])
    subscription.set_ready(2)
    now = nsqd.node.broker.now()
    subscription.touch(consumer.ids[0], 70 * SECOND)
    subscription.touch(consumer.ids[0], 500 * SECOND)
    subscription.leave()
    found = look(nsqd, "&state=inflight")
    assert {m["body"]: (m["deadline"] - now) // SECOND for m in found} == {"a": 90, "b": 60}
    assert [m["client"] for m in found] == [None, None]


def test_an_ephemeral_topic() -> None:
    """What has no log is shown from memory."""
    nsqd = Nsqd()
    topic = nsqd.node.broker.get_topic("t#ephemeral")
    topic.publish([b"x"])
    topic.publish([b"y"], nsqd.node.broker.now() + SECOND)
    path = "/topic/peek?topic=t%23ephemeral"
    assert bodies(nsqd, "", path) == ["x"]
    assert bodies(nsqd, "&state=deferred", path) == ["y"]


@pytest.mark.parametrize(
    ("body", "query", "expected"),
    [
        (b"text \xc3\xa4", "", {"size": 7, "base64": False, "body": "text ä"}),
        (b"text \xc3\xa4", "&bytes=6", {"size": 7, "base64": False, "body": "text "}),
        (b"\xc3", "", {"size": 1, "base64": True, "body": "ww=="}),
        (b"\xffrest", "&bytes=1", {"size": 5, "base64": True, "body": "/w=="}),
        (b"text", "&bytes=0", {"size": 4, "base64": False, "body": ""}),
        (b"x" * 300, "", {"size": 300, "base64": False, "body": "x" * 256}),
    ],
)
def test_bodies(body: bytes, query: str, expected: dict[str, Any]) -> None:
    """UTF-8 as text, a character cut at the end left out; anything else as base64."""
    nsqd = Nsqd()
    nsqd.node.broker.get_topic("t").publish([body])
    (found,) = look(nsqd, query, "/topic/peek?topic=t")
    assert {key: found[key] for key in expected} == expected


def test_what_is_gone_from_the_log_is_left_out() -> None:
    """Damage does not keep the rest from being shown."""
    nsqd, _ = busy_nsqd()
    log = nsqd.log("t")
    log.batches = [batch for batch in log.batches if batch.due]
    assert bodies(nsqd, "&state=deferred") == ["later"]


def test_a_log_that_cannot_be_read() -> None:
    """It is an error, not an empty answer."""
    nsqd, _ = busy_nsqd()
    nsqd.log("t").refuse_reads = "I/O error"
    answer = nsqd.get("/channel/peek?topic=t&channel=c&state=deferred")
    assert token(answer) == (500, "INTERNAL_ERROR")


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        *(
            ("/channel/peek", query, expected)
            for query, expected in [
                ("?topic=t&channel=%zz", (400, "INVALID_REQUEST")),
                ("?channel=c&state=x", (400, "MISSING_ARG_TOPIC")),
                ("?topic=a:b&channel=c", (400, "INVALID_ARG_TOPIC")),
                ("?topic=u&state=x", (400, "MISSING_ARG_CHANNEL")),
                ("?topic=u&channel=", (400, "INVALID_ARG_CHANNEL")),
                ("?topic=u&channel=c&state=x", (404, "TOPIC_NOT_FOUND")),
                ("?topic=t&channel=d&state=x", (404, "CHANNEL_NOT_FOUND")),
                ("?topic=t&channel=c&state=x&limit=0", (400, "INVALID_ARG_STATE")),
            ]
        ),
        *(
            ("/channel/peek", f"?topic=t&channel=c&limit={limit}", (400, "INVALID_ARG_LIMIT"))
            for limit in ("", "0", "101", "-1", "1.0", "%D9%A1")
        ),
        ("/channel/peek", "?topic=t&channel=c&bytes=65537", (400, "INVALID_ARG_BYTES")),
        ("/topic/peek", "", (400, "MISSING_ARG_TOPIC")),
        ("/topic/peek", "?topic=u", (404, "TOPIC_NOT_FOUND")),
        ("/topic/peek", "?topic=t&state=inflight", (400, "INVALID_ARG_STATE")),
    ],
)
def test_what_is_refused(path: str, query: str, expected: tuple[int, str]) -> None:
    """In the order of the other /channel/ endpoints."""
    nsqd = Nsqd()
    nsqd.node.broker.get_topic("t").get_channel("c")
    assert token(nsqd.get(path + query)) == expected
