"""The parser: magic, lines, runs, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from nsqtx.wire.commands import (
    BAD_MPUB,
    DPUB,
    ERROR,
    FIN,
    LINE,
    MAGIC,
    MPUB,
    PUB,
    TOO_LONG,
    Event,
    Parser,
)
from tests.support.parsing import SMALL, mpub, opened, size, sized, texts

# The magic.


@pytest.mark.parametrize("magic", [b"  V1", b"GET / HTTP/1.0\r\n\r\n", b"\0\0\0\0"])
def test_wrong_magic(magic: bytes) -> None:
    """Any other magic is answered by a code without a description, and that is the end."""
    parser = Parser()
    assert texts(parser.feed(magic)) == [(ERROR, "E_BAD_PROTOCOL")]
    assert parser.feed(b"  V2NOP\n") == []


def test_magic_in_pieces() -> None:
    """The magic may come byte by byte, and commands right after it."""
    parser = Parser()
    assert parser.feed(b"  ") == []
    assert parser.eof() is None
    assert parser.feed(b"V") == []
    assert parser.feed(b"2NOP\n") == [(MAGIC, True), (LINE, b"NOP", [])]


# Lines.


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"NOP\n", (LINE, b"NOP", [])),
        (b"NOP\r\n", (LINE, b"NOP", [])),
        (b"NOP\r\r\n", (LINE, b"NOP\r", [])),
        (b"\n", (LINE, b"", [])),
        (b"\r\n", (LINE, b"", [])),
        (b" NOP\n", (LINE, b"", [b"NOP"])),
        (b"nop\n", (LINE, b"nop", [])),
        (b"F\xff\0O\n", (LINE, b"F\xff\0O", [])),
        (b"SUB\tt c\n", (LINE, b"SUB\tt", [b"c"])),
        (b"SUB  t c\n", (LINE, b"SUB", [b"", b"t", b"c"])),
        (b"RDY\n", (LINE, b"RDY", [])),
        (b"RDY \n", (LINE, b"RDY", [b""])),
        (b"CLS now\n", (LINE, b"CLS", [b"now"])),
        (b"REQ 0123456789abcdef 5\n", (LINE, b"REQ", [b"0123456789abcdef", b"5"])),
        (b"FIN\n", (LINE, b"FIN", [])),
        (b"FIN 0123456789ABCDEF\n", (LINE, b"FIN", [b"0123456789ABCDEF"])),
        (b"FIN 0123456789abcdef z\n", (LINE, b"FIN", [b"0123456789abcdef", b"z"])),
        (b"FIN 0123456789abcdef\r\n", (LINE, b"FIN", [b"0123456789abcdef"])),
        (b"FIN 01234567 9abcdef\n", (LINE, b"FIN", [b"01234567", b"9abcdef"])),
        (b"FINE\n", (LINE, b"FINE", [])),
    ],
)
def test_line(line: bytes, event: Event) -> None:
    """A line is split at single spaces, and at most one carriage return is dropped."""
    assert opened().feed(line) == [event]


def test_longest_line() -> None:
    """A line may have 16384 bytes with its end."""
    parser = opened()
    assert parser.feed(b"NOP " + b"x" * 16379 + b"\n") == [(LINE, b"NOP", [b"x" * 16379])]


@pytest.mark.parametrize("rest", [b"x" * 16380, b"x" * 16380 + b"\n", b"x" * 20000 + b"\n"])
def test_too_long_line(rest: bytes) -> None:
    """A line without an end in 16384 bytes is the end, without an answer."""
    parser = opened()
    assert parser.feed(b"NOP\nNOP " + rest) == [(LINE, b"NOP", []), (TOO_LONG,)]
    assert parser.buffered == 0
    assert parser.eof() is None
    assert parser.feed(b"NOP\n") == []


def test_too_long_line_in_pieces() -> None:
    """The line is too long with its 16384th byte."""
    parser = opened()
    assert parser.feed(b"x" * 16383) == []
    assert parser.buffered == 16383
    assert parser.feed(b"x") == [(TOO_LONG,)]


# Runs.


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 600])
def test_fin_run(count: int) -> None:
    """FINs in a row are one event."""
    ids = [b"%016x" % number for number in range(count)]
    data = b"".join(b"FIN " + id + b"\n" for id in ids)
    assert opened().feed(data + b"NOP\nFI") == [(FIN, ids), (LINE, b"NOP", [])]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 600])
@pytest.mark.parametrize("equal", [True, False])
def test_pub_run(count: int, equal: bool) -> None:
    """PUBs with one line are one event, of one size or of many."""
    bodies = [b"x" * (3 if equal else number % 7 + 1) for number in range(count)]
    data = b"".join(b"PUB t\n" + sized(body) for body in bodies)
    assert opened().feed(data) == [(PUB, "t", bodies)]
    assert opened().feed(data + b"NOP\n") == [(PUB, "t", bodies), (LINE, b"NOP", [])]
    assert opened().feed(data + b"PUB t\n\0\0\0\x05ab") == [(PUB, "t", bodies)]
    assert opened().feed(data + b"PUB t\n\0") == [(PUB, "t", bodies)]
    assert opened().feed(data + b"PU") == [(PUB, "t", bodies)]


def test_other_topics() -> None:
    """A run ends where the topic changes."""
    data = b"PUB t\n\0\0\0\1aPUB u\n\0\0\0\1bPUB u\n\0\0\0\1cPUB t\n\0\0\0\1d"
    assert opened().feed(data) == [(PUB, "t", [b"a"]), (PUB, "u", [b"b", b"c"]), (PUB, "t", [b"d"])]


def test_run_of_rows_with_one_change() -> None:
    """A row that looks like the others but is for another topic is seen."""
    data = b"PUB t\n\0\0\0\1a" * 9 + b"PUB u\n\0\0\0\1b" + b"PUB t\n\0\0\0\1a" * 9
    assert opened().feed(data) == [
        (PUB, "t", [b"a"] * 9),
        (PUB, "u", [b"b"]),
        (PUB, "t", [b"a"] * 9),
    ]


def test_bodies_that_look_like_commands() -> None:
    """What stands in a body is not looked at."""
    body = b"PUB u\n\0\0\0\1bFIN 0123456789abcdef\n"
    assert opened().feed(b"PUB t\n" + sized(body)) == [(PUB, "t", [body])]


def test_extra_parameters() -> None:
    """More parameters than needed are ignored."""
    parser = opened()
    assert parser.feed(b"PUB t a b\r\n\0\0\0\1x") == [(PUB, "t", [b"x"])]
    assert parser.feed(b"DPUB t 0 a\n\0\0\0\1x") == [(DPUB, "t", 0, b"x")]
    assert parser.feed(b"MPUB t a\n" + mpub(b"x")[7:]) == [(MPUB, "t", [b"x"])]


def test_pipeline() -> None:
    """Commands of all kinds in one read come in order."""
    data = b"PUB t\n\0\0\0\3one" + mpub(b"two", b"3") + b"SUB t c\nDPUB t 5\n\0\0\0\1x"
    assert opened().feed(data) == [
        (PUB, "t", [b"one"]),
        (MPUB, "t", [b"two", b"3"]),
        (LINE, b"SUB", [b"t", b"c"]),
        (DPUB, "t", 5, b"x"),
    ]


# Errors of PUB, DPUB and MPUB, in the order of the specification.


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"PUB\n\0\0\0\1x", "E_INVALID PUB insufficient number of parameters"),
        (b"PUB \n\0\0\0\1x", 'E_BAD_TOPIC PUB topic name "" is not valid'),
        (b"PUB a:b\n\0\0\0\0", 'E_BAD_TOPIC PUB topic name "a:b" is not valid'),
        (b"PUB a\rb\n", 'E_BAD_TOPIC PUB topic name "a\\rb" is not valid'),
        (b"PUB t\n\0\0\0\0", "E_BAD_MESSAGE PUB invalid message body size 0"),
        (b"PUB t\n\xff\xff\xff\xff", "E_BAD_MESSAGE PUB invalid message body size -1"),
        (b"PUB t\n\x80\0\0\0", "E_BAD_MESSAGE PUB invalid message body size -2147483648"),
        (b"PUB t\n\0\0\0\x65", "E_BAD_MESSAGE PUB message too big 101 > 100"),
        (b"DPUB\n", "E_INVALID DPUB insufficient number of parameters"),
        (b"DPUB t\n", "E_INVALID DPUB insufficient number of parameters"),
        (b"DPUB a:b xx\n", 'E_BAD_TOPIC DPUB topic name "a:b" is not valid'),
        (b"DPUB t abc\n", "E_INVALID DPUB could not parse timeout abc"),
        (b"DPUB t -1\n", "E_INVALID DPUB could not parse timeout -1"),
        (b"DPUB t 1.5\n", "E_INVALID DPUB could not parse timeout 1.5"),
        (b"DPUB t 1001\n\0\0\0\0", "E_INVALID DPUB timeout 1001 out of range 0-1000"),
        (
            b"DPUB t 18446744073709551615\n",
            "E_INVALID DPUB timeout 18446744073709551615 out of range 0-1000",
        ),
        (b"DPUB t 0\n\0\0\0\0", "E_BAD_MESSAGE DPUB invalid message body size 0"),
        (b"DPUB t 0\n\xff\xff\xff\xff", "E_BAD_MESSAGE DPUB invalid message body size -1"),
        (b"DPUB t 0\n\0\0\0\x65", "E_BAD_MESSAGE DPUB message too big 101 > 100"),
        (b"MPUB\n", "E_INVALID MPUB insufficient number of parameters"),
        (b"MPUB a:b\n", 'E_BAD_TOPIC E_BAD_TOPIC MPUB topic name "a:b" is not valid'),
    ],
)
def test_error(data: bytes, text: str) -> None:
    """A bad PUB, DPUB or MPUB line is refused as soon as it can be, and is the end."""
    parser = opened(SMALL)
    assert texts(parser.feed(b"PUB t\n\0\0\0\1x" + data)) == [(PUB, "t", [b"x"]), (ERROR, text)]
    assert parser.feed(b"NOP\n") == []
    assert parser.resume() == []
    assert parser.buffered == 0
    assert parser.eof() is None


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (size(0), "E_BAD_BODY MPUB invalid body size 0"),
        (size(-1), "E_BAD_BODY MPUB invalid body size -1"),
        (size(201), "E_BAD_BODY MPUB body too big 201 > 200"),
        (size(4) + size(0), "E_BAD_BODY MPUB invalid message count 0"),
        (size(4) + size(-1), "E_BAD_BODY MPUB invalid message count -1"),
        (size(200) + size(40), "E_BAD_BODY MPUB invalid message count 40"),
        (size(200) + size(39) + size(0), "E_BAD_MESSAGE MPUB invalid message(0) body size 0"),
        (
            size(13) + size(2) + sized(b"a") + size(0),
            "E_BAD_MESSAGE MPUB invalid message(1) body size 0",
        ),
        (
            size(50) + size(9) + sized(b"a") * 8 + size(-5),
            "E_BAD_MESSAGE MPUB invalid message(8) body size -5",
        ),
        (
            size(113) + size(2) + sized(b"a") + size(101),
            "E_BAD_MESSAGE MPUB message too big 101 > 100",
        ),
        (
            size(50) + size(3) + sized(b"x" * 90) * 2 + size(9),
            "E_BAD_BODY MPUB body too big 205 > 200",
        ),
    ],
)
def test_bad_mpub(body: bytes, text: str) -> None:
    """A bad body is refused at the first bad number; the topic is there all the same."""
    parser = opened(SMALL)
    assert texts(parser.feed(b"MPUB t\n" + body)) == [(BAD_MPUB, "t", text)]
    assert parser.feed(b"NOP\n") == []
    parser = opened(SMALL)
    last: list[Any] = []
    for byte in b"MPUB t\n" + body:
        assert last == []
        last = texts(parser.feed(bytes([byte])))
    assert last == [(BAD_MPUB, "t", text)]


def test_mpub_at_its_limits() -> None:
    """A body of just the largest size, and messages of theirs, are accepted."""
    body = size(2) + sized(b"x" * 88) + sized(b"y" * 100)
    assert len(body) == 200
    assert opened(SMALL).feed(b"MPUB t\n" + sized(body)) == [(MPUB, "t", [b"x" * 88, b"y" * 100])]


@pytest.mark.parametrize("total", [5, 100])
def test_mpub_total_is_not_enforced(total: int) -> None:
    """Where the body ends is said by its count and sizes, not by the total."""
    data = b"MPUB t\n" + size(total) + size(2) + sized(b"aaaa") + sized(b"bbbb")
    assert opened().feed(data + b"PUB t\n\0\0\0\1x") == [
        (MPUB, "t", [b"aaaa", b"bbbb"]),
        (PUB, "t", [b"x"]),
    ]


@pytest.mark.parametrize(
    ("milliseconds", "delay"),
    [
        (b"", 0),
        (b"0", 0),
        (b"1", 1),
        (b"1000", 1000),
        (b"9223372036854775808", 0),
        (b"18446744073709551616", 0),
        (b"18446744073709551621", 5),
        (b"18446744073710", 1),
    ],
)
def test_delay(milliseconds: bytes, delay: int) -> None:
    """A delay wraps around, and part of a millisecond counts as a whole."""
    data = b"DPUB t " + milliseconds + b"\n\0\0\0\1x"
    assert opened(SMALL).feed(data) == [(DPUB, "t", delay, b"x")]
