"""The fast lane: requests that come by the ten thousand a second, past Twisted's and Klein's work.

Twisted makes a request object and its headers for each request: some 0.08 ms on a good day. An
endpoint in the lane costs a fraction of that. It is the same function that is called otherwise,
with a `LaneRequest` in place of an `ApiRequest`.

The lane takes only what is plain: ``POST /path?query HTTP/1.1`` with sound headers (`httptools`
says so), one Content-Length or chunks. Everything else is left to Twisted, with all its bytes. So
there is one place that knows what to do with what is odd, too long or broken.

Clients send the same head again and again. Heads that were seen are kept, so that they cost a
search for their end and a look into a dict.
"""

# Most of twisted.web has no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Literal

import attrs
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.http import (
    RESPONSES,
    _ChunkedTransferDecoder,
    _MalformedChunkedDataError,
    datetimeToString,
)

__all__ = ["PUT_OFF", "Chunks", "Head", "Lane", "LaneEndpoint", "LaneRequest", "Piece", "PutOff"]

#: What begins a request and has not come to the end of its head is kept up to this many bytes.
MAX_HEAD = 8 * 1024
#: Of heads that are kept: how many, and how long they may be.
MAX_KEPT_HEADS = 1024
MAX_KEPT_HEAD = 1024
#: Headers of a request. Twisted takes some more, so it may have those.
MAX_HEADERS = 100
#: The longest chunked body, with the lengths of its chunks, that is taken.
MAX_CHUNKED = 256 * 1024
#: A query of nothing but printable ASCII, and no line that goes on in the next.
_PLAIN = re.compile(rb"POST (/[a-z]+)\?([!-~]*) HTTP/1\.1(?:\r\n[^\0\r\n \t][^\0\r\n]*)*")


class PutOff(Enum):
    """What an endpoint gives that answers when the turn of the reactor ends."""

    PUT_OFF = "put off"


PUT_OFF: Literal[PutOff.PUT_OFF] = PutOff.PUT_OFF


class LaneRequest:
    """One request, with what endpoints look at in an `ApiRequest`. Its body is whole.

    An endpoint may give `PUT_OFF` where ``later`` is not None, and call that with the body of its
    answer before the turn is over.
    """

    __slots__ = ("body", "code", "headers", "later", "logged", "path", "query")

    length_refused = False
    body_too_big = False
    body_broken = False

    def __init__(self, path: str, query: bytes, body: bytes) -> None:
        self.path = path
        self.query = query
        self.body = body
        self.code = 200
        self.headers: dict[bytes, bytes] = {}
        self.logged = True
        self.later: Callable[[bytes], None] | None = None

    def set_header(self, name: bytes, value: bytes) -> None:
        """Set a header of the response."""
        self.headers[name] = value

    def setResponseCode(self, code: int) -> None:
        """Set the status of the response."""
        self.code = code

    @property
    def request_line(self) -> str:
        """Method and URI, for the log."""
        return f"POST {self.path}?{self.query.decode('latin-1')}"


#: Gives the body of the answer, at once or later. It never fails: errors are answers.
LaneEndpoint = Callable[[LaneRequest], "bytes | Deferred[bytes] | PutOff"]


@attrs.frozen
class Head:
    """What the head of a request says."""

    path: str
    query: bytes
    #: Of the body, in bytes; None: it is chunked.
    length: int | None
    #: The client waits for ``100 Continue``.
    expects: bool
    #: The connection closes after the answer.
    closes: bool


class Piece:
    """A body of a known length, as it comes."""

    def __init__(self, head: Head, data: bytes) -> None:
        assert head.length is not None
        self.head = head
        self._parts = [data]
        self._missing = head.length - len(data)

    def feed(self, data: bytes) -> bytes | None:
        """Take what has come; what is behind the body, or None if there is more to come."""
        self._missing -= len(data)
        if self._missing > 0:
            self._parts.append(data)
            return None
        end = len(data) + self._missing
        self._parts.append(data[:end])
        return data[end:]

    @property
    def body(self) -> bytes:
        """All of it."""
        return b"".join(self._parts)


