"""Requests among NSQ's programs: limits, redirects to HTTPS, what is an error."""

from __future__ import annotations

from typing import Any

import pytest
from klein import Klein
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.web.client import Agent
from twisted.web.iweb import IAgent
from zope.interface import implementer

from nsqtx.cluster.errors import ApiError
from nsqtx.cluster.http import ACCEPT, ApiClient


class App:
    """A daemon with an answer for each case."""

    app = Klein()

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, bytes, bytes]] = []

    @app.route("/good", methods=["GET", "POST"])
    def good(self, request: Any) -> bytes:
        accept = request.getHeader("accept").encode()
        self.seen.append((request.method, accept, request.content.read()))
        return b'{"channels":["a"]}'

    @app.route("/nonsense")
    def nonsense(self, request: Any) -> bytes:
        return b"<html>"

    @app.route("/broken")
    def broken(self, request: Any) -> bytes:
        request.setResponseCode(500)
        return b"no"

    @app.route("/large")
    def large(self, request: Any) -> bytes:
        return b"1" * 2000

    @app.route("/stuck")
    def stuck(self, request: Any) -> Any:
        return Deferred()

    @app.route("/endless")
    def endless(self, request: Any) -> Any:
        request.write(b"[")
        return Deferred()

    @app.route("/elsewhere")
    def elsewhere(self, request: Any) -> bytes:
        if request.isSecure():
            return b'"%b %d"' % (request.getRequestHostname(), request.getHost().port)
        request.setResponseCode(403)
        return b'{"message": "TLS_REQUIRED", "https_port": 4152}'


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def agent(app: App) -> RequestTraversalAgent:
    return RequestTraversalAgent(app.app.resource())


@pytest.fixture
def client(agent: RequestTraversalAgent, clock: Clock) -> ApiClient:
    return ApiClient(agent, clock, 5.0, max_size=1000)


def result(asking: Deferred[Any], agent: RequestTraversalAgent) -> Any:
    """What a request came to: its value, or the exception."""
    outcome: list[Any] = []
    asking.addBoth(outcome.append)
    for _ in range(5):
        agent.flush()
    if not outcome:
        return None
    (value,) = outcome
    return value.value if isinstance(value, Failure) else value


def test_json(client: ApiClient, app: App, agent: RequestTraversalAgent) -> None:
    """200 brings the value; the version of the API is asked for."""
    assert result(client.get_json("http://h:1/good?topic=t"), agent) == {"channels": ["a"]}
    posting = client.request_json("POST", "http://h:1/good", b"body", {"X-A": "b"})
    assert result(posting, agent) == {"channels": ["a"]}
    accept = ACCEPT.encode()
    assert app.seen == [(b"GET", accept, b""), (b"POST", accept, b"body")]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("nonsense", "GET http://h:1/nonsense: "),
        ("broken", "answered 500 no"),
        ("missing", "answered 404"),
        ("large", "larger than 1000 bytes"),
    ],
)
def test_not_what_was_asked_for(
    client: ApiClient, agent: RequestTraversalAgent, path: str, text: str
) -> None:
    """Everything but JSON with 200, of some size, is an error that says why."""
    error = result(client.get_json(f"http://h:1/{path}?secret=s3"), agent)
    assert isinstance(error, ApiError)
    assert text in str(error)
    assert "s3" not in str(error)


@pytest.mark.parametrize("path", ["stuck", "endless"])
def test_time(client: ApiClient, agent: RequestTraversalAgent, clock: Clock, path: str) -> None:
    """All of a request has to be over in time, its body too."""
    asking = client.get_json(f"http://h:1/{path}")
    agent.flush()
    clock.advance(4.9)
    agent.flush()
    assert not asking.called
    clock.advance(0.2)
    error = result(asking, agent)
    assert isinstance(error, ApiError)
    assert "no answer within 5 s" in str(error)


def test_only_https(client: ApiClient, agent: RequestTraversalAgent) -> None:
    """A daemon that requires TLS says where; the request goes there, the host is the same."""
    assert result(client.get_json("http://h:1/elsewhere"), agent) == "h 4152"


def test_nobody_there(clock: Clock) -> None:
    """What the connection says is in the error."""

    @implementer(IAgent)
    class Refused:
        def request(self, *_: Any, **__: Any) -> Deferred[Any]:
            return fail(ConnectionRefusedError())

    outcome: list[Any] = []
    ApiClient(Refused(), clock, 5.0).get_json("http://h:1/").addErrback(outcome.append)
    error = outcome[0].value
    assert isinstance(error, ApiError)
    assert isinstance(error.__cause__, ConnectionRefusedError)
    assert str(error) == "GET http://h:1/: Connection was refused by other side"
    assert not clock.getDelayedCalls()


@pytest.mark.parametrize("host", ["a..b", "x" * 80])
def test_a_host_that_can_be_none(clock: Clock, host: str) -> None:
    """Twisted's agent refuses it by another exception; it is nobody who answers, all the same."""
    reactor = MemoryReactorClock()
    outcome: list[Any] = []
    client = ApiClient(Agent(reactor), clock, 5.0)
    client.get_json(f"http://{host}:1/").addErrback(outcome.append)
    error = outcome[0].value
    assert isinstance(error, ApiError)
    assert host in str(error)
    assert not clock.getDelayedCalls()


def test_a_request_is_given_up_while_it_connects() -> None:
    """That is no failure of anybody's: whoever gave it up hears that it was cancelled."""
    reactor = MemoryReactorClock()
    asking = ApiClient(Agent(reactor), reactor, 5.0).get_json("http://10.0.0.1:4161/ping")
    failed: list[Failure] = []
    asking.addErrback(failed.append)
    assert len(reactor.tcpClients) == 1
    asking.cancel()
    assert failed[0].check(CancelledError) is not None
    assert not [call for call in reactor.getDelayedCalls() if call.active()]
