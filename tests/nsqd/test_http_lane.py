"""The fast lane answers as Klein does, byte for byte, and leaves to Twisted what it must."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import capturedLogs

from nsqtx.broker.broker import Broker
from nsqtx.broker.turn import BATCH_LIMIT
from nsqtx.interfaces import StorageError
from nsqtx.web.api import ApiResource
from nsqtx.web.lane import MAX_KEPT_HEADS
from tests.support.http import Connection, request_bytes
from tests.support.lanes import Both, same_answers
from tests.support.nsqdapi import Nsqd, TurningNsqd, binary

TARGETS = [
    "/pub?topic=t",
    "/mpub?topic=t",
    "/mpub?topic=t&binary=true",
    "/mpub?binary=no&topic=u",
    "/put?topic=%74&topic=x",
    "/mput?topic=a+b",
    "/pub?topic=t&defer=5",
    "/pub?topic=t&defer=-1",
    "/pub?topic=%zz",
    "/pub?topic=t;",
    "/pub?",
    "/pub?topic",
    "/pub",
    "/PUB?topic=t",
    "/pub/?topic=t",
    "/pub?topic=t#x",
    "/pub?topic=\xe9",
    "http://host/pub?topic=t",
    "/topic/create?topic=z",
    "/nothing",
]
HEADERS = [
    "Accept: application/vnd.nsq; version=1.0",
    "Content-Type: application/octet-stream",
    "X-Trace:",
    "Connection: keep-alive",
    "connection: Keep-Alive, x",
    "Connection: close",
    "Expect: 100-continue",
    "Expect: 200-maybe",
    "Content-Length: 3",
    "Content-Length: +3",
    "content-length:  3 ",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: identity",
    "Upgrade: h2c",
    "Bad Name: x",
    "X-Folded: a\r\n b",
    "X-Bare: a\nb",
    "X-High: \xff",
    "Cookie: a=b; c",
    "nothing",
]
BODIES = [b"", b"x", b"a\nb\r\n\nc", b"y" * 100, b"y" * 101, b"z" * 200, b"z\n" * 101, b"w" * 999]
BODIES += [binary(b"a", b"bc"), binary(b"a")[:-1], binary(b"a") + b"rest", binary(b"v" * 101)]

requests = st.builds(
    lambda method, target, body, version, headers, chunked, before: (
        before
        + request_bytes(
            method,
            target,
            body,
            dict(each.split(":", 1) if ":" in each else (each, "") for each in headers),
            version,
            [body[:3], body[3:] or b"1"] if chunked else None,
        )
    ),
    st.sampled_from(["POST", "POST", "POST", "POST", "GET", "post"]),
    st.one_of(st.just(TARGETS[0]), st.sampled_from(TARGETS)),
    st.sampled_from(BODIES),
    st.sampled_from(["HTTP/1.1"] * 6 + ["HTTP/1.0", "HTTP/2.0"]),
    st.one_of(
        st.lists(st.sampled_from(HEADERS[:4]), max_size=3),
        st.lists(st.sampled_from(HEADERS), max_size=3),
    ),
    st.booleans(),
    st.sampled_from([b""] * 8 + [b"\r\n"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(requests, min_size=1, max_size=5), st.lists(st.integers(1, 400), max_size=12))
def test_same_answers_however_they_are_cut(sent: list[bytes], cuts: list[int]) -> None:
    """Whatever is asked, however it is cut into reads, lane and Klein answer the same bytes."""
    data = b"".join(sent)
    reads = []
    for size in cuts:
        reads.append(data[:size])
        data = data[size:]
    same_answers([*reads, data])


@pytest.mark.parametrize("header", ["", *HEADERS])
def test_same_answers_one_by_one(header: str) -> None:
    """Each header makes the same difference to both, twice on a connection."""
    name, _, value = header.partition(":")
    headers = {name: value} if name else {}
    for target in TARGETS[:4]:
        both = Both()
        for body in (b"abc", None):
            both.send(request_bytes("POST", target, body, headers))
            both.send(request_bytes("POST", target, body, headers, chunks=[b"ab", b"c"]))
        both.check()


@pytest.mark.parametrize("target", TARGETS)
def test_same_answers_of_targets(target: str) -> None:
    """Each target is answered alike, with a body that fits, none, and one that is too long."""
    both = Both()
    for body in (b"abc", b"", None, b"x" * 201):
        both.send(request_bytes("POST", target, body))
        both.send(request_bytes("POST", target, chunks=[body or b"a", b"b"]))
    both.check()


@pytest.fixture
def klein_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Klein answers nothing here, so that what is answered was in the lane."""

    def refuse(self: ApiResource, request: object) -> bytes:
        raise AssertionError("not in the lane")

    monkeypatch.setattr(ApiResource, "render", refuse)


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.usefixtures("klein_is_off")
@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_in_the_lane(size: int) -> None:
    """Lengths, chunks, waiting for 100 Continue, and errors are all in the lane, in any reads."""
    nsqd = Nsqd()
    connection = Connection(nsqd.site)
    expect = {"Expect": "100-continue"}
    asked = [
        request_bytes("POST", "/pub?topic=t", b"one"),
        request_bytes("POST", "/mpub?topic=t", b"two\nthree"),
        request_bytes("POST", "/pub?topic=t", chunks=[b"fo", b"ur"]),
        request_bytes("POST", "/pub?topic=t", b"five", expect),
        request_bytes("POST", "/pub?topic=%zz", b"x"),
        request_bytes("POST", "/pub?topic=t", b"six", {"Connection": "close"}),
    ]
    for part in cut(b"".join(asked), size):
        connection.send(part)
    statuses = [answer.status for answer in connection.answers()]
    assert statuses == [200, 200, 200, 100, 200, 400, 200]
    assert nsqd.bodies("t") == [b"one", b"two", b"three", b"four", b"five", b"six"]
    assert connection.closed


