"""The bytes that the load programs send, built before the clock starts."""

from __future__ import annotations

import random
import struct

__all__ = ["OK", "bodies", "mpub", "pub"]

OK = b"\0\0\0\x06\0\0\0\0OK"

# Bodies have no zero bytes, so readers can find the heads of frames by a search.
LETTERS = b"abcdefghijklmnopqrstuvwxyz0123456789"

MIXED_SIZES = (50, 350)


def bodies(count: int, size: int, seed: int = 1) -> list[bytes]:
    """Message bodies of ``size`` bytes; of a random size between 50 and 350 when it is 0."""
    source = random.Random(seed)
    text = bytes(source.choices(LETTERS, k=1024))
    made = []
    for _ in range(count):
        length = size or source.randint(*MIXED_SIZES)
        start = source.randrange(len(text) - length)
        made.append(text[start : start + length])
    return made


def pub(topic: str, body: bytes) -> bytes:
    """One PUB."""
    return f"PUB {topic}\n".encode() + struct.pack(">I", len(body)) + body


def mpub(topic: str, messages: list[bytes]) -> bytes:
    """One MPUB."""
    inner = struct.pack(">I", len(messages)) + b"".join(
        struct.pack(">I", len(body)) + body for body in messages
    )
    return f"MPUB {topic}\n".encode() + struct.pack(">I", len(inner)) + inner
