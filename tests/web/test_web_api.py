"""The forms of answers and errors (nsqd-http sections 2 and 3)."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import capturedLogs

from nsqtx.web.api import ApiError, TlsRequired
from nsqtx.web.site import ApiSite
from tests.support.http import Connection, fetch, request_bytes
from tests.support.webapp import ShowApi

NSQ = ("x-nsq-content-type", "nsq; version=1.0")
JSON = ("content-type", "application/json; charset=utf-8")
TEXT = ("content-type", "text/plain; charset=utf-8")


@pytest.fixture
def api() -> ShowApi:
    """An API that answers with ``api.value``."""
    return ShowApi()


@pytest.mark.parametrize(
    ("value", "body", "headers"),
    [
        ("OK", b"OK", {NSQ, TEXT}),
        ("", b"", {NSQ}),
        (None, b"null", {NSQ, JSON}),
        ([], b"[]", {NSQ, JSON}),
        (7, b"7", {NSQ, JSON}),
        (True, b"true", {NSQ, JSON}),
        ({"a": [1, "<&>"]}, b'{"a":[1,"\\u003c\\u0026\\u003e"]}', {NSQ, JSON}),
    ],
)
def test_v1_form(api: ShowApi, value: Any, body: bytes, headers: set[tuple[str, str]]) -> None:
    """A value decides its body and its headers, and Content-Length is always there."""
    api.value = value
    answer = fetch(api.site, "GET", "/value")
    assert (answer.status, answer.body) == (200, body)
    length = ("content-length", str(len(body)))
    assert set(answer.headers.items()) - {("date", answer.headers["date"])} == headers | {length}


def test_plain_form(api: ShowApi) -> None:
    """Plain text comes without NSQ's own header."""
    answer = fetch(api.site, "GET", "/plain")
    assert (answer.body, answer.headers["content-type"]) == (b"OK", TEXT[1])
    assert NSQ[0] not in answer.headers


def test_later_value(api: ShowApi) -> None:
    """An endpoint may answer later, with a value or an error."""
    connection = Connection(api.site)
    connection.send(request_bytes("GET", "/later"))
    assert connection.answers() == []
    api.waiting.pop().callback({"a": 1})
    (answer,) = connection.answers()
    assert answer.body == b'{"a":1}'
    connection.send(request_bytes("GET", "/later"))
    api.waiting.pop().errback(ApiError(503, "EXITING"))
    (answer,) = connection.answers()
    assert (answer.status, answer.body) == (503, b'{"message":"EXITING"}')


def test_client_leaves(api: ShowApi) -> None:
    """A client that leaves before its answer cancels it, and nothing is logged as a failure."""
    connection = Connection(api.site)
    connection.send(request_bytes("GET", "/later"))
    with capturedLogs() as logs:
        connection.lost()
    deferred = api.waiting.pop()
    assert deferred.called
    deferred.callback("too late")
    assert logs == []


def test_error_token(api: ShowApi) -> None:
    """A refusal is its status and its token, in the V1 form."""
    answer = fetch(api.site, "GET", "/refuse")
    assert (answer.status, answer.body) == (400, b'{"message":"MISSING_ARG_TOPIC"}')
    assert {NSQ, JSON} <= set(answer.headers.items())


def test_bug(api: ShowApi) -> None:
    """A bug is 500 INTERNAL_ERROR, with its traceback in the log."""
    with capturedLogs() as logs:
        answer = fetch(api.site, "GET", "/bug")
    assert (answer.status, answer.body) == (500, b'{"message":"INTERNAL_ERROR"}')
    failures = [event["log_failure"] for event in logs if "log_failure" in event]
    assert [failure.type for failure in failures] == [ZeroDivisionError]


def test_malformed_query(api: ShowApi) -> None:
    """A malformed query is 400 INVALID_REQUEST, whichever part is malformed."""
    answer = fetch(api.site, "GET", "/value?unused=%zz")
    assert (answer.status, answer.body) == (400, b'{"message":"INVALID_REQUEST"}')


