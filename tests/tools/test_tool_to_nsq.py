"""nsq_to_nsq: which messages go on, and where."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from nsqtx.client.errors import NsqError
from nsqtx.client.message import Requeue
from nsqtx.tools.hostpool import HostPool
from nsqtx.tools.nsq_to_nsq.forwarding import Forwarding
from nsqtx.tools.nsq_to_nsq.options import NsqToNsqOptions, start_error
from nsqtx.tools.nsq_to_nsq.selection import NotJson, Selection
from nsqtx.tools.status import Statuses
from tests.support.logged import Logged
from tests.support.toolreader import FakeMessage


def test_without_options_nothing_is_looked_at() -> None:
    """Any bytes go on."""
    assert Selection().apply(b"\xff{") == b"\xff{"


@pytest.mark.parametrize("body", [b"no", b"[1]", b"1", b'{"a":', b"{}x", b"[" * 20000])
def test_what_is_no_object(body: bytes) -> None:
    """Is an error."""
    with pytest.raises(NotJson):
        Selection("a").apply(body)


@pytest.mark.parametrize(
    ("value", "body", "expected"),
    [
        ("", b'{"f": null}', True),
        ("", b'{"g":1}', False),
        ("x", b'{"f":"x"}', True),
        ("x", b'{"f":"X"}', False),
        ("1", b'{"f":"1"}', True),
        ("1", b'{"f":1}', True),
        ("1e0", b'{"f":1.0}', True),
        ("1", b'{"f":2}', False),
        ("x", b'{"f":1}', False),
        ("true", b'{"f":true}', False),
        ("1", b'{"f":true}', False),
        ("x", b'{"f":["x"]}', False),
        ("x", b'{"g":"x"}', False),
    ],
)
def test_a_required_field(value: str, body: bytes, expected: bool) -> None:
    """The bytes that go on are those that came."""
    assert Selection("f", value).apply(body) == (body if expected else None)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"b": 1, "x": 2, "a": 1.0}', b'{"a":1,"b":1}'),
        (b'{"x": 1}', b"{}"),
        (b'{"a":"<&>"}', b'{"a":"\\u003c\\u0026\\u003e"}'),
        (b'{"a":{"z":1.5,"y":[2.0]}}', b'{"a":{"y":[2],"z":1.5}}'),
        (b'{"a":9007199254740993}', b'{"a":9007199254740993}'),
        (b'{"a":1e30}', b'{"a":1e+30}'),
        (b'{"a":"\xc3\xa9"}', b'{"a":"\xc3\xa9"}'),
    ],
)
def test_a_whitelist(body: bytes, expected: bytes) -> None:
    """Keys are sorted, whole numbers have no fraction, large ones keep all their digits."""
    assert Selection(keep=["a", "b"]).apply(body) == expected


def test_both() -> None:
    """The required field need not be kept."""
    assert Selection("f", "1", ["a"]).apply(b'{"f":1,"a":2}') == b'{"a":2}'
    assert Selection("f", "1", ["a"]).apply(b'{"f":2,"a":2}') is None


class Destination:
    """Takes messages, or refuses them."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []
        self.error: NsqError | None = None

    async def publish(self, topic: str, body: bytes) -> None:
        """Note it."""
        if self.error is not None:
            raise self.error
        self.published.append((topic, body))


class Forward:
    """The handler of a topic, with destinations a and b."""

    def __init__(self, selection: Selection | None = None, every: int = 0) -> None:
        clock = Clock()
        self.destinations = {"a": Destination(), "b": Destination()}
        self.handler = Forwarding(
            "out",
            self.destinations,
            HostPool("ab", clock.seconds),
            selection or Selection(),
            Statuses("ab", every),
            clock.seconds,
        )

    def send(self, body: bytes) -> bool:
        """Whether it is finished; else it is requeued."""
        message: Any = FakeMessage(body)
        results: list[Any] = []
        Deferred.fromCoroutine(self.handler(message)).addBoth(results.append)
        (result,) = results
        if result is None:
            return True
        error = result.value
        assert isinstance(error, Requeue)
        assert error.backoff
        return False


def test_messages_are_published() -> None:
    """Each to one destination."""
    forward = Forward()
    assert forward.send(b"1")
    assert forward.send(b"2")
    assert forward.destinations["a"].published == [("out", b"1")]
    assert forward.destinations["b"].published == [("out", b"2")]


def test_what_nobody_takes_is_requeued() -> None:
    """And who did not is left alone."""
    forward = Forward()
    forward.destinations["a"].error = NsqError("refused")
    with Logged() as said:
        assert not forward.send(b"1")
    assert said.lines == ["E ERROR: a: refused"]
    assert forward.send(b"1")
    assert forward.send(b"2")
    assert len(forward.destinations["b"].published) == 2


def test_statuses_count_failures_as_well() -> None:
    """As in the original; nsq_to_http's do not."""
    forward = Forward(every=1)
    forward.destinations["a"].error = NsqError("refused")
    with Logged() as said:
        forward.send(b"1")
        forward.send(b"2")
    shown = "finished 1 - 99th: 0.00ms - 95th: 0.00ms - avg: 0.00ms"
    assert [line for line in said.lines if "99th" in line] == [f"[aggregate]: {shown}"]


def test_what_is_not_selected_is_finished() -> None:
    """What is no JSON is said in the log, but not all of it."""
    forward = Forward(Selection("f", "x"))
    assert forward.send(b'{"f":"y"}')
    assert forward.send(b"{}")
    with Logged() as said:
        assert forward.send(b"z" * 1000)
    assert said.lines == ["E ERROR: Unable to decode json: " + "z" * 200]
    assert not forward.destinations["a"].published


GOOD: dict[str, Any] = {
    "topic": ["t"],
    "nsqd_tcp_address": ["h:1"],
    "destination_nsqd_tcp_address": ["h:2"],
}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, None),
        ({"topic": []}, "--topic and --channel are required"),
        ({"topic": ["t", "a:b"]}, "--topic is invalid"),
        ({"destination_topic": "a:b"}, "--destination-topic is invalid"),
        ({"channel": "a:b"}, "--channel is invalid"),
        ({"nsqd_tcp_address": []}, "--nsqd-tcp-address or --lookupd-http-address required"),
        (
            {"lookupd_http_address": ["h:3"]},
            "use --nsqd-tcp-address or --lookupd-http-address not both",
        ),
        ({"destination_nsqd_tcp_address": []}, "--destination-nsqd-tcp-address required"),
        (
            {"producer_opt": [("deflate", None), ("snappy", None)]},
            "failed creating producer deflate and snappy exclude each other",
        ),
    ],
)
def test_options(options: dict[str, Any], reason: str | None) -> None:
    """What cannot be is said."""
    assert start_error(NsqToNsqOptions(**{**GOOD, **options})) == reason
