"""The two forms of the body of ``/mpub`` (nsqd-http section 6.2)."""

from __future__ import annotations

from collections.abc import Iterable
from struct import pack

__all__ = ["binary_body", "text_body"]


def binary_body(bodies: Iterable[bytes]) -> bytes:
    """A count, then size and bytes of each message; no total size as in TCP's MPUB.

    :raises ValueError: there is none, or an empty one.
    """
    messages = _checked(bodies)
    pieces = [pack(">i", len(messages))]
    for body in messages:
        pieces += (pack(">i", len(body)), body)
    return b"".join(pieces)


def text_body(bodies: Iterable[bytes]) -> bytes:
    """One message a line.

    :raises ValueError: there is none, an empty one (nsqd would drop it without a word), or one
        with a newline in it (nsqd would make two of it).
    """
    messages = _checked(bodies)
    if any(b"\n" in body for body in messages):
        raise ValueError("a message has a newline in it, which the text form cannot carry")
    return b"\n".join(messages)


def _checked(bodies: Iterable[bytes]) -> list[bytes]:
    messages = list(bodies)
    if not messages or not all(messages):
        raise ValueError("no messages, or one without a byte")
    return messages
