"""Protocol V1: lines, the body of IDENTIFY, limits, and any bytes in any pieces."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nsqtx.wire.errors import ProtocolError
from nsqtx.wire.lookup import (
    MAX_IDENTIFY,
    MAX_V1_LINE,
    Body,
    Line,
    LookupParser,
    Magic,
    parse_peer,
    v1_frame,
)
from tests.support.streams import lookup_events, same_lookup_events

REQUIRED = {"broadcast_address": "b", "tcp_port": 1, "http_port": 2, "version": "1.3.0"}


def test_the_first_four_bytes_are_the_magic() -> None:
    """Whatever they are; fewer are none yet."""
    parser = LookupParser()
    assert lookup_events(parser, b"GE") == []
    assert lookup_events(parser, b"T /x\n") == [Magic(b"GET "), Line(b"/x", [])]


@pytest.mark.parametrize(
    ("line", "word", "params"),
    [
        (b"PING", b"PING", []),
        (b"  PING\r", b"PING", []),
        (b"REGISTER t c d", b"REGISTER", [b"t", b"c", b"d"]),
        (b"REGISTER  c", b"REGISTER", [b"", b"c"]),
        (b"REGISTER t ", b"REGISTER", [b"t"]),
        (b"REGISTER\tx", b"REGISTER\tx", []),
        (b"", b"", []),
        (b"\xff\x00 y", b"\xff\x00", [b"y"]),
    ],
)
def test_a_line_is_split_at_single_spaces(line: bytes, word: bytes, params: list[bytes]) -> None:
    """After white space around it is gone (section 3.2)."""
    assert lookup_events(LookupParser(), b"  V1" + line + b"\n") == [
        Magic(b"  V1"),
        Line(word, params),
    ]


def test_what_follows_identify_is_a_body_only_if_it_is_expected() -> None:
    """A second IDENTIFY is refused without its body."""
    parser = LookupParser()
    parser.feed(b"  V1IDENTIFY\n\x00\x00\x00\x01\n")
    assert parser.next() == Magic(b"  V1")
    assert parser.next() == Line(b"IDENTIFY", [])
    assert parser.next() == Line(b"\x00\x00\x00\x01".strip(), [])


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (-1, "E_BAD_BODY IDENTIFY invalid body size -1"),
        (-(2**31), "E_BAD_BODY IDENTIFY invalid body size -2147483648"),
        (MAX_IDENTIFY + 1, f"E_BAD_BODY IDENTIFY body too big {MAX_IDENTIFY + 1} > {MAX_IDENTIFY}"),
    ],
)
def test_a_size_out_of_bounds_is_refused_at_once(size: int, text: str) -> None:
    """The original dies of the first, and makes room for the last."""
    data = b"  V1IDENTIFY\n" + struct.pack(">i", size)
    assert lookup_events(LookupParser(), data)[-1] == text


def test_an_empty_body_is_a_body() -> None:
    """That it is no JSON is another matter."""
    assert lookup_events(LookupParser(), b"  V1IDENTIFY\n\0\0\0\0PING\n")[2:] == [
        Body(b""),
        Line(b"PING", []),
    ]


def test_a_line_may_be_long_but_not_endless() -> None:
    """The limit is the same whether the end of the line has come or not."""
    longest = b"PING " + b"x" * (MAX_V1_LINE - 6)
    assert lookup_events(LookupParser(), b"  V1" + longest + b"\n")[1:] == [
        Line(b"PING", [longest[5:]])
    ]
    text = f"E_INVALID line of more than {MAX_V1_LINE} bytes"
    for end in (b"", b"\n"):
        assert lookup_events(LookupParser(), b"  V1" + longest + b"x" + end)[1:] == [text]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", None),
        (b"  V", None),
        (b"  V1PIN", None),
        (b"  V1IDENTIFY\n", "E_BAD_BODY IDENTIFY failed to read body size"),
        (b"  V1IDENTIFY\n\0\0\0", "E_BAD_BODY IDENTIFY failed to read body size"),
        (b"  V1IDENTIFY\n\0\0\0\x02{", "E_BAD_BODY IDENTIFY failed to read body"),
        (b"  V1IDENTIFY\n\0\0\0\x02{}", None),
    ],
)
def test_an_end_inside_a_body_is_an_error(data: bytes, text: str | None) -> None:
    """Anywhere else there is nobody to answer (section 3.8)."""
    parser = LookupParser()
    lookup_events(parser, data)
    error = parser.end()
    assert (None if error is None else str(error)) == text


COMMANDS = st.one_of(
    st.sampled_from([b"PING\n", b"REGISTER t c\n", b"\n", b"IDENTIFY\n", b"x" * 300 + b"\n"]),
    st.binary(max_size=100).map(lambda body: b"IDENTIFY\n" + struct.pack(">i", len(body)) + body),
    st.binary(max_size=30),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(COMMANDS, max_size=8).map(b"".join), st.lists(st.integers(1, 40), max_size=30))
def test_pieces_do_not_matter(data: bytes, sizes: list[int]) -> None:
    """Any bytes give the same events however they come, and none but protocol errors."""
    data = b"  V1" + data
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    same_lookup_events([*pieces, data[at:]])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300))
def test_any_body_is_refused(body: bytes) -> None:
    """With one of the two errors of section 3.8."""
    try:
        said = parse_peer(body).version
    except ProtocolError as error:
        said = str(error).removeprefix("E_BAD_BODY IDENTIFY ")
    # Random bytes are no peer.
    assert said in ("failed to decode JSON body", "missing fields")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"tcp_port": 0}, "missing fields"),
        ({"version": None}, "missing fields"),
        ({"http_port": "2"}, "failed to decode JSON body"),
        ({"http_port": 2.5}, "failed to decode JSON body"),
        ({"http_port": 2**63}, "failed to decode JSON body"),
        ({"hostname": 5}, "failed to decode JSON body"),
        ({"remote_address": 5}, "failed to decode JSON body"),
    ],
)
def test_what_a_peer_must_say(changes: dict[str, object], text: str) -> None:
    """Required fields are there and not empty, all have their types (section 3.4)."""
    with pytest.raises(ProtocolError, match=text):
        parse_peer(json.dumps({**REQUIRED, **changes}).encode())


def test_what_a_peer_may_say() -> None:
    """Keys in any case, negative ports, nothing of hostname and place."""
    body = json.dumps({**REQUIRED, "TCP_Port": -5, "hostname": None, "x": [1]}).encode()
    peer = parse_peer(body)
    assert (peer.tcp_port, peer.hostname, peer.topology_zone) == (-5, "", "")


def test_an_answer_has_its_size_in_front() -> None:
    """And no type."""
    assert v1_frame(b"OK") == b"\0\0\0\x02OK"
