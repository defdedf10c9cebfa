"""Bodies: limits before reading, nothing kept beyond them (nsqd-http sections 1, 6 and 14)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsqtx.web.channel import LINGER, MAX_SKIP
from tests.support.http import Connection, request_bytes
from tests.support.webapp import LIMIT, ShowApi

PING = request_bytes("GET", "/plain")


@pytest.fixture
def api() -> ShowApi:
    """An API whose ``POST /body`` takes 10 bytes."""
    return ShowApi()


@pytest.fixture
def connection(api: ShowApi) -> Connection:
    """A connection to it."""
    return Connection(api.site)


def head(length: int, *headers: str) -> bytes:
    """The head of a POST with that Content-Length."""
    lines = ["POST /body HTTP/1.1", "Host: x", f"Content-Length: {length}", *headers, "", ""]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("chunks", [None, [b"01234", b"56789"]])
def test_body_at_the_limit(
    api: ShowApi, connection: Connection, chunks: list[bytes] | None
) -> None:
    """A body of exactly the limit is taken, with a length or in chunks."""
    connection.send(request_bytes("POST", "/body", b"0123456789", chunks=chunks))
    assert [answer.status for answer in connection.answers()] == [200]
    assert api.bodies == [(b"0123456789", False, False)]


def test_answered_before_the_body(api: ShowApi, connection: Connection) -> None:
    """Content-Length alone is enough for a refusal: not one byte of the body is waited for."""
    connection.send(head(LIMIT + 1))
    (answer,) = connection.answers()
    assert (answer.status, answer.body) == (413, b'{"message":"BODY_TOO_BIG"}')
    assert api.bodies == [(b"", True, False)]


@pytest.mark.parametrize("size", [1, 7, 20])
def test_small_unread_body_is_passed_over(connection: Connection, size: int) -> None:
    """After a refusal the unread body is skipped and the connection goes on with what follows."""
    data = head(20) + b"GET /nope HTTP/1.1\r\n" + PING + head(3) + b"abc"
    for at in range(0, len(data), size):
        connection.send(data[at : at + size])
    assert [answer.status for answer in connection.answers()] == [413, 200, 200]
    assert not connection.closed


def test_big_unread_body_closes(api: ShowApi, connection: Connection) -> None:
    """A large unread body closes: the answer first, our side shut, the rest dropped, then all."""
    connection.send(head(MAX_SKIP + 1) + b"x" * 100)
    (answer,) = connection.answers()
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert connection.transport.half_closed
    assert not connection.closed
    connection.send(b"x" * 100_000 + PING)
    assert connection.answers() == []
    api.clock.advance(LINGER)
    assert connection.closed


def test_client_leaves_while_lingering(api: ShowApi, connection: Connection) -> None:
    """When the client closes first nothing is left to wait for."""
    connection.send(head(MAX_SKIP + 1))
    connection.lost()
    assert api.clock.getDelayedCalls() == []


def test_chunks_over_the_limit(api: ShowApi, connection: Connection) -> None:
    """Chunks are counted as they come; the request is refused and the connection goes on."""
    connection.send(request_bytes("POST", "/body", chunks=[b"x" * 6, b"y" * 6]) + PING)
    assert [answer.status for answer in connection.answers()] == [413, 200]
    assert api.bodies == [(b"", True, False)]


def test_endless_chunks(api: ShowApi, connection: Connection) -> None:
    """A chunked body that does not end is cut off, and nothing of it is kept on the way."""
    connection.send(b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    for _ in range(MAX_SKIP // 4096):
        connection.send(chunk)
        assert connection.channel.requests[0].body == b""
    assert connection.answers() == []
    connection.send(chunk)
    (answer,) = connection.answers()
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert connection.transport.half_closed


def test_one_huge_chunk(api: ShowApi, connection: Connection) -> None:
    """Also a single chunk is counted as it comes, not when it is complete."""
    connection.send(b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.send(b"7fffffff\r\n" + b"x" * (MAX_SKIP + LIMIT + 1))
    assert [answer.status for answer in connection.answers()] == [413]


def test_broken_chunks(api: ShowApi, connection: Connection) -> None:
    """A body that cannot be read to its end reaches its endpoint as broken, then it closes."""
    connection.send(b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab")
    connection.send(b"cXX")
    assert [answer.status for answer in connection.answers()] == [200]
    assert api.bodies == [(b"abc", False, True)]
    assert connection.transport.half_closed


@pytest.mark.parametrize("target", ["/refuse", "/nope", "/BODY"])
def test_body_nobody_reads(connection: Connection, target: str) -> None:
    """Where the body does not matter it is passed over, with a length or in chunks."""
    connection.send(request_bytes("POST", target, b"x" * 1000) + PING)
    connection.send(request_bytes("POST", target, chunks=[b"x" * 1000]) + PING)
    statuses = [answer.status for answer in connection.answers()]
    assert statuses[1::2] == [200, 200]
    assert statuses[0] == statuses[2] != 200


def test_body_of_an_endpoint_that_answers_later(api: ShowApi, connection: Connection) -> None:
    """An unread body that comes while the answer is being made is passed over all the same."""
    request = request_bytes("POST", "/later", b"GET /bug HTTP/1.1\r\n\r\n")
    connection.send(request[:-10])
    connection.send(request[-10:] + PING)
    assert connection.answers() == []
    api.waiting.pop().callback("done")
    assert [answer.text for answer in connection.answers()] == ["done", "OK"]


def test_expect_continue(api: ShowApi, connection: Connection) -> None:
    """A client that asks before it sends is told to go on when the body fits."""
    connection.send(head(3, "Expect: 100-continue"))
    assert connection.sent_by_server() == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.send(b"abc")
    assert [answer.status for answer in connection.answers()] == [200]
    assert api.bodies == [(b"abc", False, False)]


def test_expect_continue_refused(connection: Connection) -> None:
    """A client that asks before it sends is refused and, as it may send or not, cut off."""
    connection.send(head(LIMIT + 1, "Expect: 100-continue"))
    (answer,) = connection.answers()
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert connection.transport.half_closed


@pytest.mark.parametrize(
    "header",
    [
        "Content-Length: -1",
        "Content-Length: x",
        "Content-Length: " + "9" * 5000,
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
    ],
)
def test_bad_length(connection: Connection, header: str) -> None:
    """A request whose length is in doubt is refused, and nothing behind it is read."""
    connection.send(f"POST /body HTTP/1.1\r\n{header}\r\nHost: x\r\n\r\n".encode() + PING)
    assert connection.sent_by_server() == b"HTTP/1.1 400 Bad Request\r\n\r\n"
    assert connection.closed


def test_pipelined_requests(connection: Connection) -> None:
    """Requests sent at once are answered in order."""
    connection.send(head(2) + b"ab" + PING + request_bytes("GET", "/refuse") + PING)
    assert [answer.status for answer in connection.answers()] == [200, 200, 400, 200]


def test_pipeline_is_bounded(api: ShowApi, connection: Connection) -> None:
    """Behind a request that takes long a client cannot make us hold more than a little."""
    connection.send(request_bytes("GET", "/later"))
    connection.send(b"x" * 20_000)
    assert connection.transport.producerState == "paused"


@pytest.mark.parametrize(
    ("version", "header", "kept", "answered"),
    [
        ("HTTP/1.1", None, True, None),
        ("HTTP/1.1", "keep-alive", True, None),
        ("HTTP/1.1", "close", False, "close"),
        ("HTTP/1.1", "TE, Close", False, "close"),
        ("HTTP/1.0", None, False, None),
        ("HTTP/1.0", "Keep-Alive", True, "keep-alive"),
    ],
)
def test_keep_alive(
    connection: Connection, version: str, header: str | None, kept: bool, answered: str | None
) -> None:
    """HTTP/1.1 connections are kept unless told otherwise, HTTP/1.0 ones if asked to."""
    headers = {} if header is None else {"Connection": header}
    connection.send(request_bytes("GET", "/plain", headers=headers, version=version))
    (answer,) = connection.answers()
    assert (answer.version, answer.text) == (version, "OK")
    assert (not connection.closed, answer.headers.get("connection")) == (kept, answered)


def test_client_shuts_down_its_side(connection: Connection) -> None:
    """A client that sends a request and shuts down its sending side gets the answer."""
    connection.send(PING)
    connection.channel.readConnectionLost()
    assert connection.closed
    assert [answer.text for answer in connection.answers()] == ["OK"]


def test_client_shuts_down_its_side_early(api: ShowApi, connection: Connection) -> None:
    """Also when the answer takes longer, and those to requests behind it."""
    connection.send(request_bytes("GET", "/later"))
    connection.send(PING)
    connection.channel.readConnectionLost()
    assert not connection.closed
    api.waiting.pop().callback("later")
    assert [answer.text for answer in connection.answers()] == ["later", "OK"]
    assert connection.closed


def test_client_shuts_down_inside_a_request(connection: Connection) -> None:
    """Half a request is nobody's."""
    connection.send(head(5) + b"ab")
    connection.channel.readConnectionLost()
    assert connection.closed
    assert connection.answers() == []


@given(st.lists(st.integers(0, 200), max_size=12))
def test_any_segments(cuts: list[int]) -> None:
    """However a stream of requests is cut into segments, the answers are the same."""
    data = (
        head(12) + b"0123456789ab" + head(3) + b"abc"
        + request_bytes("POST", "/body", chunks=[b"12345", b"678901"])
        + request_bytes("POST", "/refuse", b"unread") + PING
    )  # fmt: skip
    api = ShowApi()
    connection = Connection(api.site)
    at = 0
    for cut in sorted(cuts):
        connection.send(data[at:cut])
        at = max(at, cut)
    connection.send(data[at:])
    assert [answer.status for answer in connection.answers()] == [413, 200, 413, 400, 200]


@given(st.lists(st.binary(max_size=80), max_size=6))
def test_garbage(pieces: list[bytes]) -> None:
    """Whatever comes is answered or closed; nothing is raised."""
    connection = Connection(ShowApi().site)
    for piece in pieces:
        connection.send(piece)
    connection.lost()
