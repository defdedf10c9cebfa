"""Protocol V1, which nsqlookupd speaks: bytes in, commands out (nsqlookupd section 3).

A command is a line; IDENTIFY has a body with its size in front. What is answered has a size and no
type. `LookupParser` gives one event at a time, since whether a body follows an IDENTIFY depends on
what its line is answered. A session's loop is::

    parser.feed(data)
    while (event := parser.next()) is not None: ...    # expect_body() if it was IDENTIFY
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

import attrs

from nsqtx.wire import gojson
from nsqtx.wire.errors import ProtocolError
from nsqtx.wire.publishing import bad_size

__all__ = [
    "MAGIC_V1",
    "MAX_IDENTIFY",
    "MAX_V1_LINE",
    "Body",
    "Line",
    "LookupParser",
    "Magic",
    "PeerInfo",
    "parse_peer",
    "v1_frame",
]

#: What a client sends first.
MAGIC_V1 = b"  V1"
#: A line in bytes. The original has no limit; the longest that means anything has 139.
MAX_V1_LINE = 256 * 1024
#: The body of an IDENTIFY in bytes. The original has no limit, and nsqd sends some 200.
MAX_IDENTIFY = 64 * 1024

_size = Struct(">i")


class Magic(NamedTuple):
    """The first four bytes, whatever they are."""

    data: bytes


class Line(NamedTuple):
    """A command and what stands behind it."""

    word: bytes
    params: list[bytes]


class Body(NamedTuple):
    """What `LookupParser.expect_body` asked for."""

    data: bytes


# What is read next.
_MAGIC, _LINE, _SIZE, _BODY = range(4)


@attrs.define(eq=False)
class LookupParser:
    """The reading side of one V1 connection. It holds one line or body at most, and one read."""

    _reads: int = attrs.field(default=_MAGIC, init=False)
    _buffer: bytearray = attrs.field(factory=bytearray, init=False)
    # Where the next event begins, and up to where there is no end of a line.
    _at: int = attrs.field(default=0, init=False)
    _scanned: int = attrs.field(default=0, init=False)
    _body_size: int = attrs.field(default=0, init=False)

    def feed(self, data: bytes) -> None:
        """Take what was read."""
        if self._at:
            del self._buffer[: self._at]
            self._scanned = max(0, self._scanned - self._at)
            self._at = 0
        self._buffer += data

    def next(self) -> Magic | Line | Body | None:
        """What comes next; None when that is not complete.

        :raises ProtocolError: a line or a body is too long; nothing may be asked after that.
        """
        if self._reads == _LINE:
            return self._line()
        if self._reads == _MAGIC:
            magic = self._take(len(MAGIC_V1))
            if magic is None:
                return None
            self._reads = _LINE
            return Magic(magic)
        if self._reads == _SIZE:
            size = self._take(4)
            if size is None:
                return None
            (self._body_size,) = _size.unpack(size)
            # An empty body is no JSON, which is for the reader of it to say.
            if not 0 <= self._body_size <= MAX_IDENTIFY:
                raise bad_size(b"IDENTIFY", "body", self._body_size, MAX_IDENTIFY)
            self._reads = _BODY
        body = self._take(self._body_size)
        if body is None:
            return None
        self._reads = _LINE
        return Body(body)

    def _take(self, size: int) -> bytes | None:
        if len(self._buffer) - self._at < size:
            return None
        start = self._at
        self._at = self._scanned = start + size
        return bytes(self._buffer[start : self._at])

    def _line(self) -> Line | None:
        end = self._buffer.find(b"\n", self._scanned)
        length = (end if end >= 0 else len(self._buffer)) - self._at
        if length >= MAX_V1_LINE:
            raise ProtocolError("E_INVALID", f"line of more than {MAX_V1_LINE} bytes")
        if end < 0:
            self._scanned = len(self._buffer)
            return None
        line = bytes(self._buffer[self._at : end])
        self._at = self._scanned = end + 1
        # Two spaces make an empty parameter, and a tab is no space.
        word, *params = line.strip().split(b" ")
        return Line(word, params)

    def expect_body(self) -> None:
        """What follows is the body of an IDENTIFY."""
        self._reads = _SIZE

    def end(self) -> ProtocolError | None:
        """The client sends no more: what to answer to that, None if nothing (section 3.8)."""
        if self._reads == _SIZE:
            return ProtocolError("E_BAD_BODY", "IDENTIFY failed to read body size")
        if self._reads == _BODY:
            return ProtocolError("E_BAD_BODY", "IDENTIFY failed to read body")
        return None


def v1_frame(data: bytes) -> bytes:
    """An answer, or an error: both look the same."""
    return _size.pack(len(data)) + data


@attrs.frozen
class PeerInfo:
    """What an nsqd says of itself (section 3.4)."""

    hostname: str
    broadcast_address: str
    tcp_port: int
    http_port: int
    version: str
    topology_zone: str = ""
    topology_region: str = ""


def parse_peer(body: bytes) -> PeerInfo:
    """Read the body of an IDENTIFY.

    :raises ProtocolError: ``E_BAD_BODY``, it is no JSON object, or something required is missing.
    """
    try:
        fields = gojson.decode_fields(body)
        # Never used, but it must be a string all the same.
        fields.text("remote_address")
        peer = PeerInfo(
            hostname=fields.text("hostname"),
            broadcast_address=fields.text("broadcast_address"),
            tcp_port=fields.integer("tcp_port"),
            http_port=fields.integer("http_port"),
            version=fields.text("version"),
            topology_zone=fields.text("topology_zone"),
            topology_region=fields.text("topology_region"),
        )
    except ValueError as error:
        raise ProtocolError("E_BAD_BODY", "IDENTIFY failed to decode JSON body") from error
    if not (peer.broadcast_address and peer.tcp_port and peer.http_port and peer.version):
        raise ProtocolError("E_BAD_BODY", "IDENTIFY missing fields")
    return peer
