"""Compressed answers: when, how, and what is left alone (nsqadmin section 3.3)."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest
from twisted.internet.task import Clock
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from nsqtx.web.compression import Compressing, coding_of
from nsqtx.web.site import ApiRequest, ApiSite
from tests.support.http import Connection, Response, request_bytes

BODY = b"all work and no play " * 50


class Page(Resource):
    """Answers what it is told to."""

    isLeaf = True

    def __init__(self, kind: str, body: bytes, **headers: str) -> None:
        super().__init__()
        self.kind = kind
        self.body = body
        self.headers = headers
        self.request: ApiRequest | None = None

    def render(self, request: ApiRequest) -> bytes:
        """The body."""
        self.request = request
        request.set_header(b"Content-Type", self.kind.encode())
        for name, value in self.headers.items():
            request.set_header(name.replace("_", "-").encode(), value.encode())
        return self.body


def fetch(page: Resource, accepted: str, version: str = "HTTP/1.0") -> Response:
    """The answer to a request with an Accept-Encoding; HTTP/1.0, so that it is in one piece."""
    connection = Connection(ApiSite(Compressing(page), Clock()))
    headers = {"Accept-Encoding": accepted} if accepted else {}
    connection.send(request_bytes("GET", "/", headers=headers, version=version))
    head, _, body = connection.sent_by_server().partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    found = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    connection.lost()
    return Response(version, int(lines[0].split(" ")[1]), found, body)


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("br, gzip, deflate", "gzip"),
        ("deflate,gzip", "deflate"),
        ("gzip;q=1.0, deflate", "deflate"),
        ("GZIP", ""),
        ("x-gzip", ""),
        ("br", ""),
        ("", ""),
    ],
)
def test_which_coding(accepted: str, coding: str) -> None:
    """The first token that is one of ours, to the letter."""
    assert coding_of(accepted) == coding


@pytest.mark.parametrize(
    ("coding", "undo"),
    [("gzip", gzip.decompress), ("deflate", lambda data: zlib.decompress(data, -15))],
)
def test_compressed(coding: str, undo: Callable[[bytes], bytes]) -> None:
    """It is smaller, says how it is to be read, and is the same."""
    answer = fetch(Page("application/json", BODY), coding)
    assert answer.headers["content-encoding"] == coding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert "content-length" not in answer.headers
    assert len(answer.body) < len(BODY) / 5
    assert undo(answer.body) == BODY


@pytest.mark.parametrize(
    "page",
    [
        Page("image/png", BODY),
        Page("font/woff2", BODY),
        Page("text/event-stream; charset=utf-8", BODY),
        Page("text/plain", BODY, Content_Encoding="br"),
        Page("text/plain", b""),
    ],
)
def test_left_alone(page: Page) -> None:
    """What is compressed already, what must not wait, and nothing."""
    answer = fetch(page, "gzip")
    assert answer.body == page.body
    assert answer.headers.get("content-encoding") != "gzip"
    assert "vary" not in answer.headers


def test_not_asked_for() -> None:
    """As it is, and with a length."""
    answer = fetch(Page("text/plain", BODY), "")
    assert answer.body == BODY
    assert answer.headers["content-length"] == str(len(BODY))


def test_svg_is_text() -> None:
    """Though its type says image."""
    assert fetch(Page("image/svg+xml", BODY), "gzip").headers["content-encoding"] == "gzip"


def test_an_answer_in_parts() -> None:
    """Is one stream."""

    class Parts(Page):
        def render(self, request: ApiRequest) -> int:  # type: ignore[override]
            super().render(request)
            for _ in range(3):
                request.write(BODY)
            request.finish()
            return NOT_DONE_YET

    answer = fetch(Parts("text/plain", b""), "gzip")
    assert gzip.decompress(answer.body) == BODY * 3