def test_between_others() -> None:
    """What Twisted answers and what the lane does may take turns in one read, in their order."""
    nsqd = Nsqd()
    connection = Connection(nsqd.site)
    publish, ping = request_bytes("POST", "/pub?topic=t", b"x"), request_bytes("GET", "/ping")
    connection.send(publish + ping + publish + publish + ping[:9])
    connection.send(ping[9:] + publish)
    bodies = [answer.body for answer in connection.answers()]
    assert bodies == [b"OK"] * 6
    assert nsqd.bodies("t") == [b"x"] * 4


@pytest.mark.usefixtures("klein_is_off")
@pytest.mark.parametrize("refused", [None, StorageError("no")])
def test_waits_for_the_disk(refused: StorageError | None) -> None:
    """An answer waits for the commit, and what comes meanwhile waits behind it."""
    nsqd = Nsqd()
    nsqd.node.store.must_commit = True
    connection = Connection(nsqd.site)
    publish = request_bytes("POST", "/pub?topic=t", b"x")
    connection.send(publish + publish)
    connection.send(request_bytes("POST", "/pub?topic=t", b"", {"Connection": "close"}))
    assert connection.answers() == []
    nsqd.log("t").commits.pop()(refused)
    assert [answer.status for answer in connection.answers()] == [503 if refused else 200]
    nsqd.log("t").commits.pop()(None)
    assert [answer.status for answer in connection.answers()] == [200, 400]
    assert connection.closed


def test_reading_stops_while_it_waits() -> None:
    """A client that goes on publishing while its first waits for the disk is not read for ever."""
    nsqd = Nsqd()
    nsqd.node.store.must_commit = True
    connection = Connection(nsqd.site)
    publish = request_bytes("POST", "/pub?topic=t", b"x" * 100)
    connection.send(publish)
    connection.send(publish * 200)
    assert connection.transport.producerState == "paused"
    for _ in range(201):
        nsqd.log("t").commits.pop()(None)
    assert [answer.status for answer in connection.answers()] == [200] * 201
    assert connection.transport.producerState == "producing"


def test_client_leaves_while_it_waits() -> None:
    """The commit of a publish whose client has left finds nobody, and harms nothing."""
    nsqd = Nsqd()
    nsqd.node.store.must_commit = True
    connection = Connection(nsqd.site)
    connection.send(request_bytes("POST", "/pub?topic=t", b"x"))
    connection.lost()
    nsqd.log("t").commits.pop()(None)
    assert connection.answers() == []
    assert nsqd.bodies("t") == [b"x"]


def test_no_more_to_come() -> None:
    """A client that has shut down its side is answered what waits for the disk, then closed."""
    nsqd = Nsqd()
    nsqd.node.store.must_commit = True
    connection = Connection(nsqd.site)
    connection.send(request_bytes("POST", "/pub?topic=t", b"x"))
    connection.channel.readConnectionLost()
    assert not connection.closed
    nsqd.log("t").commits.pop()(None)
    assert [answer.status for answer in connection.answers()] == [200]
    assert connection.closed


