"""Asking auth servers: what is sent, whom else to ask, and what ends a request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import provider

from nsqtx.nsqd.auth import AuthError, AuthState
from nsqtx.nsqd.authservers import MAX_ANSWER, MAX_REQUESTS, MAX_SECRET, AuthServers, Client
from tests.support.authservers import ALL, Heard, MemoryServers, http

SECRET = b"s3cret &=%+\xff"
QUERY = "common_name=&remote_ip=1.2.3.4&secret=s3cret+%26%3D%25%2B%FF&tls=false"
FORM = (
    '{"common_name":[""],"remote_ip":["1.2.3.4"],"secret":["s3cret \\u0026=%+\ufffd"],'
    '"tls":["false"]}'
)


@attrs.define
class Query:
    """A question under way."""

    clock: Clock
    servers: MemoryServers
    answer: Deferred[AuthState]
    results: list[Any] = attrs.Factory(list)

    def __attrs_post_init__(self) -> None:
        self.answer.addBoth(self.results.append)

    def after(self, seconds: int) -> Any:
        """What came of it by then: an AuthState, the text of an AuthError, or None."""
        for _ in range(seconds):
            self.clock.advance(1)
        if not self.results:
            return None
        result = self.results[0]
        if isinstance(result, Failure):
            assert result.check(AuthError), result
            return str(result.value)
        return result

    @property
    def requests(self) -> list[tuple[str, str]]:
        return [heard.request for heard in self.servers.heard]

    @property
    def heard(self) -> list[Heard]:
        return self.servers.heard


def ask(
    *answers: bytes | bool | None,
    addresses: tuple[str, ...] = ("auth:80",),
    method: str = "get",
    secret: bytes = SECRET,
) -> Query:
    clock = Clock()
    memory = MemoryServers(clock, list(answers))
    servers = AuthServers([*addresses], method, memory, clock, 5.0, lambda count: count - 1)
    return Query(clock, memory, servers.ask(Client(secret, "1.2.3.4", False, "")))


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[str]]:
    """What is logged, in which the secret must never be."""
    texts: list[str] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        texts.append(formatEvent(event) + repr(event))

    globalLogPublisher.addObserver(observe)
    yield texts
    globalLogPublisher.removeObserver(observe)
    assert not [text for text in texts if "s3cret" in text]


def test_get() -> None:
    """The fields are the query of a GET, in alphabetical order."""
    query = ask(http())
    state = query.after(1)
    assert state.identity == "me"
    assert query.requests == [(f"GET /auth?{QUERY}", "")]
    head = query.heard[0].value().decode()
    assert "Accept: application/vnd.nsq; version=1.0\r\n" in head
    assert "Host: auth\r\n" in head
    assert "Encoding" not in head
    assert "Content-" not in head


def test_post() -> None:
    """The fields are the JSON of a POST, each an array of one."""
    query = ask(http(), method="post")
    assert query.after(1).identity == "me"
    assert query.requests == [("POST /auth", FORM)]
    head = query.heard[0].value().decode()
    assert "Content-Type: application/json\r\n" in head
    assert "Accept: application/vnd.nsq; version=1.0\r\n" in head


def test_tls_and_common_name() -> None:
    """The server is told of TLS and of the client's certificate."""
    clock = Clock()
    memory = MemoryServers(clock, [http()])
    servers = AuthServers(["auth"], "get", memory, clock, 5.0)
    servers.ask(Client(b"x", "", True, "Zoë")).addErrback(lambda _: None)
    line = "GET /auth?common_name=Zo%C3%AB&remote_ip=&secret=x&tls=true"
    assert memory.heard[0].request[0] == line


def test_whole_urls_are_used_as_they_are() -> None:
    """An address with ``://`` is a URL; a question mark is added even behind a query."""
    query = ask(http(), addresses=("http://auth:81/my/path?k=v",))
    assert query.after(1).identity == "me"
    assert query.servers.tried == ["auth:81"]
    assert query.requests == [(f"GET /my/path?k=v?{QUERY}", "")]


