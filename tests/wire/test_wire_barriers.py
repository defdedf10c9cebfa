"""The parser: where it stops, and what it says when there is no more."""

from __future__ import annotations

import pytest

from nsqtx.wire.commands import (
    BAD_MPUB,
    BODY,
    ERROR,
    LINE,
    MPUB,
    PUB,
)
from tests.support.parsing import mpub, opened, size, sized, texts

# Barriers.


def test_identify() -> None:
    """The parser stops at IDENTIFY, again after its body, and goes on when told."""
    parser = opened()
    data = b"NOP\nIDENTIFY x\n\0\0\0\2{}PUB t\n\0\0\0\1x"
    assert parser.feed(data) == [(LINE, b"NOP", []), (LINE, b"IDENTIFY", [b"x"])]
    assert parser.blocked
    assert parser.feed(b"NOP\n") == []
    parser.expect_body(b"IDENTIFY", 200)
    assert parser.resume() == [(BODY, b"IDENTIFY", b"{}")]
    assert parser.blocked
    assert parser.feed(b"NOP\n") == []
    assert parser.eof() is None
    assert parser.resume() == [(PUB, "t", [b"x"]), (LINE, b"NOP", []), (LINE, b"NOP", [])]
    assert parser.resume() == []


def test_body_comes_later() -> None:
    """The body may come in pieces after it was asked for."""
    parser = opened()
    assert parser.feed(b"AUTH\n") == [(LINE, b"AUTH", [])]
    parser.expect_body(b"AUTH", 200)
    assert parser.resume() == []
    for piece in (b"\0", b"\0\0\3", b"a", b"b"):
        assert parser.feed(piece) == []
    assert parser.feed(b"cNOP\n") == [(BODY, b"AUTH", b"abc")]
    assert parser.resume() == [(LINE, b"NOP", [])]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (size(201), "E_BAD_BODY AUTH body too big 201 > 200"),
        (size(0), "E_BAD_BODY AUTH invalid body size 0"),
        (size(-1), "E_BAD_BODY AUTH invalid body size -1"),
    ],
)
def test_bad_body_size(field: bytes, text: str) -> None:
    """The size of a body is judged before the body has come."""
    parser = opened()
    parser.feed(b"AUTH\n" + field)
    parser.expect_body(b"AUTH", 200)
    assert texts(parser.resume()) == [(ERROR, text)]


def test_announced_mpub() -> None:
    """Where asked for, the line of an MPUB is given before its body is looked at."""
    parser = opened(announce_mpub=True)
    assert parser.feed(b"MPUB t x\n\0\0\0\0") == [(LINE, b"MPUB", [b"t", b"x"])]
    assert parser.feed(b"") == []
    assert parser.mpub_topic == "t"
    assert texts(parser.resume()) == [(BAD_MPUB, "t", "E_BAD_BODY MPUB invalid body size 0")]
    parser = opened(announce_mpub=True)
    assert parser.feed(mpub(b"x") + b"NOP\n") == [(LINE, b"MPUB", [b"t"])]
    assert parser.resume() == [(MPUB, "t", [b"x"]), (LINE, b"NOP", [])]
    assert texts(parser.feed(b"MPUB a:b\n"))[0][0] == ERROR


def test_locked() -> None:
    """While locked, each line is given as it is, one at a time."""
    parser = opened()
    assert parser.feed(b"PUB t\n\0\0\0\1x") == [(PUB, "t", [b"x"])]
    parser.locked = True
    data = b"PUB t\nFIN 0123456789abcdef\n\n"
    assert parser.feed(data) == [(LINE, b"PUB", [b"t"])]
    assert parser.resume() == [(LINE, b"FIN", [b"0123456789abcdef"])]
    assert parser.resume() == [(LINE, b"", [])]
    assert parser.feed(b"IDENTIFY\n\0\0\0\2{}PUB t\n\0\0\0\1x") == []
    assert parser.resume() == [(LINE, b"IDENTIFY", [])]
    parser.expect_body(b"IDENTIFY", 200)
    assert parser.resume() == [(BODY, b"IDENTIFY", b"{}")]
    parser.locked = False
    assert parser.resume() == [(PUB, "t", [b"x"])]


