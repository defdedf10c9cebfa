"""Frames as a client takes them apart (nsqd-tcp section 2, client section 1).

The size of a frame is judged before its data has come, and the data is looked at once: what
arrives of a large frame is put aside until all of it is there.
"""

from __future__ import annotations

from struct import Struct

__all__ = ["MIN_FRAME", "FrameError", "FrameParser"]

#: The size field counts the type.
MIN_FRAME = 4
_HEAD = 8
#: What a server of HTTP begins its answer with, read as a size.
_HTTP = int.from_bytes(b"HTTP", "big")

_head = Struct(">II").unpack_from
_size = Struct(">I").unpack_from


class FrameError(ValueError):
    """The stream is no stream of frames, or one is too large. Nothing after it can be read."""


class FrameParser:
    """Bytes in, frames out, each as its type and data.

    ``max_size`` is the largest size of a frame that is taken, in bytes.
    """

    __slots__ = ("_buffer", "_later", "_later_size", "_missing", "max_size")

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size
        self._buffer = b""
        #: Received since, while `_buffer` lacks ``_missing`` bytes for its first frame.
        self._later: list[bytes] = []
        self._later_size = 0
        self._missing = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take what was received; all frames that are whole.

        :raises FrameError: what follows them is no frame. They are lost.
        """
        frames: list[tuple[int, bytes]] = []
        if not self._add(data):
            return frames
        append = frames.append
        data = self._buffer
        end = len(data)
        start = 0
        while start + _HEAD <= end:
            size, kind = _head(data, start)
            if not MIN_FRAME <= size <= self.max_size:
                raise _refused(size, self.max_size)
            stop = start + 4 + size
            if stop > end:
                break
            append((kind, data[start + _HEAD : stop]))
            start = stop
        self._keep(data[start:])
        return frames

    def add(self, data: bytes) -> None:
        """Take what was received, for `next` to give frame by frame."""
        self._add(data)

    def next(self) -> tuple[int, bytes] | None:
        """One frame, if one is whole.

        :raises FrameError: there is no frame.
        """
        data = self._buffer
        if self._missing or len(data) < _HEAD:
            if len(data) >= MIN_FRAME:
                self._judge()
            return None
        size, kind = _head(data, 0)
        if not MIN_FRAME <= size <= self.max_size:
            raise _refused(size, self.max_size)
        stop = 4 + size
        if stop > len(data):
            self._missing = stop - len(data)
            return None
        # What follows is not judged before it is asked for: it may belong to another layer.
        self._buffer = data[stop:]
        return kind, data[_HEAD:stop]

    def rest(self) -> bytes:
        """Take back what is not parsed: it belongs to another layer."""
        rest = b"".join([self._buffer, *self._later])
        self._later.clear()
        self._later_size = self._missing = 0
        self._buffer = b""
        return rest

    def _add(self, data: bytes) -> bool:
        """Whether there may be a whole frame now."""
        if self._missing:
            self._later.append(data)
            self._later_size += len(data)
            if self._later_size < self._missing:
                return False
            self._buffer = b"".join([self._buffer, *self._later])
            self._later.clear()
            self._later_size = self._missing = 0
        else:
            self._buffer = self._buffer + data if self._buffer else data
        return True

    def _keep(self, rest: bytes) -> None:
        self._buffer = rest
        if len(rest) >= MIN_FRAME:
            self._judge()
            self._missing = max(0, 4 + _size(rest)[0] - len(rest))

    def _judge(self) -> None:
        size = _size(self._buffer)[0]
        if not MIN_FRAME <= size <= self.max_size:
            raise _refused(size, self.max_size)


def _refused(size: int, limit: int) -> FrameError:
    if size == _HTTP:
        return FrameError("this is an HTTP server: use the TCP port, 4150 unless configured")
    if size < MIN_FRAME:
        return FrameError(f"a frame of {size} bytes")
    return FrameError(f"a frame of {size} bytes, more than the {limit} allowed")
