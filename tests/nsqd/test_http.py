"""What nsqd's HTTP API has beside messages and statistics (nsqd-http sections 3, 9 and 10)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from twisted.logger import capturedLogs

from tests.support.http import Connection, Response, fetch, request_bytes
from tests.support.nsqdapi import Nsqd, token

INFO = {
    "version": "1.3.0",
    "broadcast_address": "b.example",
    "hostname": "host",
    "http_port": 4151,
    "tcp_port": 4150,
    "start_time": 1_700_000_000,
    "max_heartbeat_interval": 60_000_000_000,
    "max_output_buffer_size": 65536,
    "max_output_buffer_timeout": 30_000_000_000,
    "max_deflate_level": 6,
    "topology_zone": "z<1>",
    "topology_region": "r&",
}


@pytest.fixture
def nsqd() -> Nsqd:
    """An nsqd with --max-msg-size 100 and --max-body-size 200."""
    return Nsqd()


@pytest.mark.parametrize(("health", "status"), [("OK", 200), ("NOK - disk full", 500)])
def test_ping(nsqd: Nsqd, health: str, status: int) -> None:
    """/ping is plain text, whatever the query, and 500 while the disk refuses."""
    nsqd.node.health = health
    answer = nsqd.get("/ping?x=%zz;")
    assert (answer.status, answer.text) == (status, health)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "x-nsq-content-type" not in answer.headers


def test_info(nsqd: Nsqd) -> None:
    """/info has its twelve keys in order, and does not look at the query."""
    answer = nsqd.get("/info?x=;")
    assert list(json.loads(answer.body).items()) == list(INFO.items())
    assert b'"topology_zone":"z\\u003c1\\u003e"' in answer.body


@pytest.mark.parametrize(
    ("value", "body", "kind"),
    [
        ("127.0.0.1:0", b"127.0.0.1:0", "text/plain; charset=utf-8"),
        ("", b"", None),
        (60 * 10**9, b"60000000000", "application/json; charset=utf-8"),
        (False, b"false", "application/json; charset=utf-8"),
        ([], b"[]", "application/json; charset=utf-8"),
        (None, b"null", "application/json; charset=utf-8"),
    ],
)
def test_get_option(nsqd: Nsqd, value: Any, body: bytes, kind: str | None) -> None:
    """Options that are text are shown as they are, others as JSON."""
    nsqd.node.config["x"] = value
    answer = nsqd.get("/config/x?y=%zz")
    assert (answer.status, answer.body, answer.headers.get("content-type")) == (200, body, kind)


@pytest.mark.parametrize("name", ["nope", "X", "%ff"])
def test_unknown_option(nsqd: Nsqd, name: str) -> None:
    """An option that does not exist is INVALID_OPTION."""
    nsqd.node.config["x"] = 1
    assert token(nsqd.get(f"/config/{name}")) == (400, "INVALID_OPTION")


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("nope", b"", (413, "INVALID_VALUE")),
        ("log_level", b"", (413, "INVALID_VALUE")),
        ("nope", b"x" * 101, (413, "INVALID_VALUE")),
        ("nope", b"x" * 100, (400, "INVALID_OPTION")),
        ("max_rdy_count", b"5", (400, "INVALID_OPTION")),
        ("log_level", b"bad", (400, "INVALID_VALUE")),
    ],
)
def test_set_option_errors(nsqd: Nsqd, name: str, body: bytes, expected: tuple[int, str]) -> None:
    """The size of the value is checked before the name, the name before the value."""
    nsqd.node.config["max_rdy_count"] = 1
    assert token(nsqd.put(f"/config/{name}", body)) == expected


def test_set_option_chunked_too_big(nsqd: Nsqd) -> None:
    """A chunked value has the same limit."""
    connection = Connection(nsqd.site)
    connection.send(request_bytes("PUT", "/config/log_level", chunks=[b"x" * 101]))
    (answer,) = connection.answers()
    assert token(answer) == (413, "INVALID_VALUE")


def test_set_option(nsqd: Nsqd) -> None:
    """The answer to a change is the new value."""
    answer = nsqd.put("/config/log_level", b"debug")
    assert (answer.status, answer.body) == (200, b"debug")
    assert nsqd.node.config == {"log_level": "debug"}


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("POST", "/ping", "GET, OPTIONS"),
        ("HEAD", "/stats", "GET, OPTIONS"),
        ("GET", "/pub?topic=t", "OPTIONS, POST"),
        ("PUT", "/topic/delete?topic=t", "OPTIONS, POST"),
        ("POST", "/config/log_level", "GET, OPTIONS, PUT"),
        ("GET", "/debug/setblockrate", "OPTIONS, PUT"),
        ("GET", "/debug/freememory", "OPTIONS, POST"),
        ("POST", "/debug/pprof/heap", "GET, OPTIONS"),
        ("DELETE", "/debug/pprof/symbol", "GET, OPTIONS, POST"),
    ],
)
def test_other_methods(nsqd: Nsqd, method: str, target: str, allow: str) -> None:
    """Another method is refused with those that there are."""
    answer = fetch(nsqd.site, method, target)
    assert (answer.status, answer.headers["allow"]) == (405, allow)


@pytest.mark.parametrize("target", ["/", "/topic", "/config", "/config/", "/create_topic?topic=t"])
def test_unknown_paths(nsqd: Nsqd, target: str) -> None:
    """There is nothing else."""
    assert token(nsqd.get(target)) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("ask", "location"),
    [
        (lambda nsqd: nsqd.post("/pub/?topic=t", b"x"), "/pub?topic=t"),
        (lambda nsqd: nsqd.get("/a/../Stats/?format=json"), "/stats?format=json"),
        (lambda nsqd: nsqd.put("/config/LOG_LEVEL/", b"x"), "/config/LOG_LEVEL"),
        (lambda nsqd: nsqd.get("/debug/pprof"), "/debug/pprof/"),
    ],
)
def test_redirects(nsqd: Nsqd, ask: Callable[[Nsqd], Response], location: str) -> None:
    """A path that is nearly right is redirected, and nothing else happens."""
    answer = ask(nsqd)
    assert answer.status in (301, 307)
    assert answer.headers["location"] == location
    assert nsqd.node.broker.topics == {}


def test_two_nsqds() -> None:
    """Two nodes in one process do not share anything."""
    one, other = Nsqd(), Nsqd()
    one.post("/topic/create?topic=t")
    assert list(one.node.broker.topics) == ["t"]
    assert other.node.broker.topics == {}


def test_only_publishing_is_not_logged(nsqd: Nsqd) -> None:
    """The request log leaves publishing out, also when it is refused."""
    with capturedLogs() as logs:
        nsqd.post("/pub?topic=t", b"x")
        nsqd.post("/mput", b"x")
        nsqd.get("/ping")
    assert [event["line"] for event in logs if "line" in event] == ["GET /ping"]
