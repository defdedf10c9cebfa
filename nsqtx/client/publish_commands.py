"""PUB, DPUB and MPUB as bytes, made of arguments that were looked at first (client section 9.3).

One bad publish makes nsqd close the connection, and everything behind it fails. So what nsqd would
refuse is refused here, by the code that nsqd would have answered with.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct

from nsqtx.client.errors import Outcome, PublishFailed
from nsqtx.wire.names import valid_name

__all__ = ["Body", "PublishCommands", "body_of"]

Body = bytes | bytearray | memoryview

#: How many topics are remembered as good. Programs that name topics by their data have many.
_REMEMBERED = 1000
_SECOND = 1000

_size = Struct(">I").pack
_two_sizes = Struct(">II").pack


def _refused(code: str, reason: str) -> PublishFailed:
    return PublishFailed(Outcome.REJECTED, reason, code)


def body_of(body: Body) -> bytes:
    """The body as bytes.

    :raises TypeError: it is none.
    """
    if body.__class__ is bytes:
        return body
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    hint = ": encode the text" if isinstance(body, str) else ""
    raise TypeError(f"a message is bytes, not {type(body).__name__}{hint}")


class PublishCommands:
    """Makes commands within these limits: bytes of a message and of an MPUB, seconds of delay.

    All methods raise `TypeError` for what is no body at all and `PublishFailed` for what nsqd would
    refuse, with its code.
    """

    def __init__(self, max_message_size: int, max_body_size: int, max_defer: float) -> None:
        self._max_message_size = max_message_size
        self._max_body_size = max_body_size
        self._max_defer = max_defer
        #: The lines of topics that were looked at.
        self._lines: dict[str, bytes] = {}

    def check(self, topic: str, body: Body) -> bytes:
        """The body, if it can be published."""
        if topic not in self._lines:
            self._line(topic)
        data = body_of(body)
        if not 0 < len(data) <= self._max_message_size:
            raise self._bad_message(len(data))
        return data

    def pub(self, topic: str, body: Body) -> bytes:
        """PUB."""
        line = self._lines.get(topic) or self._line(topic)
        data = body if body.__class__ is bytes else body_of(body)
        size = len(data)
        if not 0 < size <= self._max_message_size:
            raise self._bad_message(size)
        return b"".join((line, _size(size), data))

    def dpub(self, topic: str, body: Body, defer: float) -> bytes:
        """DPUB, to be delivered after ``defer`` seconds; they are sent as whole milliseconds."""
        line = self._lines.get(topic) or self._line(topic)
        data = body_of(body)
        if not 0 < len(data) <= self._max_message_size:
            raise self._bad_message(len(data))
        # Not a number fails here, too.
        if not 0 <= defer <= self._max_defer:
            raise _refused("E_INVALID", f"a defer of {defer} s: 0 to {self._max_defer:g} may be")
        delay = b" %d\n" % round(defer * _SECOND)
        return b"".join((b"D", line[:-1], delay, _size(len(data)), data))

    def mpub(self, topic: str, bodies: Iterable[Body]) -> tuple[bytes, int]:
        """MPUB, and of how many messages."""
        line = self._lines.get(topic) or self._line(topic)
        if isinstance(bodies, (bytes, bytearray, memoryview, str)):
            raise TypeError("multi_publish takes a list of messages, not one")
        messages = [each if each.__class__ is bytes else body_of(each) for each in bodies]
        sizes = list(map(len, messages))
        count = len(sizes)
        if not count:
            raise _refused("E_BAD_BODY", "no messages at all")
        for size in (min(sizes), max(sizes)):
            if not 0 < size <= self._max_message_size:
                raise self._bad_message(size)
        total = sum(sizes) + 4 + 4 * count
        if total > self._max_body_size:
            reason = f"{count} messages of {total} bytes in all, more than {self._max_body_size}"
            raise _refused("E_BAD_BODY", reason)
        parts = [b""] * (2 * count)
        parts[::2] = map(_size, sizes)
        parts[1::2] = messages
        return b"".join((b"M", line, _two_sizes(total, count), *parts)), count

    def _line(self, topic: str) -> bytes:
        """The line of a PUB."""
        if not isinstance(topic, str):
            raise TypeError(f"a topic is text, not {type(topic).__name__}")
        if not valid_name(topic):
            raise _refused("E_BAD_TOPIC", f"{topic[:100]!r} is no name of a topic")
        if len(self._lines) >= _REMEMBERED:
            self._lines.clear()
        line = self._lines[topic] = f"PUB {topic}\n".encode("ascii")
        return line

    def _bad_message(self, size: int) -> PublishFailed:
        if not size:
            return _refused("E_BAD_MESSAGE", "an empty message")
        reason = f"a message of {size} bytes, more than {self._max_message_size}"
        return _refused("E_BAD_MESSAGE", reason)
