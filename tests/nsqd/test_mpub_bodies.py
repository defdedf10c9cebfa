"""The two forms of an /mpub body (nsqd-http section 6.2)."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsqtx.nsqd.mpub import BadMpub, split_binary, split_text

MAX_MSG, MAX_BODY = 100, 204


def binary(*bodies: bytes, count: int | None = None) -> bytes:
    """Messages in the binary form."""
    parts = [pack(">i", len(body)) + body for body in bodies]
    return pack(">i", len(bodies) if count is None else count) + b"".join(parts)


@pytest.mark.parametrize(
    ("body", "bodies"),
    [
        (b"", []),
        (b"\n\n\n", []),
        (b"a\nb\nc", [b"a", b"b", b"c"]),
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\n\nb\r\n\r\nc", [b"a", b"b\r", b"\r", b"c"]),
        (b"\0\xff\x85\x0b\n", [b"\0\xff\x85\x0b"]),
        (b"x" * MAX_MSG, [b"x" * MAX_MSG]),
    ],
)
def test_text(body: bytes, bodies: list[bytes]) -> None:
    """Lines end at \\n alone, and empty ones are nothing."""
    assert split_text(body, MAX_MSG) == bodies


def test_text_too_big() -> None:
    """A line over --max-msg-size refuses all of them."""
    with pytest.raises(BadMpub) as error:
        split_text(b"a\n" + b"x" * (MAX_MSG + 1) + b"\nb", MAX_MSG)
    assert error.value.token == "MSG_TOO_BIG"


FITTING = st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=40).filter(
    lambda bodies: len(binary(*bodies)) <= MAX_BODY
)


@given(FITTING, st.binary())
def test_binary(bodies: list[bytes], junk: bytes) -> None:
    """What was packed comes out, and bytes behind the last message are passed over."""
    assert split_binary(binary(*bodies) + junk, MAX_MSG, MAX_BODY) == bodies


@pytest.mark.parametrize(
    ("body", "token"),
    [
        (b"", "BAD_BODY"),
        (b"\0\0\0", "BAD_BODY"),
        (binary(count=0), "BAD_BODY"),
        (binary(count=-1), "BAD_BODY"),
        (binary(count=(MAX_BODY - 4) // 5 + 1), "BAD_BODY"),
        (binary(count=(MAX_BODY - 4) // 5), "BAD_MESSAGE"),
        (binary(count=1), "BAD_MESSAGE"),
        (binary(count=1) + b"\0\0\0", "BAD_MESSAGE"),
        (binary(b""), "BAD_MESSAGE"),
        (binary(count=1) + b"\xff\xff\xff\xff", "BAD_MESSAGE"),
        (binary(b"x" * (MAX_MSG + 1)), "BAD_MESSAGE"),
        (binary(b"abcde")[:-1], "BAD_MESSAGE"),
        (binary(b"a", count=2), "BAD_MESSAGE"),
        (binary(*[b"x" * 90] * 3), "BAD_BODY"),
    ],
)
def test_bad_binary(body: bytes, token: str) -> None:
    """Each flaw has its token, and none of the messages is taken."""
    with pytest.raises(BadMpub) as error:
        split_binary(body, MAX_MSG, MAX_BODY)
    assert error.value.token == token


@given(st.binary(max_size=60))
def test_any_binary(body: bytes) -> None:
    """Whatever comes is messages or refused, and messages are never empty."""
    try:
        bodies = split_binary(body, MAX_MSG, MAX_BODY)
    except BadMpub:
        return
    assert bodies
    assert all(bodies)