def test_the_others_are_asked_in_order_until_one_answers(lines: list[str]) -> None:
    """A refused connection, a 500 and nonsense lead to the next server, from a random start."""
    addresses = ("b:1", "http://user:s3cret@c:1/s3cret?s3cret", "d:1", "a:1")
    query = ask(False, http(b"", 500), b"nonsense\r\n\r\n", http(), addresses=addresses)
    assert query.after(4).identity == "me"
    assert query.servers.tried == ["a:1", "b:1", "c:1", "d:1"]
    assert ["server c:1: " in text for text in lines].count(True) == 1


def test_user_and_password() -> None:
    """What stands before the host in a URL goes into a header, and not to where that redirects."""
    answers = (http(b"", 302, Location="http://b/"), http())
    query = ask(*answers, addresses=("http://me:p%40ss@auth/x@y",))
    assert query.after(2).identity == "me"
    assert query.servers.tried == ["auth:80", "b:80"]
    assert query.requests[0][0] == f"GET /x@y?{QUERY}"
    first, second = (heard.value().decode() for heard in query.heard)
    assert "Authorization: Basic bWU6cEBzcw==\r\n" in first
    assert "Authorization" not in second


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (False, "Connection was refused by other side."),
        (True, "no answer in time"),
        (None, "no answer in time"),
        (b"HTTP/1.1 200 OK\r\n", "ResponseFailed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "ResponseFailed"),
        (b"x" * 20_000 + b"\r\n", "ResponseFailed"),
        (http(b"oops", 500), "status 500"),
        (http(ALL, 204), "status 204"),
        (http(b"{}", 403), "status 403"),
        (http(b"x", 403), "status 403"),
        (http({"https_port": 0}, 403), "status 403"),
        (http({"https_port": 65536}, 403), "status 403"),
        (http(b"hello"), "bad answer"),
        (http({**ALL, "ttl": 0}), "bad answer: ttl is 0"),
        (http(b" " * (MAX_ANSWER + 1)), "larger than"),
        (http(b"", 302, Location="ftp://x/"), "SchemeNotSupported"),
        (http(b"", 302, Location="http://[/s3cret"), "ValueError"),
        (http(b"", 302), "status 302"),
        (http(b"", 307, Location="\u00e4"), "UnicodeDecodeError"),
    ],
)
def test_failures(answer: bytes | bool | None, said: str, lines: list[str]) -> None:
    """Whatever a server does instead of answering, it has failed within the timeout."""
    query = ask(answer)
    assert query.after(5) == "no auth server gave a valid answer"
    assert query.clock.getDelayedCalls() == []
    assert any(said in text for text in lines), lines
    assert all(heard.aborted for heard in query.heard)


def test_bad_addresses() -> None:
    """A server whose address makes no sense is one that does not answer."""
    addresses = ("http://[/", "http:///", "gopher://x", "://", "ä", "http://x:y/")
    assert ask(*[http()] * 9, addresses=addresses).after(30) is not None


def test_slow_servers() -> None:
    """A server that sends, but takes longer than the timeout, is cut off and the next is asked."""
    query = ask(b"HTTP/1.1 200 OK\r\n\r\n", None, http(), addresses=("b", "c", "a"))
    slow = query.servers
    # The first ends after a second. The second sends a byte every second.
    assert query.after(1) is None
    slow.protocols[1].dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    for _ in range(4):
        assert query.after(1) is None
        slow.protocols[1].dataReceived(b" ")
    assert not slow.heard[1].aborted
    assert query.after(1) is None
    assert slow.heard[1].aborted
    assert query.after(1).identity == "me"


