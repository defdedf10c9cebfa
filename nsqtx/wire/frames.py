"""Frames: what nsqd sends (nsqd-tcp section 2), and records: messages as frames.

::

    record
    0      4      8             16        18              34
    ┌──────┬──────┬─────────────┬─────────┬───────────────┬─────────────
    │ size │ 2    │ timestamp   │attempts │ id            │ body
    └──────┴──────┴─────────────┴─────────┴───────────────┴─────────────
     u32    u32    i64, ns       u16       16 hex digits   1 byte or more

All numbers are big-endian. ``size`` counts everything after itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from struct import Struct
from struct import error as StructError

from nsqtx.wire.runs import WORTHWHILE, alike, cut

__all__ = [
    "CLOSE_WAIT",
    "FRAME_ERROR",
    "FRAME_MESSAGE",
    "FRAME_RESPONSE",
    "HEADER_SIZE",
    "HEARTBEAT",
    "OK",
    "attempts_of",
    "body_of",
    "error",
    "id_of",
    "pack_records",
    "renamed",
    "response",
    "restored_record",
    "split_records",
    "timestamp_of",
    "with_attempts",
]

FRAME_RESPONSE = 0
FRAME_ERROR = 1
FRAME_MESSAGE = 2

#: Bytes of a record before the body.
HEADER_SIZE = 34
# The size field of a record counts the header, but not itself.
_UNCOUNTED = 4
_COUNTED = HEADER_SIZE - _UNCOUNTED

_pack_head = Struct(">II").pack
_unpack_head = Struct(">II").unpack_from
_pack_start = Struct(">IIqH").pack
_pack_middle = Struct(">IqH").pack
_pack_size = Struct(">I").pack


def response(data: bytes) -> bytes:
    """A response frame."""
    return _pack_head(len(data) + 4, FRAME_RESPONSE) + data


def error(data: bytes) -> bytes:
    """An error frame; see `nsqtx.wire.errors.ProtocolError.data`."""
    return _pack_head(len(data) + 4, FRAME_ERROR) + data


OK = response(b"OK")
HEARTBEAT = response(b"_heartbeat_")
CLOSE_WAIT = response(b"CLOSE_WAIT")


class _Sizes(dict[int, bytes]):
    """The size field by length of body. A bounded memory of the lengths met before."""

    def __missing__(self, length: int) -> bytes:
        field = _pack_size(length + _COUNTED)
        if len(self) < 4096:
            self[length] = field
        return field


_size_field = _Sizes().__getitem__
_join = b"".join


def pack_records(bodies: list[bytes], ids: Sequence[bytes], timestamp: int) -> list[bytes]:
    """Records of messages that were never delivered: their attempts say 1, for the first time.

    ``timestamp`` is in nanoseconds since the epoch; there is an id for each body.
    """
    if len(bodies) == 1:
        body = bodies[0]
        head = _pack_start(len(body) + _COUNTED, FRAME_MESSAGE, timestamp, 1)
        return [head + ids[0] + body]
    middle = _pack_middle(FRAME_MESSAGE, timestamp, 1)
    sizes = map(_size_field, map(len, bodies))
    return list(map(_join, zip(sizes, repeat(middle), ids, bodies, strict=False)))


def restored_record(stored: bytes, id: bytes) -> bytes:
    """The record of a message from an original's disk queue (engine section 3), with a new id.

    Stored are the attempts so far; the record's are those of its next delivery.
    """
    attempts = int.from_bytes(stored[8:10], "big") + 1 & 0xFFFF
    head = _pack_head(len(stored) + _UNCOUNTED, FRAME_MESSAGE)
    return b"".join((head, stored[:8], attempts.to_bytes(2, "big"), id, stored[26:]))


def with_attempts(record: bytes, attempts: int) -> bytes:
    """The same message with other attempts, modulo 65536."""
    return record[:16] + (attempts & 0xFFFF).to_bytes(2, "big") + record[18:]


def renamed(record: bytes, id: bytes) -> bytes:
    """The same message under another id, as if it had never been delivered."""
    return b"".join((record[:16], b"\0\1", id, record[34:]))


def split_records(data: bytes) -> list[bytes]:
    """The records in ``data``, which are joined there without anything between them.

    :raises ValueError: these are not whole records.
    """
    if not data:
        return []
    end = len(data)
    try:
        size, kind = _unpack_head(data, 0)
        stride = size + _UNCOUNTED
        count, odd = divmod(end, stride)
        whole = not odd and size > _COUNTED and kind == FRAME_MESSAGE
        if whole and count >= WORTHWHILE and alike(data, 0, stride, count, data[:8]):
            return cut(data, 0, stride, count, f"{stride}s")
        records: list[bytes] = []
        append = records.append
        start = 0
        while start < end:
            size, kind = _unpack_head(data, start)
            stop = start + size + _UNCOUNTED
            if stop > end or size <= _COUNTED or kind != FRAME_MESSAGE:
                raise ValueError(f"no record at byte {start} of {end}")
            append(data[start:stop])
            start = stop
    except StructError:
        raise ValueError(f"part of a record at the end of {end} bytes") from None
    return records


def timestamp_of(record: bytes) -> int:
    """When the message was published, in nanoseconds since the epoch."""
    return int.from_bytes(record[8:16], "big", signed=True)


def attempts_of(record: bytes) -> int:
    """How often the message was delivered, the delivery of this very frame included."""
    return record[16] << 8 | record[17]


def id_of(record: bytes) -> bytes:
    """The id of the message: 16 bytes."""
    return record[18:34]


def body_of(record: bytes) -> bytes:
    """What was published."""
    return record[34:]
