"""The two forms of an ``/mpub`` body (nsqd-http section 6.2)."""

from __future__ import annotations

from nsqtx.wire.errors import ProtocolError
from nsqtx.wire.limits import Limits
from nsqtx.wire.mpub import split_multi

__all__ = ["BadMpub", "split_binary", "split_text"]


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

    :raises BadMpub: ``BAD_BODY``, the count or all sizes together; ``BAD_MESSAGE``, a message.
    """
    limits = Limits(max_msg_size=max_msg_size, max_body_size=max_body_size)
    try:
        return split_multi(body, limits)
    except ProtocolError as error:
        raise BadMpub(error.code.removeprefix("E_")) from None
