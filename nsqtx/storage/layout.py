"""What things are called on disk.

::

    <data-path>/nsqtx/
        stopped.mark                          there only after a clean stop
        positions.mark                        positions that deleted topics used up
        importing.mark                        there only while disk queues are imported
        <topic>/
            0006123ab4c5d600.9f3c01aa.log     a segment: first position, mark
            0006123ab4c5d600.9f3c01aa.idx     its index, once it is complete
            checkpoint.a  .b  .c
        <topic>.deleted.01ab23cd/             a deleted topic whose files are being removed

Topic names such as ``.`` and ``..`` are valid (engine section 2), and a file system may not tell
``A`` from ``a``. So a directory is called by an encoding of the name, in which only ``a-z 0-9 _ -``
stand for themselves and every other byte is ``%`` and two lower-case hex digits. No encoded name
has a dot, so whatever has one is not a topic.
"""

from __future__ import annotations

import re

__all__ = [
    "ROOT",
    "decode_topic",
    "encode_topic",
    "index_path",
    "log_of_index",
    "parse_segment_name",
    "segment_name",
]

#: The directory below the data path that holds everything of ours.
ROOT = "nsqd.topics"

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
_ENCODED = re.compile(r"(?:[a-z0-9_-]|%[0-9a-f]{2})+\Z")
_SEGMENT = re.compile(r"([0-9a-f]{16})\.([0-9a-f]{8})\.log\Z")


def encode_topic(topic: str) -> str:
    """What the directory of a topic is called."""
    return "".join(chr(b) if b in _PLAIN else f"%{b:02x}" for b in topic.encode())


def decode_topic(directory: str) -> str | None:
    """The topic that a directory belongs to; None when it is not one of ours."""
    if not _ENCODED.match(directory):
        return None
    data = re.sub(rb"%(..)", lambda m: bytes.fromhex(m[1].decode()), directory.encode())
    try:
        topic = data.decode()
    except UnicodeDecodeError:
        return None
    return topic if encode_topic(topic) == directory else None


def segment_name(first: int, mark: bytes) -> str:
    """What a segment's file is called."""
    return f"{first:016x}.{mark.hex()}.log"


def parse_segment_name(name: str) -> tuple[int, bytes] | None:
    """The first position and the mark of a segment; None when the file is not one."""
    match = _SEGMENT.match(name)
    return (int(match[1], 16), bytes.fromhex(match[2])) if match else None


def index_path(segment_path: str) -> str:
    """Where the index of a segment is."""
    return segment_path.removesuffix(".log") + ".idx"


def log_of_index(name: str) -> str | None:
    """The segment that an index belongs to; None when the file is not one."""
    segment = name.removesuffix(".idx") + ".log"
    return segment if name.endswith(".idx") and _SEGMENT.match(segment) else None
