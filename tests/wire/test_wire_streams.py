"""The parser on whole streams: split anywhere, garbage, and large bodies."""

from __future__ import annotations

import random
import struct
import time
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from nsqtx.wire.commands import (
    BAD_MPUB,
    BODY,
    DPUB,
    FIN,
    LINE,
    MPUB,
    PUB,
    Parser,
)
from nsqtx.wire.limits import Limits
from tests.support.parsing import sized
from tests.support.streams import LIMITS, commands_in, nothing_follows_an_error, same_commands

BODIES = st.binary(min_size=1, max_size=60)
TOPICS = st.sampled_from([b"t", b"topic", b"t#ephemeral"])
COMMANDS = st.one_of(
    st.builds(lambda t, b, n: (b"PUB " + t + b"\n" + sized(b)) * n, TOPICS, BODIES, st.just(1)),
    st.builds(
        lambda t, b, n: (b"PUB " + t + b"\n" + sized(b)) * n, TOPICS, BODIES, st.integers(2, 9)
    ),
    st.builds(lambda t, b: b"DPUB " + t + b" 5\n" + sized(b), TOPICS, BODIES),
    st.builds(
        lambda t, bs: (
            b"MPUB " + t + b"\n" + sized(struct.pack(">i", len(bs)) + b"".join(map(sized, bs)))
        ),
        TOPICS,
        st.lists(BODIES, min_size=1, max_size=4) | st.integers(1, 20).map(lambda n: [b"same"] * n),
    ),
    st.builds(lambda b: b"IDENTIFY\n" + sized(b), BODIES),
    st.builds(lambda n: b"FIN 0123456789abcdef\n" * n, st.integers(1, 9)),
    st.sampled_from([b"NOP\n", b"NOP\r\n", b"SUB t c\n", b"RDY 5\n", b"\n", b"FIN x\n"]),
)
BROKEN = st.sampled_from(
    [
        b"",
        b"PUB\n",
        b"PUB a:b\n",
        b"PUB t\n\0\0\0\0",
        b"PUB t\n\0\0\1\0abc",
        b"PUB t\n\0\0\0\x09abc",
        b"DPUB t x\n",
        b"DPUB t 5\n\xff\xff\xff\xff",
        b"MPUB t\n\0\0\0\0",
        b"MPUB t\n\0\0\0\x09\0\0\1\0",
        b"MPUB t\n\0\0\0\x09\0\0\0\x09" + sized(b"x" * 60) * 9,
        b"MPUB t\n\0\0\0\x09\0\0\0\2" + sized(b"x"),
        b"IDENTIFY\n\0\0\2\0",
        b"IDENTIFY\n\0\0",
        b"x" * 16384,
        b"x" * 300,
    ]
)


@given(st.lists(COMMANDS, max_size=6), BROKEN, st.data())
def test_any_split(commands: list[bytes], broken: bytes, data: st.DataObject) -> None:
    """However a stream is split into reads, the same commands come of it, and the same end."""
    stream = b"  V2" + b"".join(commands) + broken
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    at = 0
    pieces = []
    for place in [*sorted(places), len(stream)]:
        pieces.append(stream[at:place])
        at = place
    same_commands(pieces)


@given(st.lists(COMMANDS, max_size=3), BROKEN)
def test_byte_by_byte(commands: list[bytes], broken: bytes) -> None:
    """A stream may also come byte by byte."""
    stream = b"  V2" + b"".join(commands) + broken[:400]
    same_commands([bytes([byte]) for byte in stream])


WORDS = st.sampled_from(
    [b"PUB ", b"MPUB t\n", b"DPUB t 1\n", b"FIN ", b"IDENTIFY\n", b"AUTH\n", b"\n", b"\0\0\0\5"]
)


@given(st.lists(st.binary(max_size=12) | WORDS, max_size=20))
def test_garbage(pieces: list[bytes]) -> None:
    """Whatever comes, the parser gives events: the last one may be an error, and none follows."""
    events, _ = commands_in([b"  V2", *pieces])
    nothing_follows_an_error(events)


def reads(stream: bytes, length: int = 65536) -> list[bytes]:
    """A stream as a reactor reads it."""
    return [stream[at : at + length] for at in range(0, len(stream), length)]


