"""nsq_to_http: requests, and what becomes of messages."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone, ResponseFailed, ResponseNeverReceived
from twisted.web.http_headers import Headers

from nsqtx.client.message import Requeue
from nsqtx.durations import SECOND
from nsqtx.tools.hostpool import HostPool, RoundRobin
from nsqtx.tools.nsq_to_http.forwarding import Forwarding
from nsqtx.tools.nsq_to_http.options import NsqToHttpOptions, start_error
from nsqtx.tools.nsq_to_http.publisher import HttpFailed, Publisher, get_url
from nsqtx.tools.status import Statuses
from tests.support.logged import Logged
from tests.support.toolreader import FakeMessage

HTTP11 = (b"HTTP", 1, 1)


class Response:
    """An answer with some body, which has ended."""

    def __init__(
        self, code: int, headers: Headers | None = None, version: tuple[bytes, int, int] = HTTP11
    ) -> None:
        self.code = code
        self.version = version
        self.headers = headers or Headers()

    def deliverBody(self, protocol: Any) -> None:
        """All of it."""
        protocol.dataReceived(b"body")
        protocol.connectionLost(Failure(ResponseDone()))

    def setPreviousResponse(self, response: object) -> None:
        """It followed on another."""


class Agent:
    """Answers with the next of some responses, and notes requests."""

    def __init__(self, *responses: Response | Exception) -> None:
        self.responses = list(responses)
        self.requests: list[tuple[str, str, str, Headers]] = []

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, body: Any = None
    ) -> Deferred[Any]:
        """Note it; without any response left there is none."""
        assert headers is not None
        data = b"" if body is None else body.data
        self.requests.append((method.decode(), uri.decode(), data.decode(), headers))
        if not self.responses:
            return Deferred()
        response = self.responses.pop(0)
        return fail(response) if isinstance(response, Exception) else succeed(response)


def publisher(
    agent: Any, content_type: str | None = "text/plain", fresh: Any = None, **more: Any
) -> tuple[Publisher, Clock]:
    """One that POSTs, unless the type is None."""
    clock = Clock()
    other: Any = fresh or Agent()
    return Publisher(agent, other, clock, 20.0, content_type, **more), clock


def outcome(publishing: Deferred[None]) -> list[Any]:
    """What came of it, once something has."""
    results: list[Any] = []
    publishing.addBoth(results.append)
    return results


def test_post() -> None:
    """The body is the message; all of 2xx will do."""
    agent = Agent(Response(204))
    made, _ = publisher(agent)
    assert outcome(made.publish("http://h/p?q=1", b"hello")) == [None]
    ((method, url, body, headers),) = agent.requests
    assert (method, url, body) == ("POST", "http://h/p?q=1", "hello")
    assert headers.getRawHeaders("User-Agent") == ["nsq_to_http v1.3.0"]
    assert headers.getRawHeaders("Content-Type") == ["text/plain"]


def test_headers() -> None:
    """They may replace ours."""
    agent = Agent(Response(200))
    pairs = [("X-Key", "a:b"), ("user-agent", "me"), ("Content-Type", "x/y")]
    made, _ = publisher(agent, headers=pairs)
    made.publish("http://h/", b"m")
    headers = agent.requests[0][3]
    assert headers.getRawHeaders("X-Key") == ["a:b"]
    assert headers.getRawHeaders("User-Agent") == ["me"]
    assert headers.getRawHeaders("Content-Type") == ["x/y"]


def test_get() -> None:
    """The message is in the URL; nothing but 200 will do."""
    agent = Agent(Response(200), Response(204))
    made, _ = publisher(agent, None)
    assert outcome(made.publish("http://h/?m=%s", b"a b&\xff")) == [None]
    assert agent.requests[0][:3] == ("GET", "http://h/?m=a+b%26%FF", "")
    assert agent.requests[0][3].getRawHeaders("Content-Type") is None
    (failure,) = outcome(made.publish("http://h/?m=%s", b"x"))
    assert failure.check(HttpFailed)
    assert failure.getErrorMessage() == "got status code 204"


def test_only_the_message_is_put_into_a_url() -> None:
    """Escapes that are there stay; a message with %s in it is nothing special."""
    assert get_url("http://h/a%20b/%s?c=%2F", b"%s") == "http://h/a%20b/%25s?c=%2F"


def test_redirects_are_followed() -> None:
    """As browsers do: what follows on a POST is a GET."""
    moved = Response(302, Headers({b"location": [b"http://other/"]}))
    agent = Agent(moved, Response(200))
    made, _ = publisher(agent)
    assert outcome(made.publish("http://h/", b"m")) == [None]
    assert [request[:2] for request in agent.requests] == [
        ("POST", "http://h/"),
        ("GET", "http://other/"),
    ]


def test_a_request_that_hangs_is_given_up() -> None:
    """After the time for all of it."""
    made, clock = publisher(Agent())
    results = outcome(made.publish("http://h/", b"m"))
    clock.advance(19.9)
    assert results == []
    clock.advance(0.1)
    assert results[0].check(HttpFailed)
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    "error", [ConnectionDone(), ResponseNeverReceived([Failure(ConnectionLost())])]
)
def test_a_kept_connection_that_was_closed_is_no_failure(error: Exception) -> None:
    """The request is made once more, on a connection of its own."""
    agent, fresh = Agent(error, error), Agent(Response(200), error)
    made, _ = publisher(agent, fresh=fresh)
    assert outcome(made.publish("http://h/", b"m")) == [None]
    assert [request[:3] for request in fresh.requests] == [("POST", "http://h/", "m")]
    (failure,) = outcome(made.publish("http://h/", b"m"))
    assert failure.check(type(error))


def test_other_failures_are_failures() -> None:
    """They would be the same once more."""
    fresh = Agent()
    made, _ = publisher(Agent(Refused(), ResponseFailed([Failure(ValueError())])), fresh=fresh)
    for kind in (Refused, ResponseFailed):
        (failure,) = outcome(made.publish("http://h/", b"m"))
        assert failure.check(kind)
    assert fresh.requests == []


def test_connections_of_http_1_0_are_not_kept() -> None:
    """They are closed after each answer."""
    agent, fresh = Agent(Response(200, version=(b"HTTP", 1, 0))), Agent(Response(200))
    made, _ = publisher(agent, fresh=fresh)
    made.publish("http://h/", b"one")
    made.publish("http://h/", b"two")
    assert len(agent.requests) == len(fresh.requests) == 1


class Endpoints:
    """Takes requests; addresses in ``failing`` answer badly."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.sent: list[str] = []
        self.failing: dict[str, Exception] = {}

    def publish(self, address: str, body: bytes) -> Deferred[None]:
        """It takes 10 ms."""
        self.sent.append(f"{address} {body.decode()}")
        self.clock.advance(0.01)
        if address in self.failing:
            return fail(self.failing[address])
        return succeed(None)


