"""/channel/dead_letter and /channel/redrive, and the limit in /channel/create and /stats."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nsqtx.interfaces import StorageError
from tests.support.http import Connection, Response, request_bytes
from tests.support.nsqdapi import Consumer, Nsqd, token

SECOND = 10**9
DLQ = "t.c.dlq"


@pytest.fixture
def nsqd() -> Nsqd:
    """An nsqd with channel c of topic t."""
    nsqd = Nsqd()
    nsqd.node.broker.get_topic("t").get_channel("c")
    return nsqd


def limit(nsqd: Nsqd, query: str = "&max_attempts=1") -> Any:
    """Set the limit; the answer."""
    answer = nsqd.post(f"/channel/dead_letter?topic=t&channel=c{query}")
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def kill(nsqd: Nsqd, *bodies: bytes) -> None:
    """Make dead letters of these."""
    broker = nsqd.node.broker
    topic = broker.topics["t"]
    topic.publish(list(bodies))
    consumer = Consumer()
    subscription = topic.channels["c"].subscribe(consumer, 60 * SECOND, 60 * SECOND)
    subscription.set_ready(len(bodies))
    subscription.set_ready(0)
    for id in consumer.take():
        subscription.requeue(id, 0)
    subscription.leave()
    broker.scan()


def test_setting_a_limit(nsqd: Nsqd) -> None:
    """It is answered, in force, in /stats, and in the checkpoint at once."""
    assert limit(nsqd, "&max_attempts=5") == {"max_attempts": 5, "dead_letter_topic": DLQ}
    channel = nsqd.node.broker.topics["t"].channels["c"]
    assert channel.max_attempts == 5
    saved = nsqd.log("t").saved
    assert saved is not None
    assert saved.channels[0].max_attempts == 5
    assert limit(nsqd, "&max_attempts=2&dead_letter_topic=dead") == {
        "max_attempts": 2,
        "dead_letter_topic": "dead",
    }
    shown = nsqd.stats()["topics"][0]["channels"][0]
    assert [shown[key] for key in ("max_attempts", "dead_letter_topic", "dead_letter_count")] == [
        2,
        "dead",
        0,
    ]
    assert " dead: 0 (after 2)\n" in nsqd.get("/stats").body.decode()
    assert limit(nsqd, "&max_attempts=0")["max_attempts"] == 0
    assert "max_attempts" not in nsqd.stats()["topics"][0]["channels"][0]
    assert " dead: " not in nsqd.get("/stats").body.decode()


def test_a_channel_made_with_a_limit(nsqd: Nsqd) -> None:
    """/channel/create takes the same parameters; an error makes no channel."""
    path = "/channel/create?topic=t&channel=d&max_attempts="
    assert token(nsqd.post(path + "x")) == (400, "INVALID_ARG_MAX_ATTEMPTS")
    channels = nsqd.node.broker.topics["t"].channels
    assert list(channels) == ["c"]
    assert nsqd.post(path + "3").status == 200
    assert channels["d"].max_attempts == 3
    nsqd.post("/channel/create?topic=t&channel=d")
    assert channels["d"].max_attempts == 3
    nsqd.post("/channel/create?topic=t&channel=e&dead_letter_topic=dead")
    assert channels["e"].dead_letters.topic == "dead"
    assert channels["e"].max_attempts == 0


@pytest.mark.parametrize("path", ["/channel/dead_letter", "/channel/redrive"])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?topic=t&channel=%zz", (400, "INVALID_REQUEST")),
        ("?channel=c", (400, "MISSING_ARG_TOPIC")),
        ("?topic=a:b", (400, "INVALID_ARG_TOPIC")),
        ("?topic=u", (400, "MISSING_ARG_CHANNEL")),
        ("?topic=u&channel=", (400, "INVALID_ARG_CHANNEL")),
        ("?topic=u&channel=c", (404, "TOPIC_NOT_FOUND")),
        ("?topic=t&channel=d", (404, "CHANNEL_NOT_FOUND")),
    ],
)
def test_topic_and_channel(nsqd: Nsqd, path: str, query: str, expected: tuple[int, str]) -> None:
    """Are looked at as by the other /channel/ endpoints."""
    assert token(nsqd.post(path + query)) == expected


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("dead_letter", "", (400, "MISSING_ARG_MAX_ATTEMPTS")),
        ("dead_letter", "&max_attempts=", (400, "INVALID_ARG_MAX_ATTEMPTS")),
        ("dead_letter", "&max_attempts=-1", (400, "INVALID_ARG_MAX_ATTEMPTS")),
        ("dead_letter", "&max_attempts=65536", (400, "INVALID_ARG_MAX_ATTEMPTS")),
        *(
            (
                "dead_letter",
                f"&max_attempts=1&dead_letter_topic={name}",
                (400, "INVALID_ARG_DEAD_LETTER_TOPIC"),
            )
            for name in ("", "a:b", "x" * 65, "d%23ephemeral")
        ),
        ("dead_letter", "&max_attempts=1&dead_letter_topic=t", (400, "DEAD_LETTER_LOOP")),
        ("dead_letter", "&max_attempts=1&dead_letter_topic=loop", (400, "DEAD_LETTER_LOOP")),
        ("redrive", "&limit=0", (400, "INVALID_ARG_LIMIT")),
        ("redrive", "&limit=x", (400, "INVALID_ARG_LIMIT")),
    ],
)
def test_what_is_refused(nsqd: Nsqd, path: str, query: str, expected: tuple[int, str]) -> None:
    """Numbers out of bounds, names that are none, what would be forgotten, and loops."""
    back = nsqd.node.broker.get_topic("loop").get_channel("back")
    back.limit_attempts(1, "t")
    assert token(nsqd.post(f"/channel/{path}?topic=t&channel=c{query}")) == expected
    assert nsqd.node.broker.topics["t"].channels["c"].max_attempts == 0


def test_an_ephemeral_channel_may_have_an_ephemeral_dead_letter_topic(nsqd: Nsqd) -> None:
    """It is forgotten with nsqd, as the channel is."""
    nsqd.node.broker.topics["t"].get_channel("e#ephemeral")
    path = "/channel/dead_letter?topic=t&channel=e%23ephemeral&max_attempts=1"
    assert json.loads(nsqd.post(path).body)["dead_letter_topic"] == "t.e.dlq#ephemeral"
    assert nsqd.post(path + "&dead_letter_topic=d%23ephemeral").status == 200


class Redriving:
    """A redrive of channel c by a client that stays until it is answered."""

    def __init__(self, nsqd: Nsqd, query: str = "") -> None:
        self.nsqd = nsqd
        self.connection = Connection(nsqd.site)
        target = f"/channel/redrive?topic=t&channel=c{query}"
        self.connection.send(request_bytes("POST", target, b""))

    def answer(self) -> Response:
        """What is answered after some turns of the reactor."""
        for _ in range(20):
            self.nsqd.node.clock.advance(0)
        (answer,) = self.connection.answers()
        return answer

    def count(self) -> int:
        """How many messages it says it brought back."""
        answer = self.answer()
        assert answer.status == 200
        return int(json.loads(answer.body)["count"])


def test_redrive(nsqd: Nsqd) -> None:
    """All, or as many as asked for, come back; repeated, nothing is left to do."""
    limit(nsqd)
    kill(nsqd, b"1", b"2", b"3")
    assert nsqd.node.broker.topics[DLQ].depth == 3
    assert Redriving(nsqd, "&limit=2").count() == 2
    assert Redriving(nsqd).count() == 1
    assert Redriving(nsqd).count() == 0
    assert nsqd.node.broker.topics["t"].channels["c"].depth == 3
    assert nsqd.node.broker.topics[DLQ].depth == 0


def test_a_redrive_in_slices(nsqd: Nsqd) -> None:
    """The reactor turns between them, and a second redrive of the channel has to wait."""
    limit(nsqd)
    kill(nsqd, *[b"x"] * 3000)
    nsqd.node.broker.scan()
    channel = nsqd.node.broker.topics["t"].channels["c"]
    redriving = Redriving(nsqd)
    assert channel.depth == 1024
    assert token(Redriving(nsqd).answer()) == (409, "REDRIVE_IN_PROGRESS")
    assert redriving.count() == 3000
    assert channel.depth == 3000


def test_a_client_that_leaves(nsqd: Nsqd) -> None:
    """Ends the redrive after the slice that is under way; the next one does the rest."""
    limit(nsqd)
    kill(nsqd, *[b"x"] * 2000)
    left = Redriving(nsqd)
    left.connection.lost()
    nsqd.node.clock.advance(0)
    assert nsqd.node.broker.topics["t"].channels["c"].depth == 1024
    assert Redriving(nsqd).count() == 976


def test_a_redrive_that_the_disk_refuses(nsqd: Nsqd) -> None:
    """503, what was not moved stays a dead letter, and it can be tried again."""
    limit(nsqd)
    kill(nsqd, b"1")
    nsqd.log("t").refuse = "disk full"
    assert token(Redriving(nsqd).answer()) == (503, "EXITING")
    nsqd.log("t").refuse = None
    assert Redriving(nsqd).count() == 1


def test_a_redrive_waits_for_the_disk(nsqd: Nsqd) -> None:
    """At fsync it is answered after the commit, with 503 when that failed. Until then no other
    one may begin, also when the client is gone."""
    limit(nsqd)
    kill(nsqd, b"1")
    log = nsqd.log("t")
    log.must_commit = True
    redriving = Redriving(nsqd)
    assert redriving.connection.answers() == []
    log.commits.pop()(StorageError("sync failed"))
    assert token(redriving.answer()) == (503, "EXITING")
    Redriving(nsqd).connection.lost()
    assert token(Redriving(nsqd).answer()) == (409, "REDRIVE_IN_PROGRESS")
    log.commits.pop()(StorageError("sync failed"))
    redriving = Redriving(nsqd)
    log.commits.pop()(None)
    assert redriving.count() == 1
