"""The pages below /debug (nsqd-http section 11)."""

from __future__ import annotations

import sys

import pytest

from nsqtx.web import debug
from nsqtx.web.debug import MAX_PROFILE_SECONDS, PROFILE_SECONDS
from tests.support.http import Connection, fetch, request_bytes
from tests.support.webapp import ShowApi


@pytest.fixture
def api() -> ShowApi:
    """An API with the debug pages."""
    return ShowApi()


@pytest.mark.parametrize(
    ("target", "part"),
    [
        ("/debug/pprof/", '<a href="/debug/pprof/heap">heap</a>'),
        ("/debug/pprof/cmdline", "\0".join(sys.orig_argv)),
        ("/debug/pprof/symbol", "num_symbols: 1\n"),
        ("/debug/pprof/heap", "objects the garbage collector knows"),
        ("/debug/pprof/heap?gc=1&x=%", "objects the garbage collector knows"),
        ("/debug/pprof/goroutine?debug=1", "in test_page"),
        ("/debug/pprof/threadcreate", "MainThread"),
        ("/debug/pprof/block", "no block profile"),
    ],
)
def test_page(api: ShowApi, target: str, part: str) -> None:
    """Each page is there and shows what it says."""
    answer = fetch(api.site, "GET", target)
    assert answer.status == 200
    assert part in answer.text
    assert "x-nsq-content-type" not in answer.headers


@pytest.mark.parametrize("target", ["/debug/pprof/mutex", "/debug/pprof/trace", "/debug"])
def test_no_page(api: ShowApi, target: str) -> None:
    """Other pages do not exist."""
    assert fetch(api.site, "GET", target).status == 404


def test_delayed_calls(api: ShowApi) -> None:
    """The calls that wait for their time are listed with it."""
    api.clock.callLater(2.5, print)
    assert "delayed calls: 1\nin 2.500 s: " in fetch(api.site, "GET", "/debug/pprof/goroutine").text


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ("?seconds=2", 2),
        ("", PROFILE_SECONDS),
        ("?seconds=x", PROFILE_SECONDS),
        ("?seconds=0", PROFILE_SECONDS),
        ("?seconds=999999", MAX_PROFILE_SECONDS),
    ],
)
def test_profile(api: ShowApi, query: str, seconds: int) -> None:
    """A profile is answered after the seconds asked for, within bounds, with what ran then."""
    connection = Connection(api.site)
    connection.send(request_bytes("GET", f"/debug/pprof/profile{query}"))
    fetch(api.site, "GET", "/value")
    api.clock.advance(seconds - 0.01)
    assert connection.answers() == []
    api.clock.advance(0.01)
    (answer,) = connection.answers()
    assert "cumulative" in answer.text
    assert "(requestReceived)" in answer.text


def test_one_profile_at_a_time(api: ShowApi) -> None:
    """A second profile is refused until the first is over; a client that leaves ends it."""
    connection = Connection(api.site)
    connection.send(request_bytes("GET", "/debug/pprof/profile"))
    refused = fetch(api.site, "GET", "/debug/pprof/profile")
    assert (refused.status, refused.text[:29]) == (500, "Could not enable CPU profilin")
    connection.lost()
    assert api.clock.getDelayedCalls() == []
    assert debug._running is None


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("?rate=0", 200, ""),
        ("?rate=-5", 200, ""),
        ("?rate=abc", 400, 'invalid block rate : parsing "abc": invalid syntax'),
        ("", 400, 'invalid block rate : parsing "": invalid syntax'),
    ],
)
def test_setblockrate(api: ShowApi, query: str, status: int, text: str) -> None:
    """A rate is accepted if it is a number."""
    answer = fetch(api.site, "PUT", f"/debug/setblockrate{query}")
    assert (answer.status, answer.text) == (status, text)


def test_freememory(api: ShowApi) -> None:
    """Freeing memory is answered with 200, where the original says 500."""
    assert fetch(api.site, "POST", "/debug/freememory").status == 200
