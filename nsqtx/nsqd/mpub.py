"""The two forms of an ``/mpub`` body (nsqd-http section 6.2)."""

from __future__ import annotations

from struct import Struct

__all__ = ["BadMpub", "split_binary", "split_text"]

_INT32 = Struct(">i")


class BadMpub(ValueError):
    """The body is no list of messages, or one of them is too big. ``token`` is what to answer."""

    def __init__(self, token: str) -> None:
        super().__init__(token)
        self.token = token


def split_text(body: bytes, max_msg_size: int) -> list[bytes]:
    """One message a line. Empty lines vanish, ``\\r`` stays.

    :raises BadMpub: ``MSG_TOO_BIG``.
    """
    bodies = [line for line in body.split(b"\n") if line]
    if bodies and max(map(len, bodies)) > max_msg_size:
        raise BadMpub("MSG_TOO_BIG")
    return bodies


def split_binary(body: bytes, max_msg_size: int, max_body_size: int) -> list[bytes]:
    """A count, then each message behind its size. What follows the last one is passed over.

    Unlike the body of a TCP ``MPUB`` this has no total size in front.

    :raises BadMpub: ``BAD_BODY``, the count; ``BAD_MESSAGE``, one of the messages.
    """
    size = len(body)
    count = _INT32.unpack_from(body)[0] if size >= 4 else 0
    if not 0 < count <= (max_body_size - 4) // 5:
        raise BadMpub("BAD_BODY")
    bodies = []
    at = 4
    for _ in range(count):
        start = at + 4
        length = _INT32.unpack_from(body, at)[0] if start <= size else 0
        at = start + length
        if not 0 < length <= max_msg_size or at > size:
            raise BadMpub("BAD_MESSAGE")
        bodies.append(body[start:at])
    return bodies