def test_a_bug_costs_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no error of NSQ's is logged and answered as such, and the connection goes on."""
    nsqd = Nsqd()
    connection = Connection(nsqd.site)
    monkeypatch.setattr(Broker, "get_topic", lambda self, name: 1 // 0)
    with capturedLogs() as captured:
        connection.send(request_bytes("POST", "/pub?topic=t", b"x") * 2)
    assert [answer.status for answer in connection.answers()] == [500, 500]
    assert [event["line"] for event in captured] == ["POST /pub?topic=t"] * 2


def test_many_heads() -> None:
    """Heads that never come again are not kept for ever."""
    nsqd = Nsqd()
    connection = Connection(nsqd.site)
    for number in range(2 * MAX_KEPT_HEADS):
        connection.send(request_bytes("POST", "/pub?topic=t", b"x", {"X-Trace": str(number)}))
    assert len(connection.answers()) == 2 * MAX_KEPT_HEADS
    assert nsqd.site.lane is not None
    assert len(nsqd.site.lane.kept) <= MAX_KEPT_HEADS


def turning() -> tuple[TurningNsqd, Connection]:
    """An nsqd with turns, and a client that has asked for nothing yet."""
    nsqd = TurningNsqd()
    return nsqd, Connection(nsqd.site)


def test_one_batch_for_the_requests_of_a_turn() -> None:
    """What several clients publish in a turn is one batch, and each is answered after it."""
    nsqd = TurningNsqd()
    connections = [Connection(nsqd.site) for _ in range(3)]
    for number, connection in enumerate(connections):
        connection.send(request_bytes("POST", "/pub?topic=t", b"%d" % number))
    assert [connection.sent_by_server() for connection in connections] == [b""] * 3
    nsqd.end_turn()
    for connection in connections:
        assert connection.sent_by_server().endswith(b"\r\n\r\nOK")
    (batch,) = nsqd.log("t").batches
    assert len(batch.records) == 3


@pytest.mark.parametrize("more", [request_bytes("GET", "/ping"), b"", b"POST /pub?top"])
def test_what_comes_behind_a_put_off_answer(more: bytes) -> None:
    """The next request, or the end of the client's side, does not overtake it."""
    nsqd, connection = turning()
    connection.send(request_bytes("POST", "/pub?topic=t", b"x"))
    if more:
        connection.send(more)
    else:
        connection.channel.readConnectionLost()
    answer = connection.sent_by_server()
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.split(b"\r\n\r\n", 1)[1].startswith(b"OK")
    nsqd.end_turn()
    assert connection.sent_by_server() == b""


def test_a_client_that_leaves_before_the_turn_ends() -> None:
    """Its message is published."""
    nsqd, connection = turning()
    connection.send(request_bytes("POST", "/pub?topic=t", b"x"))
    connection.lost()
    nsqd.end_turn()
    assert nsqd.bodies("t") == [b"x"]
    assert connection.sent_by_server() == b""


@pytest.mark.parametrize("token", ["EXITING", "INTERNAL_ERROR"])
def test_a_put_off_refusal(token: str) -> None:
    """503 when the disk refuses, 500 after a bug; the connection goes on."""
    nsqd, connection = turning()
    topic = nsqd.node.broker.get_topic("t")
    connection.send(request_bytes("POST", "/pub?topic=t", b"x"))
    if token == "EXITING":
        nsqd.log("t").refuse = "no space"
    else:
        topic.now = lambda: 1 // 0
    with capturedLogs() as captured:
        nsqd.end_turn()
    assert len(captured) == (token != "EXITING")
    answer = connection.sent_by_server()
    status = b"503" if token == "EXITING" else b"500"
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert token.encode() in answer
    connection.send(request_bytes("GET", "/config/loglevel"))
    assert connection.sent_by_server()


def test_what_waits_for_the_disk_or_for_its_time_is_not_put_off() -> None:
    """At fsync, and with ``defer``, a request goes the way it went without turns."""
    nsqd, connection = turning()
    connection.send(request_bytes("POST", "/pub?topic=t&defer=5", b"x"))
    assert connection.sent_by_server().endswith(b"OK")
    nsqd.node.store.must_commit = True
    connection.send(request_bytes("POST", "/pub?topic=safe", b"x"))
    nsqd.end_turn()
    assert connection.sent_by_server() == b""
    nsqd.log("safe").commits.pop()(None)
    assert connection.sent_by_server().endswith(b"OK")


def test_a_turn_that_ends_early() -> None:
    """With much to be published the turn is over before its end, and everybody is answered then."""
    nsqd = TurningNsqd()
    nsqd.node.options.max_msg_size = BATCH_LIMIT
    connections = [Connection(nsqd.site) for _ in range(3)]
    for connection in connections:
        connection.send(request_bytes("POST", "/pub?topic=t", b"x" * (BATCH_LIMIT // 2)))
    for connection in connections:
        assert connection.sent_by_server().endswith(b"OK")
    assert len(nsqd.bodies("t")) == 3
    connections[0].send(request_bytes("POST", "/pub?topic=t", b"x"))
    nsqd.end_turn()
    assert connections[0].sent_by_server().endswith(b"OK")
