"""Comparing JSON and frames finds every difference that matters and no other."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from tests.golden.matching import (
    GoldenFrame,
    as_bytes,
    match_frames,
    match_json,
    match_json_text,
)
from tests.golden.placeholders import Bindings, Mismatch

ID1, ID2 = b"0000000000000001", b"0000000000000002"


def recorded(body: str, number: int, attempts: int = 1) -> dict[str, Any]:
    """A message frame as a recording has it."""
    return {
        "type": 2,
        "timestamp": "<timestamp>",
        "attempts": attempts,
        "id": f"<id:m{number}>",
        "body": body,
    }


def message(body: bytes, message_id: bytes, attempts: int = 1, timestamp: int = 7) -> GoldenFrame:
    """A message frame as the wire has it."""
    return GoldenFrame(2, struct.pack(">qH", timestamp, attempts) + message_id + body)


OK = {"type": 0, "text": "OK"}
OK_FRAME = GoldenFrame(0, b"OK")


def test_bytes_of_a_recording() -> None:
    """A character is a byte, and parts are repeated as often as they say."""
    assert as_bytes("a\u00ff\u0000") == b"a\xff\x00"
    assert as_bytes(["a", {"repeat": "bc", "times": 2}]) == b"abcbc"


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ([], []),
        ([OK], [OK_FRAME]),
        ([OK, recorded("x", 1)], [OK_FRAME, message(b"x", ID1)]),
        ([recorded("x", 1), recorded("y", 2)], [message(b"x", ID1), message(b"y", ID2)]),
        ([recorded("x", 1), recorded("x", 1, 2)], [message(b"x", ID1), message(b"x", ID1, 2)]),
        ([OK, {**OK, "optional": True}], [OK_FRAME]),
        ([{"type": 0, "text": "h", "optional": True}, OK], [OK_FRAME]),
        ([{"type": 0, "json": {"a": [1, "<int>"]}}], [GoldenFrame(0, b'{"a":[1,5]}')]),
        ([{"text": "OK"}], [GoldenFrame(None, b"OK")]),
        (
            [{**recorded("", 1), "body_repeat": ["y", 3]}],
            [message(b"yyy", ID1)],
        ),
    ],
)
def test_equal_frames(expected: list[dict[str, Any]], actual: list[GoldenFrame]) -> None:
    """What was recorded is accepted."""
    match_frames(expected, actual, Bindings())


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ([OK], []),
        ([], [OK_FRAME]),
        ([OK], [GoldenFrame(0, b"OJ")]),
        ([OK], [GoldenFrame(1, b"OK")]),
        ([OK], [OK_FRAME, OK_FRAME]),
        ([OK, recorded("x", 1)], [message(b"x", ID1), OK_FRAME]),
        ([recorded("x", 1)], [message(b"z", ID1)]),
        ([recorded("x", 1)], [message(b"x", ID1, attempts=2)]),
        ([recorded("x", 1)], [message(b"x", b"000000000000000G")]),
        ([recorded("x", 1), recorded("y", 2)], [message(b"x", ID1), message(b"y", ID1)]),
        (
            [recorded("x", 1), recorded("x", 1, 2)],
            [message(b"x", ID1), message(b"x", ID1, 2, timestamp=8)],
        ),
        ([{**recorded("", 1), "body_repeat": ["y", 3]}], [message(b"yyyy", ID1)]),
        ([{"type": 0, "json": {"a": 1}}], [GoldenFrame(0, b'{"a": 1}')]),
        ([{"type": 0, "json": {"a": 1}}], [GoldenFrame(0, b'{"a":2}')]),
        ([{**OK, "optional": True}], [GoldenFrame(0, b"other")]),
        ([recorded("x", 1)], [GoldenFrame(2, b"short")]),
    ],
)
def test_different_frames(expected: list[dict[str, Any]], actual: list[GoldenFrame]) -> None:
    """A wrong byte, type, order, id, timestamp, a missing frame or one too many is found."""
    with pytest.raises(Mismatch):
        match_frames(expected, actual, Bindings())


def test_frames_in_any_order() -> None:
    """Where the order is not fixed, ids are found by trying, and the set must still be right."""
    expected = [OK, recorded("x", 1), recorded("x", 2)]
    actual = [message(b"x", ID2), OK_FRAME, message(b"x", ID1)]
    bindings = Bindings()
    bindings.match_text("<id:m1>", ID1.decode())
    match_frames(expected, actual, bindings, any_order=True)
    assert bindings.ids == {"<id:m1>": ID1.decode(), "<id:m2>": ID2.decode()}
    with pytest.raises(Mismatch):
        match_frames(expected, [OK_FRAME, OK_FRAME, actual[0]], Bindings(), any_order=True)
    with pytest.raises(Mismatch):
        match_frames(expected, actual[:2], Bindings(), any_order=True)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": None}, {"a": []}),
        ({"a": []}, {"a": None}),
        ([1, 2], [2, 1]),
        ([1], [1, 1]),
        ({"topics": [{"n": "a"}, {"n": "b"}]}, {"topics": [{"n": "b"}, {"n": "a"}]}),
        ({"clients": [1, 1]}, {"clients": [1, 2]}),
    ],
)
def test_different_json(expected: Any, actual: Any) -> None:
    """Values, types, keys and the order of arrays count."""
    with pytest.raises(Mismatch):
        match_json(expected, actual, Bindings())


def test_equal_json() -> None:
    """Keys and unordered arrays may come in any order, and keys may be placeholders."""
    match_json(
        {"b": 1, "clients": [{"n": "<int>"}, {"n": "x"}], "u": [1, 2], "<nsqd.tcp>": "y"},
        {"u": [2, 1], "127.0.0.1:5": "y", "clients": [{"n": "x"}, {"n": 4}], "b": 1},
        Bindings({"<nsqd.tcp>": "127.0.0.1:5"}),
        unordered=["u"],
    )


@pytest.mark.parametrize(
    "data",
    [b'{"a":"<"}', b'{"a": "x"}', b'{"a":"x"}\n', b'{"a":"\\u00e4"}', b"{", b'{"a":"\xff"}'],
)
def test_json_must_be_compact(data: bytes) -> None:
    """Spaces, unescaped brackets, escaped letters and bad UTF-8 are differences of their own."""
    with pytest.raises(Mismatch):
        match_json_text({"a": "<str>"}, data, Bindings())


def test_compact_json() -> None:
    """Spaces inside strings, UTF-8 and NSQ's escapes are as they should be."""
    match_json_text(
        {"a": "x y", "b": "ä", "c": "<z>&"},
        ('{"a":"x y","b":"ä","c":"\\u003cz\\u003e\\u0026"}').encode(),
        Bindings(),
    )
