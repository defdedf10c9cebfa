"""The body of an MPUB after its total size: a count, and that many messages."""

from __future__ import annotations

from struct import Struct

import attrs

from nsqtx.wire.errors import ProtocolError
from nsqtx.wire.limits import Limits
from nsqtx.wire.runs import WORTHWHILE, alike, cut

__all__ = ["MultiBody", "split_multi"]

_unpack_size = Struct(">i").unpack_from


@attrs.define(eq=False)
class MultiBody:
    """What was read so far of the messages of one MPUB (nsqd-tcp section 5.4).

    The original goes by the count and the sizes, whatever the total size said. So that they cannot
    make us hold more than one body may have, they are added up here.
    """

    limits: Limits
    bodies: list[bytes] = attrs.field(factory=list, init=False)
    #: How many messages are still to come; -1: that was not read yet.
    left: int = attrs.field(default=-1, init=False)
    #: How many bytes must be there for `read` to get any further.
    need: int = attrs.field(default=4, init=False)
    #: How many bytes of it were read.
    size: int = attrs.field(default=0, init=False)

    def read(self, data: bytes, at: int) -> int:
        """Read what is there of it in ``data`` from ``at`` on; returns how far that was.

        It is complete when `left` is 0.

        :raises ProtocolError: ``E_BAD_BODY`` or ``E_BAD_MESSAGE``; nothing of it may be kept.
        """
        end = len(data)
        if self.left < 0:
            if end - at < 4:
                return at
            self._start(_unpack_size(data, at)[0])
            at += 4
        bodies = self.bodies
        append = bodies.append
        left = self.left
        max_size = self.limits.max_msg_size
        base = at - self.size
        limit = base + self.limits.max_body_size
        bound = min(end, limit)
        if left >= WORTHWHILE and at + 4 <= bound:
            size = _unpack_size(data, at)[0]
            stride = 4 + size
            count = min(left, (bound - at) // stride) if 0 < size <= max_size else 0
            if count >= WORTHWHILE and alike(data, at, stride, count, data[at : at + 4]):
                bodies += cut(data, at, stride, count, f"4x{size}s")
                at += stride * count
                left -= count
        while left:
            start = at + 4
            if start > end:
                self.need = 4
                break
            size = _unpack_size(data, at)[0]
            stop = start + size
            if stop > bound or not 0 < size <= max_size:
                if stop > limit or not 0 < size <= max_size:
                    raise self._bad_message(size, stop - base)
                self.need = stop - at
                break
            append(data[start:stop])
            at = stop
            left -= 1
        self.left = left
        self.size = at - base
        return at

    def _start(self, count: int) -> None:
        if not 0 < count <= self.limits.max_message_count:
            raise ProtocolError("E_BAD_BODY", f"MPUB invalid message count {count}")
        self.left = count
        self.size = 4

    def _bad_message(self, size: int, total: int) -> ProtocolError:
        """What is wrong with a size that makes the body ``total`` bytes long."""
        most = self.limits.max_msg_size
        if size <= 0:
            text = f"MPUB invalid message({len(self.bodies)}) body size {size}"
            return ProtocolError("E_BAD_MESSAGE", text)
        if size > most:
            return ProtocolError("E_BAD_MESSAGE", f"MPUB message too big {size} > {most}")
        # Ours: in the original the messages may add up to a million times the largest one.
        text = f"MPUB body too big {total} > {self.limits.max_body_size}"
        return ProtocolError("E_BAD_BODY", text)

    def eof(self, held: int) -> ProtocolError:
        """The answer when no more will come; ``held`` bytes are there that `read` left."""
        if self.left < 0:
            return ProtocolError("E_BAD_BODY", "MPUB failed to read message count")
        what = f"message({len(self.bodies)}) body size" if held < 4 else "message body"
        return ProtocolError("E_BAD_MESSAGE", f"MPUB failed to read {what}")


def split_multi(data: bytes, limits: Limits) -> list[bytes]:
    """The messages of a whole body, as ``/mpub?binary=true`` has it: without a total size.

    :raises ProtocolError: as `MultiBody.read`, and when the data end too early.
    """
    body = MultiBody(limits)
    at = body.read(data, 0)
    if body.left:
        raise body.eof(len(data) - at)
    return body.bodies