@pytest.mark.parametrize(
    ("method", "target", "status", "message", "allow"),
    [
        ("GET", "/nope", 404, "NOT_FOUND", None),
        ("GET", "/", 404, "NOT_FOUND", None),
        ("OPTIONS", "/nope", 404, "NOT_FOUND", None),
        ("GET", "*", 404, "NOT_FOUND", None),
        ("GET", "/item/a/b", 404, "NOT_FOUND", None),
        ("GET", "/item/a%2Fb", 404, "NOT_FOUND", None),
        ("GET", "/%ff%fe", 404, "NOT_FOUND", None),
        ("POST", "/value", 405, "METHOD_NOT_ALLOWED", "GET, OPTIONS"),
        ("get", "/value", 405, "METHOD_NOT_ALLOWED", "GET, OPTIONS"),
        ("FOO", "/later", 405, "METHOD_NOT_ALLOWED", "GET, OPTIONS, POST"),
        ("GET", "/body", 405, "METHOD_NOT_ALLOWED", "OPTIONS, POST"),
    ],
)
def test_no_route(
    api: ShowApi, method: str, target: str, status: int, message: str, allow: str | None
) -> None:
    """No path is 404, another method 405 with what is allowed."""
    answer = fetch(api.site, method, target)
    assert (answer.status, answer.text) == (status, f'{{"message":"{message}"}}')
    assert answer.headers.get("allow") == allow
    assert {NSQ, JSON} <= set(answer.headers.items())


def test_head(api: ShowApi) -> None:
    """HEAD is refused like any other method, without a body."""
    answer = fetch(api.site, "HEAD", "/value")
    assert (answer.status, answer.headers["allow"], answer.body) == (405, "GET, OPTIONS", b"")


@pytest.mark.parametrize(("target", "allow"), [("/later", "GET, OPTIONS, POST"), ("*", None)])
def test_options(api: ShowApi, target: str, allow: str | None) -> None:
    """OPTIONS gives the methods of a path in an empty answer; for the server as a whole none."""
    answer = fetch(api.site, "OPTIONS", target)
    assert (answer.status, answer.body, answer.headers.get("allow")) == (200, b"", allow)
    assert set(answer.headers) <= {"date", "content-length", "allow"}


def test_get_redirect(api: ShowApi) -> None:
    """GET is redirected with 301, the query kept, and a link in the body."""
    answer = fetch(api.site, "GET", "/Value/?a=b%20c&d")
    assert (answer.status, answer.headers["location"]) == (301, "/value?a=b%20c&d")
    assert answer.text == '<a href="/value?a=b%20c&amp;d">Moved Permanently</a>.\n\n'
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert NSQ[0] not in answer.headers


def test_post_redirect(api: ShowApi) -> None:
    """Other methods are redirected with 307 and no body."""
    answer = fetch(api.site, "POST", "//BODY?x=;", b"0123456789abcdef")
    assert (answer.status, answer.headers["location"], answer.body) == (307, "/body?x=;", b"")
    assert "content-type" not in answer.headers


def test_redirect_escapes_what_it_repeats(api: ShowApi) -> None:
    """A segment that the client chose cannot break out of the header or the link."""
    answer = fetch(api.site, "GET", "/item/%22%3Cb%3E%0d%0aX:y%3F/")
    assert answer.headers["location"] == "/item/%22%3Cb%3E%0D%0AX:y%3F"
    assert b"<b>" not in answer.body


@pytest.mark.parametrize(
    ("target", "name"), [("/item/a%20b", "a b"), ("/item/%C3%A4", "ä"), ("/item/%ff", "\ufffd")]
)
def test_path_argument(api: ShowApi, target: str, name: str) -> None:
    """A segment is decoded; what is no UTF-8 is replaced."""
    assert fetch(api.site, "GET", target).text == name


def test_tls_required(api: ShowApi) -> None:
    """Where TLS is required every request over plain HTTP is told the HTTPS port."""
    site = ApiSite(TlsRequired(lambda: 4152), api.clock)
    for method, target in [("GET", "/ping"), ("POST", "/x"), ("OPTIONS", "/ping")]:
        answer = fetch(site, method, target)
        assert answer.status == 403
        assert answer.body == b'{"message": "TLS_REQUIRED", "https_port": 4152}'
        assert {NSQ, JSON} <= set(answer.headers.items())
