"""A request that was answered, or not, is freed without the garbage collector."""

from __future__ import annotations

import pytest

from nsqtx.web.api import ApiError
from tests.support.garbage import left_to_collector
from tests.support.http import Connection, request_bytes
from tests.support.webapp import ShowApi


@pytest.fixture
def api() -> ShowApi:
    """An API with all kinds of endpoints."""
    return ShowApi()


@pytest.mark.parametrize("path", ["/value", "/refuse", "/bug", "/item/x", "/debug/pprof/cmdline"])
def test_an_answer(api: ShowApi, path: str) -> None:
    """A value, a token, a bug."""

    def come_and_go() -> None:
        connection = Connection(api.site)
        connection.send(request_bytes("GET", path))
        assert len(connection.answers()) == 1
        connection.lost()

    assert left_to_collector(come_and_go) == {}


@pytest.mark.parametrize("result", ["OK", ApiError(404, "TOPIC_NOT_FOUND"), None])
def test_an_answer_that_comes_later(api: ShowApi, result: str | ApiError | None) -> None:
    """Or not before the client has left."""

    def come_and_go() -> None:
        connection = Connection(api.site)
        connection.send(request_bytes("GET", "/later"))
        answer = api.waiting.pop()
        if isinstance(result, str):
            answer.callback(result)
        elif result is not None:
            answer.errback(ApiError(result.status, result.token))
        assert len(connection.answers()) == (result is not None)
        connection.lost()

    assert left_to_collector(come_and_go) == {}