def test_endless_answers() -> None:
    """An answer without an end is given up when it is too large, long before the timeout."""
    query = ask(None)
    protocol = query.servers.protocols[0]
    protocol.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(MAX_ANSWER // 65536 + 1):
        assert query.results == []
        protocol.dataReceived(b" " * 65536)
    assert query.after(0) == "no auth server gave a valid answer"
    assert query.heard[0].aborted


def test_redirects() -> None:
    """A redirect is followed: 302 with a GET, 307 with the same request."""
    query = ask(http(b"", 302, Location="/other?x=1"), http())
    assert query.after(2).identity == "me"
    assert query.requests[1] == ("GET /other?x=1", "")
    query = ask(
        http(b"", 307, Location="http://b/2"),
        http(b"", 308, Location="3"),
        http(b"", 303, Location="4"),
        http(),
        method="post",
    )
    assert query.after(4).identity == "me"
    assert query.servers.tried == ["auth:80", "b:80", "b:80", "b:80"]
    assert query.requests[1:] == [("POST /2", FORM), ("POST /3", FORM), ("GET /4", "")]


def test_redirect_loops() -> None:
    """Redirects that go round in circles are left after ten requests, or after the timeout."""
    again = http(b"", 302, Location="/auth")
    query = ask(*[again] * 20)
    assert query.after(5) == "no auth server gave a valid answer"
    assert len(query.requests) == 5
    query = ask(*[None] * 20)
    for protocol in query.servers.protocols:  # grows as it goes
        protocol.dataReceived(again)
    assert query.after(0) == "no auth server gave a valid answer"
    assert len(query.requests) == MAX_REQUESTS


def test_https_where_plain_http_is_refused() -> None:
    """A 403 with ``https_port`` is asked again by https, at that port."""
    refused = http({"message": "TLS_REQUIRED", "https_port": 4443}, 403)
    query = ask(refused, http())
    assert query.after(2).identity == "me"
    assert query.servers.tried == ["auth:80", "https auth:4443"]
    assert query.requests == [(f"GET /auth?{QUERY}", "")] * 2
    query = ask(refused, http(), addresses=("http://[::1]:80/x",), method="post")
    assert query.after(2).identity == "me"
    assert query.servers.tried == ["::1:80", "https ::1:4443"]
    assert query.requests == [("POST /x", FORM)] * 2
    query = ask(refused, http(), addresses=("https://auth/x",))
    assert query.after(2) == "no auth server gave a valid answer"


def test_giving_up() -> None:
    """When the question is cancelled the connection is cut off, and nobody else is asked."""
    for answer in (None, True):
        query = ask(answer, addresses=("a", "b"))
        query.answer.cancel()
        assert query.results[0].check(CancelledError)
        assert len(query.servers.tried) == 1
        assert all(heard.aborted for heard in query.heard)
        assert query.clock.getDelayedCalls() == []


def test_large_secrets() -> None:
    """A secret that no server would take is not sent to any."""
    query = ask(secret=b"x" * (MAX_SECRET + 1))
    assert query.after(0) == f"the secret is larger than {MAX_SECRET} bytes"
    assert query.servers.tried == []
    assert ask(http(), secret=b"x" * MAX_SECRET).after(1).identity == "me"


_head = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/1.1 403 x", b"HTTP/1.1 307 x", b"HTTP/1.1 100 x", b"HTTP/9", b""]
)
_field = st.sampled_from(
    [
        b"Content-Length: 2",
        b"Content-Length: -1",
        b"Content-Length: x",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip",
        b"Location: //",
        b"Location: https://[",
        b"Location: \xff",
        b"Connection: keep-alive",
        b":",
        b"",
    ]
)
_body = st.sampled_from([b"", b"{}", b"2\r\n{}\r\n0\r\n\r\n", b"-1\r\n", b"zz", b"null"])
_responses = st.builds(
    lambda head, fields, body: b"\r\n".join([head, *fields, b"", body]),
    _head,
    st.lists(_field, max_size=3),
    _body,
)


@given(_responses | st.binary(max_size=40))
@settings(max_examples=60, deadline=None)
def test_no_garbage_does_harm(data: bytes) -> None:
    """Whatever bytes a server sends, the question ends as one that was not answered."""
    query = ask(data, False, False, False)
    assert query.after(6) == "no auth server gave a valid answer"
    assert query.clock.getDelayedCalls() == []


def test_the_secret_has_no_representation() -> None:
    """Not even a traceback with the client in it shows its secret."""
    assert "s3cret" not in repr(Client(b"s3cret", "", False, ""))
    assert json.loads(FORM)