class Forward:
    """A handler with endpoints a and b."""

    def __init__(self, pool: str = "", sample: float = 1.0, every: int = 0) -> None:
        self.clock = Clock()
        self.endpoints = Endpoints(self.clock)
        pools: dict[str, Callable[[], Any]] = {
            "": lambda: None,
            "round-robin": lambda: RoundRobin("ab"),
            "hostpool": lambda: HostPool("ab", self.clock.seconds),
        }
        self.handler = Forwarding(
            self.endpoints,
            "ab",
            pools[pool](),
            sample,
            Statuses("ab", every),
            self.clock.seconds,
            Random(1),
        )

    def send(self, body: bytes = b"m") -> bool:
        """Whether it is finished; else it is requeued."""
        message: Any = FakeMessage(body)
        (result,) = outcome(Deferred.fromCoroutine(self.handler(message)))
        if result is None:
            return True
        error = result.value
        assert isinstance(error, Requeue)
        assert error.backoff
        return False


def test_to_all() -> None:
    """In their order; the first that fails requeues the message."""
    forward = Forward()
    assert forward.send()
    assert forward.endpoints.sent == ["a m", "b m"]
    forward.endpoints.failing = {"a": HttpFailed("got status code 500")}
    with Logged() as said:
        assert not forward.send()
    assert forward.endpoints.sent == ["a m", "b m", "a m"]
    assert said.lines == ["E ERROR: a: got status code 500"]


