"""Bytes for the parser of commands, and what came of them in a form to compare."""

from __future__ import annotations

import struct
from typing import Any

from nsqtx.wire.commands import MAGIC, Event, Parser
from nsqtx.wire.errors import ProtocolError
from nsqtx.wire.limits import Limits

__all__ = ["SMALL", "mpub", "opened", "size", "sized", "texts"]

SMALL = Limits(max_msg_size=100, max_body_size=200, max_req_timeout=1000)


def size(number: int) -> bytes:
    """A size field."""
    return struct.pack(">i", number)


def sized(body: bytes) -> bytes:
    """A body with its size."""
    return size(len(body)) + body


def mpub(*bodies: bytes, topic: bytes = b"t") -> bytes:
    """An MPUB."""
    body = size(len(bodies)) + b"".join(map(sized, bodies))
    return b"MPUB " + topic + b"\n" + sized(body)


def opened(limits: Limits | None = None, **settings: Any) -> Parser:
    """A parser that has seen the magic."""
    parser = Parser(limits or Limits(), **settings)
    assert parser.feed(b"  V2") == [(MAGIC, True)]
    return parser


def texts(events: list[Event]) -> list[Any]:
    """The events, with errors as their text."""
    return [
        tuple(item.data.decode() if isinstance(item, ProtocolError) else item for item in event)
        for event in events
    ]
