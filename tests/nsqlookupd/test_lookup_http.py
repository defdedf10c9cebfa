"""nsqlookupd over HTTP: what is shown of the directory, waiting for news, administration."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.task import Clock

from nsqtx.nsqlookupd.entries import Producer
from nsqtx.nsqlookupd.http import MAX_WAIT, LookupApi
from nsqtx.nsqlookupd.node import Node
from nsqtx.nsqlookupd.options import NsqlookupdOptions
from tests.support.http import Connection, Response, fetch, request_bytes
from tests.support.lookup import peer


class Api:
    """The HTTP side of a nsqlookupd, with producers that need no connection."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.node = Node(NsqlookupdOptions(**options), self.clock)
        self.registry = self.node.registry
        self.site = LookupApi(self.node).site()

    def producer(self, id: str, *topics: str) -> Producer:
        """One that has these topics."""
        producer = Producer(id, peer(broadcast_address=f"host-{id}"), self.node.now())
        self.registry.add(producer)
        for topic in topics:
            self.registry.register(producer, *topic.split("/"))
        return producer

    def get(self, target: str) -> Response:
        """The answer to a GET."""
        return fetch(self.site, "GET", target)

    def json(self, target: str) -> Any:
        """The JSON of a 200."""
        answer = self.get(target)
        assert answer.status == 200
        assert answer.headers["x-nsq-content-type"] == "nsq; version=1.0"
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        return json.loads(answer.body)

    def post(self, target: str) -> tuple[int, bytes]:
        """Status and body of a POST."""
        answer = fetch(self.site, "POST", target)
        return answer.status, answer.body

    def ask(self, target: str) -> Connection:
        """A GET whose answer may take a while."""
        connection = Connection(self.site)
        connection.send(request_bytes("GET", target))
        return connection

    def index(self, topic: str) -> str:
        """The index that /lookup shows."""
        return self.get(f"/lookup?topic={topic}&wait=0").headers["x-nsqtx-index"]


def test_lookup_shows_channels_and_live_producers() -> None:
    """Tombstoned ones are left out (section 4.5)."""
    api = Api()
    api.producer("a", "t/c", "t/d")
    api.producer("b", "t")
    assert api.post("/topic/tombstone?topic=t&node=host-b:4151") == (200, b"")
    found = api.json("/lookup?topic=t")
    assert found["channels"] == ["c", "d"]
    assert [each["broadcast_address"] for each in found["producers"]] == ["host-a"]


def test_nodes_show_topics_and_tombstones_of_equal_length() -> None:
    """A node without topics has empty lists; clients index one by the other."""
    api = Api()
    api.producer("a", "t", "u")
    api.producer("b")
    assert api.post("/topic/tombstone?topic=u&node=host-a:4151") == (200, b"")
    a, b = api.json("/nodes")["producers"]
    assert (a["topics"], a["tombstones"]) == (["t", "u"], [False, True])
    assert (b["topics"], b["tombstones"]) == ([], [])
    assert b["remote_address"] == "b"
    api.clock.advance(45)
    assert api.json("/nodes")["producers"][0]["tombstones"] == [False, False]


def test_debug_shows_raw_flags() -> None:
    """A tombstone that is over is still one there (section 4.6); who is leaving is not there."""
    api = Api()
    api.producer("a", "t/c")
    api.post("/topic/tombstone?topic=t&node=host-a:4151")
    api.clock.advance(100)
    api.registry.remove(api.producer("b", "t", "u"))
    shown = api.json("/debug")
    assert set(shown) == {"client::", "topic:t:", "channel:t:c"}
    (entry,) = shown["topic:t:"]
    assert (entry["id"], entry["tombstoned"]) == ("a", True)
    assert entry["tombstoned_at"] == 1_700_000_000 * 10**9
    assert [shown[key][0]["tombstoned"] for key in ("client::", "channel:t:c")] == [False, False]


def test_an_empty_directory_is_all_empty_lists() -> None:
    """Never null."""
    api = Api()
    assert api.json("/topics") == {"topics": []}
    assert api.json("/channels?topic=t") == {"channels": []}
    assert api.json("/nodes") == {"producers": []}
    assert api.json("/debug") == {}


def test_names_without_end_are_refused() -> None:
    """With 503, and nothing changes."""
    api = Api(max_names=1)
    assert api.post("/channel/create?topic=t&channel=c") == (503, b'{"message":"TOO_MANY_NAMES"}')
    assert api.post("/topic/create?topic=t") == (200, b"")
    assert api.post("/topic/create?topic=u") == (503, b'{"message":"TOO_MANY_NAMES"}')
    assert api.json("/topics") == {"topics": ["t"]}


# Waiting.


def test_who_does_not_ask_for_it_sees_no_difference() -> None:
    """No header, the same body, at once."""
    api = Api()
    api.producer("a", "t/c")
    plain, indexed = api.get("/lookup?topic=t"), api.get("/lookup?topic=t&index=0")
    assert plain.body == indexed.body
    assert "x-nsqtx-index" not in plain.headers
    assert set(indexed.headers) - set(plain.headers) == {"x-nsqtx-index"}