def test_put_back() -> None:
    """What is put back comes again before what was read since, and a barrier in it still is one."""
    parser = opened()
    events = parser.feed(b"NOP\nPUB t\n\0\0\0\1xIDENTIFY\n\0\0\0\2{}NOP\n")
    parser.put_back(events[1:])
    assert parser.feed(b"FOO\n") == []
    assert parser.eof() is None
    assert parser.resume() == [(PUB, "t", [b"x"]), (LINE, b"IDENTIFY", [])]
    parser.expect_body(b"IDENTIFY", 200)
    assert parser.resume() == [(BODY, b"IDENTIFY", b"{}")]
    parser.put_back([])
    assert parser.feed(b"BAR\n") == []
    assert parser.resume() == [(LINE, word, []) for word in (b"NOP", b"FOO", b"BAR")]
    assert parser.resume() == []
    events = parser.feed(b"NOP\nPUB a:b\n")
    parser.put_back(events)
    assert parser.resume() == events
    assert parser.resume() == []
    parser.put_back(events)
    parser.stop()
    assert parser.resume() == []


def test_stop() -> None:
    """After a stop nothing is kept and nothing is read."""
    parser = opened()
    parser.feed(b"PUB t\n\0\0\1\0abc")
    assert parser.buffered == 13
    parser.stop()
    assert parser.buffered == 0
    assert parser.feed(b"NOP\n") == []
    assert parser.eof() is None


# The end.


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", None),
        (b"PUB t", None),
        (b"NOP\n", None),
        (b"PUB t\n\0\0\0\1x", None),
        (b"PUB t\n", "E_BAD_MESSAGE PUB failed to read message body size"),
        (b"PUB t\n\0\0", "E_BAD_MESSAGE PUB failed to read message body size"),
        (b"PUB t\n\0\0\0\x0a", "E_BAD_MESSAGE PUB failed to read message body"),
        (b"PUB t\n\0\0\0\x0aab\n", "E_BAD_MESSAGE PUB failed to read message body"),
        (b"DPUB t 0\n", "E_BAD_MESSAGE DPUB failed to read message body size"),
        (b"DPUB t 0\n\0\0\0\x0aabc", "E_BAD_MESSAGE DPUB failed to read message body"),
        (b"MPUB t\n", "E_BAD_BODY MPUB failed to read body size"),
        (b"MPUB t\n\0\0", "E_BAD_BODY MPUB failed to read body size"),
        (b"MPUB t\n" + size(20), "E_BAD_BODY MPUB failed to read message count"),
        (b"MPUB t\n" + size(20) + b"\0\0", "E_BAD_BODY MPUB failed to read message count"),
        (
            b"MPUB t\n" + size(20) + size(2),
            "E_BAD_MESSAGE MPUB failed to read message(0) body size",
        ),
        (
            b"MPUB t\n" + size(20) + size(2) + sized(b"a") + b"\0",
            "E_BAD_MESSAGE MPUB failed to read message(1) body size",
        ),
        (
            b"MPUB t\n" + size(20) + size(1) + size(10) + b"abc",
            "E_BAD_MESSAGE MPUB failed to read message body",
        ),
        (mpub(b"x"), None),
    ],
)
@pytest.mark.parametrize("pieces", [False, True])
def test_eof(data: bytes, text: str | None, pieces: bool) -> None:
    """When the peer ends inside a body that is said; anywhere else there is nothing to say."""
    parser = opened()
    for piece in [bytes([byte]) for byte in data] if pieces else [data]:
        parser.feed(piece)
    error = parser.eof()
    assert (error and error.data.decode()) == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "E_BAD_BODY IDENTIFY failed to read body size"),
        (b"\0", "E_BAD_BODY IDENTIFY failed to read body size"),
        (b"\0\0\0\x09", "E_BAD_BODY IDENTIFY failed to read body"),
        (b"\0\0\0\x09{", "E_BAD_BODY IDENTIFY failed to read body"),
    ],
)
def test_eof_in_identify(data: bytes, text: str) -> None:
    """The same for a body that was asked for."""
    parser = opened()
    parser.feed(b"IDENTIFY\n" + data)
    parser.expect_body(b"IDENTIFY", 200)
    assert parser.resume() == []
    error = parser.eof()
    assert error is not None
    assert error.data.decode() == text


def test_mpub_topic() -> None:
    """Inside an MPUB its topic is known, before and after it is not."""
    parser = opened()
    assert parser.mpub_topic is None
    parser.feed(mpub(b"abc")[:-1])
    assert parser.mpub_topic == "t"
    parser.feed(b"c")
    assert parser.mpub_topic is None
