"""The request log, addresses, and odd but valid requests (nsqd-http section 1)."""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Sequence

import pytest
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from twisted.web.resource import Resource

from nsqtx.web.site import ApiSite
from tests.support.http import Connection, fetch, request_bytes
from tests.support.webapp import ShowApi


class BrokenResource(Resource):
    """A resource that fails outside of Klein."""

    isLeaf = True

    def render(self, request: object) -> bytes:
        """Fail."""
        raise LookupError("lost")


@pytest.fixture
def api() -> ShowApi:
    """An API with all kinds of endpoints."""
    return ShowApi()


def lines(logs: Sequence[LogEvent]) -> list[str]:
    """What was logged at info."""
    return [formatEvent(event) for event in logs if event["log_level"] is LogLevel.info]


def test_log_line(api: ShowApi) -> None:
    """A request is one line at info: status, method, URI, remote address, time taken."""
    connection = Connection(api.site, port=31337)
    with capturedLogs() as logs:
        connection.send(request_bytes("GET", "/later?a=b%20{c}"))
        api.clock.advance(0.25)
        api.waiting.pop().callback("OK")
    assert lines(logs) == ["200 GET /later?a=b%20{c} (127.0.0.1:31337) 250ms"]


@pytest.mark.parametrize(
    ("method", "target", "logged"),
    [
        ("GET", "/value", True),
        ("GET", "/nope", True),
        ("GET", "/body", True),
        ("POST", "/body", False),
        ("GET", "/value/", False),
        ("OPTIONS", "/value", False),
        ("OPTIONS", "*", False),
        ("GET", "/debug/pprof/", False),
    ],
)
def test_what_is_logged(api: ShowApi, method: str, target: str, logged: bool) -> None:
    """Publishing, redirects, OPTIONS and the pprof pages are not logged; errors are."""
    with capturedLogs() as logs:
        fetch(api.site, method, target)
    assert len(lines(logs)) == logged


def test_absolute_target(api: ShowApi) -> None:
    """The form of a request that a proxy gets is understood."""
    assert fetch(api.site, "GET", "http://nsqd:4151/item/x?y=1").text == "x"
    assert fetch(api.site, "GET", "http://nsqd:4151").status == 404


@pytest.mark.parametrize("host", ["a..b", "x" * 100, "\xff", "[", ""])
def test_odd_host(api: ShowApi, host: str) -> None:
    """The Host header has no say."""
    connection = Connection(api.site)
    connection.send(f"GET /plain HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))
    assert [answer.text for answer in connection.answers()] == ["OK"]


def test_failure_outside_klein(api: ShowApi) -> None:
    """A bug anywhere is logged and answered in the V1 form."""
    site = ApiSite(BrokenResource(), api.clock)
    with capturedLogs() as logs:
        answer = fetch(site, "GET", "/")
    assert (answer.status, answer.body) == (500, b'{"message":"INTERNAL_ERROR"}')
    assert [event["log_failure"].type for event in logs if "log_failure" in event] == [LookupError]


def test_no_timers(api: ShowApi) -> None:
    """An open connection and a site cost no timer."""
    api.site.doStart()
    Connection(api.site)
    assert api.clock.getDelayedCalls() == []
    api.site.doStop()
    assert api.site.acceptableProtocols() == []