def test_the_answer_is_held_until_there_is_news() -> None:
    """Then it has the new producers and a new index."""
    api = Api()
    api.producer("a", "t")
    index = api.index("t")
    waiting = api.ask(f"/lookup?topic=t&wait=30&index={index}")
    api.clock.advance(20)
    api.registry.register(api.producer("c", "u"), "u", "x")
    assert waiting.answers() == []
    api.producer("b", "t")
    api.clock.advance(0)
    (answer,) = waiting.answers()
    assert [each["remote_address"] for each in json.loads(answer.body)["producers"]] == ["a", "b"]
    assert int(answer.headers["x-nsqtx-index"]) > int(index)
    assert api.node.waiters.count == 0


def test_without_news_the_answer_comes_when_the_wait_is_over() -> None:
    """As it would have been at once, with the same index."""
    api = Api()
    api.producer("a", "t")
    index = api.index("t")
    for wait in ("2.5", "2s500ms"):
        waiting = api.ask(f"/lookup?topic=t&wait={wait}&index={index}")
        api.clock.advance(2.4)
        assert waiting.answers() == []
        api.clock.advance(0.2)
        (answer,) = waiting.answers()
        assert answer.headers["x-nsqtx-index"] == index
        assert len(json.loads(answer.body)["producers"]) == 1


@pytest.mark.parametrize("index", ["0", "9999999999999999999", None])
def test_who_knows_another_state_is_answered_at_once(index: str | None) -> None:
    """An older one, one of another run, or none."""
    api = Api()
    api.producer("a", "t")
    asked = "" if index is None else f"&index={index}"
    assert api.json(f"/lookup?topic=t&wait=30{asked}")["producers"]


def test_a_topic_can_be_waited_for() -> None:
    """404 as long as there is none; the wait ends when it comes, and when it goes."""
    api = Api()
    (unknown,) = api.ask("/lookup?topic=t&wait=5&index=0").answers()
    assert (unknown.status, unknown.body) == (404, b'{"message":"TOPIC_NOT_FOUND"}')
    waiting = api.ask(f"/lookup?topic=t&wait=5&index={unknown.headers['x-nsqtx-index']}")
    api.post("/topic/create?topic=t")
    api.clock.advance(0)
    (found,) = waiting.answers()
    assert found.status == 200
    waiting = api.ask(f"/lookup?topic=t&wait=5&index={found.headers['x-nsqtx-index']}")
    api.post("/topic/delete?topic=t")
    api.clock.advance(0)
    (gone,) = waiting.answers()
    assert gone.status == 404
    waiting = api.ask(f"/lookup?topic=t&wait=5&index={gone.headers['x-nsqtx-index']}")
    api.clock.advance(4)
    assert waiting.answers() == []
    waiting.lost()


def test_no_wait_is_longer_than_the_longest() -> None:
    """Whatever was asked for."""
    api = Api()
    api.producer("a", "t")
    waiting = api.ask(f"/lookup?topic=t&wait=24h&index={api.index('t')}")
    api.clock.advance(MAX_WAIT)
    assert len(waiting.answers()) == 1


@pytest.mark.parametrize(
    ("query", "token"),
    [
        ("wait=x", "INVALID_ARG_WAIT"),
        ("wait=", "INVALID_ARG_WAIT"),
        ("wait=-1s", "INVALID_ARG_WAIT"),
        ("wait=1e5", "INVALID_ARG_WAIT"),
        ("wait=1&index=", "INVALID_ARG_INDEX"),
        ("index=-1", "INVALID_ARG_INDEX"),
        ("index=12345678901234567890", "INVALID_ARG_INDEX"),
    ],
)
def test_what_makes_no_sense_is_refused(query: str, token: str) -> None:
    """After the topic, which comes first."""
    api = Api()
    answer = api.get(f"/lookup?topic=t&{query}")
    assert (answer.status, json.loads(answer.body)) == (400, {"message": token})
    assert json.loads(api.get(f"/lookup?{query}").body) == {"message": "MISSING_ARG_TOPIC"}


def test_a_client_that_leaves_waits_no_more() -> None:
    """Its place is free, its timer gone."""
    api = Api(max_waiting=1)
    api.producer("a", "t")
    target = f"/lookup?topic=t&wait=30&index={api.index('t')}"
    first = api.ask(target)
    (refused,) = api.ask(target).answers()
    assert (refused.status, refused.body) == (503, b'{"message":"TOO_MANY_WAITING"}')
    assert api.json("/lookup?topic=t")["producers"]
    first.lost()
    assert api.clock.getDelayedCalls() == []
    assert api.ask(target).answers() == []


def test_a_stop_answers_who_waits() -> None:
    """With what there is."""
    api = Api()
    api.producer("a", "t")
    waiting = api.ask(f"/lookup?topic=t&wait=30&index={api.index('t')}")
    api.node.stop()
    assert waiting.answers()[0].status == 200
