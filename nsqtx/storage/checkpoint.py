"""A topic's checkpoint as bytes.

::

    offset  size
         0     8  b"nsqtxchk"
         8     8  sequence: the highest of a topic's checkpoints is the newest
        16     8  length of the state
        24     4  CRC of the bytes 0 to 24 and of the state
        28     …  state; what follows it in the file means nothing

    state    1 flags (1 paused, 2 clean) · 8 end · 4 number of channels · held · channels
             · 4 number of limits · limits; nothing if there are none
    channel  1 length of the name · name · 1 flags (1 paused, 2 some are deferred) · 8 ready ·
             4 number of ranges · 4 number of pending
             · ranges      8 start, 8 stop each
             · positions   8 each         of the pending messages
             · attempts    4 each
             · due times   8 each, only with flag 2
    limit    1 length of the channel's name · name · 1 length of the dead-letter topic's name
             (0: not set) · name · 4 most attempts (2**32 - 1: not set)

Big-endian. The columns of the pending messages stand one after the other because a channel may
have a million of them, and columns are packed at C speed.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable
from itertools import chain
from struct import Struct
from typing import Any

import attrs

from nsqtx.interfaces import ChannelState, PendingMessages, TopicState
from nsqtx.storage.crc import crc32

__all__ = ["CheckpointHeader", "decode_checkpoint", "encode_checkpoint", "parse_checkpoint"]

_MAGIC = b"nsqtxchk"
_HEADER = Struct(">8sQQ")
_HEADER_SIZE = _HEADER.size + 4
_STATE = Struct(">BQI")
_CHANNEL = Struct(">BQII")
_NUMBER = Struct(">I")
_NOT_SET = 2**32 - 1

_PAUSED = 1
_CLEAN = 2
_DUE = 2


@attrs.frozen
class CheckpointHeader:
    """What is known of a checkpoint without reading all of it."""

    sequence: int
    end: int
    clean: bool


def encode_checkpoint(sequence: int, state: TopicState) -> bytes:
    """The file, without padding."""
    flags = _PAUSED * state.paused | _CLEAN * state.clean
    parts = [_STATE.pack(flags, state.end, len(state.channels))]
    for channel in (state.held, *state.channels):
        _encode_channel(channel, parts)
    _encode_limits(state.channels, parts)
    return _sealed(sequence, b"".join(parts))


def _sealed(sequence: int, body: bytes) -> bytes:
    header = _HEADER.pack(_MAGIC, sequence, len(body))
    return b"".join((header, crc32(body, crc32(header)).to_bytes(4, "big"), body))


def _body(data: bytes) -> tuple[int, memoryview] | None:
    """Sequence and state; None when the file is damaged or empty."""
    if len(data) < _HEADER_SIZE:
        return None
    magic, sequence, length = _HEADER.unpack_from(data)
    body = memoryview(data)[_HEADER_SIZE : _HEADER_SIZE + length]
    crc = int.from_bytes(data[_HEADER.size : _HEADER_SIZE], "big")
    good = magic == _MAGIC and len(body) == length
    if not good or crc32(body, crc32(data[: _HEADER.size])) != crc:
        return None
    return sequence, body


def parse_checkpoint(data: bytes) -> CheckpointHeader | None:
    """Check a checkpoint file; None when it is damaged or empty."""
    found = _body(data)
    if found is None:
        return None
    flags, end, _ = _STATE.unpack_from(found[1])
    return CheckpointHeader(found[0], end, bool(flags & _CLEAN))


def decode_checkpoint(data: bytes) -> TopicState | None:
    """The state in a checkpoint file; None when it is damaged or empty."""
    found = _body(data)
    if found is None:
        return None
    reader = _Reader(found[1])
    try:
        flags, end, count = reader.take(_STATE)
        held = _decode_channel(reader)
        channels = [_decode_channel(reader) for _ in range(count)]
        limits = _decode_limits(reader)
    except (struct.error, ValueError):  # another format with a good CRC
        return None
    channels = [attrs.evolve(each, **limits.get(each.name, {})) for each in channels]
    return TopicState(end, bool(flags & _PAUSED), held, channels, bool(flags & _CLEAN))


def _encode_channel(channel: ChannelState, parts: list[bytes]) -> None:
    name = channel.name.encode()
    pending = channel.pending
    deferred = any(pending.due)
    flags = _PAUSED * channel.paused | _DUE * deferred
    parts += (
        bytes((len(name),)),
        name,
        _CHANNEL.pack(flags, channel.ready, len(channel.ranges), len(pending)),
        _column("Q", chain.from_iterable(channel.ranges)),
        _column("Q", pending.positions),
        _column("I", pending.attempts),
    )
    if deferred:
        parts.append(_column("Q", pending.due))


def _decode_channel(reader: _Reader) -> ChannelState:
    name = reader.text()
    flags, ready, range_count, pending_count = reader.take(_CHANNEL)
    bounds = reader.column("Q", 2 * range_count)
    positions = reader.column("Q", pending_count)
    attempts = reader.column("I", pending_count)
    due = reader.column("Q", pending_count) if flags & _DUE else None
    pending = PendingMessages.of(positions, attempts, due)
    ranges = list(zip(bounds[::2], bounds[1::2], strict=True))
    return ChannelState(name, bool(flags & _PAUSED), ready, ranges, pending)


def _encode_limits(channels: Iterable[ChannelState], parts: list[bytes]) -> None:
    """Last, so that a version that knows no limits reads all the rest."""
    limited = [c for c in channels if c.max_attempts is not None or c.dead_letter_topic]
    if not limited:
        return
    parts.append(_NUMBER.pack(len(limited)))
    for channel in limited:
        most = _NOT_SET if channel.max_attempts is None else channel.max_attempts
        for text in (channel.name, channel.dead_letter_topic):
            parts += (bytes((len(text),)), text.encode())
        parts.append(_NUMBER.pack(most))


def _decode_limits(reader: _Reader) -> dict[str, dict[str, Any]]:
    """By channel, the fields of its state that were set."""
    limits: dict[str, dict[str, Any]] = {}
    if reader.at == len(reader.data):
        return limits
    (count,) = reader.take(_NUMBER)
    for _ in range(count):
        name, topic = reader.text(), reader.text()
        (most,) = reader.take(_NUMBER)
        limits[name] = {
            "max_attempts": None if most == _NOT_SET else most,
            "dead_letter_topic": topic,
        }
    return limits


def _column(code: str, numbers: Iterable[int]) -> bytes:
    column = array(code, numbers)
    if sys.byteorder == "little":
        column.byteswap()
    return column.tobytes()


@attrs.define(eq=False)
class _Reader:
    """Takes values off the front of a state."""

    data: memoryview
    at: int = 0

    def take(self, layout: Struct) -> tuple[int, ...]:
        values = layout.unpack_from(self.data, self.at)
        self.at += layout.size
        return values

    def text(self) -> str:
        if self.at >= len(self.data):
            raise ValueError("the state ends early")
        start = self.at + 1
        self.at = start + self.data[self.at]
        return str(self.data[start : self.at], "utf-8")

    def column(self, code: str, count: int) -> array[int]:
        column = array(code)
        data = self.data[self.at : self.at + count * column.itemsize]
        if len(data) != count * column.itemsize:
            raise ValueError("the state ends early")
        self.at += len(data)
        column.frombytes(data)
        if sys.byteorder == "little":
            column.byteswap()
        return column