class Chunks:
    """A chunked body, as it comes. All bytes are kept, in case it is one for Twisted after all.

    :param begin: the bytes of the head, with the empty line.
    :param limit: bytes of a body that are taken.
    """

    def __init__(self, head: Head, begin: bytes, limit: int) -> None:
        self.head = head
        self._raw = [begin]
        self._left = MAX_CHUNKED
        self._limit = limit
        self._body = bytearray()
        self._rest: list[bytes] = []
        # Methods of ours in their place would be a cycle of objects.
        self._decoder: Any = _ChunkedTransferDecoder(self._body.extend, self._rest.append)

    def feed(self, data: bytes) -> bytes | None:
        """Take what has come; what is behind the body, or None if there is more to come.

        :raises ValueError: it is broken or too long; `raw` has everything.
        """
        self._raw.append(data)
        self._left -= len(data)
        try:
            self._decoder.dataReceived(data)
        except _MalformedChunkedDataError:
            raise ValueError("not chunked") from None
        if len(self._body) > self._limit or (self._left < 0 and not self._rest):
            raise ValueError("too long")
        return self._rest[0] if self._rest else None

    @property
    def raw(self) -> bytes:
        """The request, as it came."""
        return b"".join(self._raw)

    @property
    def body(self) -> bytes:
        """All of it."""
        return bytes(self._body)


class Lane:
    """The endpoints that are in the lane, by their paths, and what is known of heads.

    ``end_turn`` has what was put off done at once; None: nothing is put off.
    """

    def __init__(
        self,
        endpoints: Mapping[str, LaneEndpoint],
        clock: IReactorTime,
        end_turn: Callable[[], None] | None = None,
    ) -> None:
        self.endpoints = dict(endpoints)
        self.end_turn = end_turn
        self.starts = tuple(f"POST {path}?".encode() for path in endpoints)
        self._clock = clock
        #: Heads of our endpoints that were seen, as bytes; None: they are for Twisted all the same.
        self.kept: dict[bytes, Head | None] = {}
        self._second = -1
        self._date = b""

    def may_begin(self, data: bytes) -> bool:
        """Whether these bytes, without the end of a head, may become a request for the lane."""
        if len(data) > MAX_HEAD:
            return False
        return data.startswith(self.starts) or any(each.startswith(data) for each in self.starts)

    def head(self, data: bytes) -> Head | None:
        """What a head, without the empty line at its end, says; None: it is for Twisted."""
        try:
            return self.kept[data]
        except KeyError:
            pass
        plain = _PLAIN.fullmatch(data) if len(data) <= MAX_HEAD else None
        if plain is None or (path := plain[1].decode()) not in self.endpoints:
            return None
        head = self._read(data, path, plain[2])
        if len(data) <= MAX_KEPT_HEAD:
            if len(self.kept) >= MAX_KEPT_HEADS:
                self.kept.clear()
            self.kept[data] = head
        return head

    def _read(self, data: bytes, path: str, query: bytes) -> Head | None:
        headers: list[tuple[bytes, bytes]] = []
        parser = HttpRequestParser(_Headers(headers))
        try:
            parser.feed_data(data + b"\r\n\r\n")
        except (HttpParserError, HttpParserUpgrade):
            return None
        if len(headers) > MAX_HEADERS:
            return None
        special: dict[bytes, bytes] = {}
        for name, value in headers:
            lower = name.lower()
            if lower in _SPECIAL:
                if lower in special:
                    return None
                special[lower] = value.strip(b" \t").lower()
        return _head_of(path, query, special)

    def response(self, request: LaneRequest, body: bytes, closes: bool) -> bytes:
        """An answer, as Twisted would write it."""
        second = int(self._clock.seconds())
        if second != self._second:
            self._second = second
            self._date = b"Date: %b\r\n" % datetimeToString(second)
        parts = [
            _status_line(request.code),
            b"Connection: close\r\n" if closes else b"",
            self._date,
        ]
        for header in request.headers.items():
            parts.append(b"%b: %b\r\n" % header)
        parts += (b"\r\n", body)
        return b"".join(parts)


_SPECIAL = frozenset(
    [b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade"]
)


def _head_of(path: str, query: bytes, special: dict[bytes, bytes]) -> Head | None:
    """The head, if its special headers say nothing unusual."""
    connection = special.pop(b"connection", b"keep-alive")
    expect = special.pop(b"expect", None)
    length = special.pop(b"content-length", None)
    coding = special.pop(b"transfer-encoding", None)
    if special or connection not in (b"keep-alive", b"close"):
        return None
    if expect not in (None, b"100-continue") or (length is None) == (coding is None):
        return None
    if length is None:
        # The client of a chunked body that waits would be told twice to go on, if Twisted has to
        # be asked after all.
        if coding != b"chunked" or expect is not None:
            return None
    elif not length.isdigit() or len(length) > 18:
        return None
    return Head(
        path,
        query,
        None if length is None else int(length),
        expect is not None,
        connection == b"close",
    )


def _status_line(code: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (code, RESPONSES[code])


class _Headers:
    """What the parser calls."""

    def __init__(self, headers: list[tuple[bytes, bytes]]) -> None:
        self._headers = headers

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))