def mpub(bodies: list[bytes]) -> bytes:
    """An MPUB."""
    return b"MPUB t\n" + sized(struct.pack(">i", len(bodies)) + b"".join(map(sized, bodies)))


def test_large_mpub() -> None:
    """Five megabytes come through in pieces of any length, of one size and of many."""
    draw = random.Random(1)
    same = [draw.randbytes(200) for _ in range(25_000)]
    mixed = [draw.randbytes(draw.randrange(1, 600)) for _ in range(16_000)]
    for bodies in (same, mixed, [draw.randbytes(1_000_000)] * 5):
        for length in (65536, 10_000_000):
            events, end = commands_in([b"  V2", *reads(mpub(bodies), length)], Limits())
            assert events[1:] == [(MPUB, "t", bodies)]
            assert end is None


def test_large_bodies_are_joined_once() -> None:
    """Twice the body takes about twice the time, even in short reads: nothing is rescanned."""

    def seconds(length: int) -> float:
        limits = Limits(max_msg_size=2**25, max_body_size=2**25)
        parser = Parser(limits)
        parser.feed(b"  V2PUB t\n" + struct.pack(">i", length))
        piece = b"x" * 1024
        started = time.process_time()
        for _ in range(length // 1024 - 1):
            assert parser.feed(piece) == []
        assert parser.feed(piece) == [(PUB, "t", [b"x" * length])]
        return time.process_time() - started

    short = min(seconds(2**18) for _ in range(3))
    long = min(seconds(2**22) for _ in range(2))
    # 16 times the length; 256 times the work if each read looked at all that is there.
    assert long < 64 * short + 0.1


def test_tiny_reads_cost_no_more_than_they_bring() -> None:
    """A body that drips in by two bytes takes about its own size in memory (promise S8)."""
    parser = Parser()
    parser.feed(b"  V2PUB t\n" + struct.pack(">i", 1_000_000))
    tracemalloc.start()
    try:
        for number in range(30_000):
            parser.feed(b"%02d" % (number % 100))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert parser.buffered == 60_000 + 10
    assert held < 2 * parser.buffered


def test_a_long_read_is_not_kept_for_its_end() -> None:
    """Of a read only the beginning of a command is kept."""
    parser = Parser()
    parser.feed(b"  V2")
    assert len(parser.feed(b"NOP\n" * 20_000 + b"PUB t\n\0\0\0\x05ab")) == 20_000
    assert parser.buffered == 12


def test_kinds_of_this_file() -> None:
    """The streams here have every kind of event that a session meets."""
    stream = (
        b"  V2PUB t\n\0\0\0\1xDPUB t 5\n\0\0\0\1xFIN 0123456789abcdef\nNOP\nIDENTIFY\n\0\0\0\2{}"
    )
    events, _ = commands_in([stream + mpub([b"x"]) + b"MPUB t\n\0\0\0\0"])
    assert [event[0] for event in events[1:]] == [PUB, DPUB, FIN, LINE, LINE, BODY, MPUB, BAD_MPUB]


@given(
    before=st.sampled_from([b"", b"PUB t\n" + sized(b"x"), b"PUB t\r\n" + sized(b"x"), b"PUB u\n"]),
    line=st.sampled_from([b"PUB t\n", b"PUB t\r\n", b"PUB u\n", b"FIN t\n"]),
    size=st.integers(-1, 70),
    body=st.binary(max_size=70),
    rest=st.sampled_from([b"", b"\n", b"NOP\n", b"PUB t\n"]),
)
def test_a_lone_pub(before: bytes, line: bytes, size: int, body: bytes, rest: bytes) -> None:
    """What is taken for one PUB is one to the parser, too; with its line known, each is."""
    one, other = Parser(LIMITS), Parser(LIMITS)
    for parser in (one, other):
        parser.feed(b"  V2" + before)
    data = line + struct.pack(">i", size) + body + rest
    lone = one.lone_pub(data)
    events = other.feed(data)
    if lone is not None:
        assert events == [(PUB, one.pub_topic, [lone])]
    elif before == line + sized(b"x") and not rest:
        assert size != len(body) or not 0 < size <= LIMITS.max_msg_size
