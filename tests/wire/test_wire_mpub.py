"""Many messages in one body, without a total size."""

from __future__ import annotations

import struct

import pytest

from nsqtx.wire.errors import ProtocolError
from nsqtx.wire.limits import Limits
from nsqtx.wire.mpub import split_multi

LIMITS = Limits(max_msg_size=100, max_body_size=200)


def multi(*bodies: bytes) -> bytes:
    """A count and messages."""
    sized = b"".join(struct.pack(">i", len(body)) + body for body in bodies)
    return struct.pack(">i", len(bodies)) + sized


def test_split() -> None:
    """The messages come out as they went in; what follows them is ignored."""
    assert split_multi(multi(b"a", b"bb"), LIMITS) == [b"a", b"bb"]
    assert split_multi(multi(b"a", b"bb") + b"more", LIMITS) == [b"a", b"bb"]


@pytest.mark.parametrize("count", [1, 3, 4, 5, 600])
def test_only_as_many_as_were_announced(count: int) -> None:
    """What follows is not taken for a message, even if it looks like one more of the same size."""
    assert split_multi(multi(*[b"same"] * count) + b"\0\0\0\4same" * 9, Limits()) == (
        [b"same"] * count
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", b"E_BAD_BODY MPUB failed to read message count"),
        (b"\0\0", b"E_BAD_BODY MPUB failed to read message count"),
        (b"\0\0\0\0", b"E_BAD_BODY MPUB invalid message count 0"),
        (b"\0\0\0\x28", b"E_BAD_BODY MPUB invalid message count 40"),
        (b"\0\0\0\1", b"E_BAD_MESSAGE MPUB failed to read message(0) body size"),
        (b"\0\0\0\1\0\0\0\2x", b"E_BAD_MESSAGE MPUB failed to read message body"),
        (b"\0\0\0\1\0\0\0\0", b"E_BAD_MESSAGE MPUB invalid message(0) body size 0"),
        (b"\0\0\0\1\0\0\0\x65", b"E_BAD_MESSAGE MPUB message too big 101 > 100"),
        (multi(b"x" * 100, b"x" * 89), b"E_BAD_BODY MPUB body too big 201 > 200"),
    ],
)
def test_bad(data: bytes, text: bytes) -> None:
    """A bad body is refused with the text of the specification."""
    with pytest.raises(ProtocolError) as caught:
        split_multi(data, LIMITS)
    assert caught.value.data == text