def test_round_robin_goes_on_after_a_failure() -> None:
    """There is no other host for that message."""
    forward = Forward("round-robin")
    forward.endpoints.failing = {"a": Refused()}
    assert [forward.send() for _ in range(4)] == [True, False, True, False]


def test_a_pool_leaves_a_host_that_failed_alone() -> None:
    """Messages go to the others."""
    forward = Forward("hostpool")
    forward.endpoints.failing = {"a": Refused()}
    assert [forward.send() for _ in range(4)] == [False, True, True, True]


def test_a_sample() -> None:
    """What is not sent is finished."""
    forward = Forward("round-robin", sample=0.3)
    assert all(forward.send() for _ in range(200))
    assert 40 < len(forward.endpoints.sent) < 80
    assert Forward(sample=1.0).send()


def test_statuses_count_what_succeeded() -> None:
    """With the time that it took."""
    forward = Forward("hostpool", every=2)
    forward.endpoints.failing = {"b": Refused()}
    with Logged() as said:
        for _ in range(4):
            forward.send()
    shown = "finished 2 - 99th: 10.00ms - 95th: 10.00ms - avg: 10.00ms"
    assert [line for line in said.lines if "99th" in line] == [
        f"[aggregate]: {shown}",
        f"[a]: {shown}",
    ]


def test_what_is_in_a_url_is_not_in_the_log() -> None:
    """There may be a secret."""
    forward = Forward()
    forward.handler._addresses = ["http://h/?key=secret"]
    forward.endpoints.failing = {"http://h/?key=secret": Refused()}
    with Logged() as said:
        assert not forward.send()
    assert "secret" not in said.lines[0]


GOOD: dict[str, Any] = {"topic": "t", "nsqd_tcp_address": ["h:1"], "post": ["http://h/"]}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, None),
        ({"header": ["X-A: b", "A:b:c"]}, None),
        ({"header": ["x"]}, "--header value format should be 'Name: value'"),
        ({"header": ["x:"]}, "--header value format should be 'Name: value'"),
        ({"channel": ""}, "--topic and --channel are required"),
        (
            {"content_type": "a/b", "post": [], "get": ["http://h/%s"]},
            "--content-type only used with --post",
        ),
        ({"content_type": ""}, "--content-type requires a value when used"),
        ({"nsqd_tcp_address": []}, "--nsqd-tcp-address or --lookupd-http-address required"),
        ({"post": []}, "--get or --post required"),
        ({"get": ["http://h/%s"]}, "use --get or --post not both"),
        (
            {"post": [], "get": ["http://h/"]},
            "invalid GET address - must be a printf string",
        ),
        (
            {"post": [], "get": ["http://h/%s%s"]},
            "invalid GET address - must be a printf string",
        ),
        ({"sample": 1.1}, "ERROR: --sample must be between 0.0 and 1.0"),
        ({"n": 0}, "--n should be positive"),
        ({"http_client_connect_timeout": 0}, "--http-client-connect-timeout should be positive"),
        ({"http_client_request_timeout": SECOND}, None),
        ({"post": ["h/"]}, "h/ is no URL of http or https"),
        ({"topic": "a:b"}, "invalid topic name"),
        ({"channel": "a:b"}, "invalid channel name"),
        ({"nsqd_tcp_address": ["h"]}, "'h' is no address of a nsqd: .*"),
        ({"consumer_opt": [("tls_cert", "x")]}, "tls_cert and tls_key go together"),
    ],
)
def test_options(options: dict[str, Any], reason: str | None) -> None:
    """What cannot be is said."""
    told = start_error(NsqToHttpOptions(**{**GOOD, **options}))
    if reason is None:
        assert told is None
    else:
        assert told is not None
        assert told == reason or told.startswith(reason.removesuffix(".*"))
