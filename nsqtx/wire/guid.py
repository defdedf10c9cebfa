"""Message ids: 16 lower-case hex digits of ``position << 10 | node_id``.

The position is the message's place in its topic's log, so an id leads back to its record. The
node id keeps apart what several nsqd write (nsqd-engine section 3 has the original's numbers,
which are made of the time; clients take an id for 16 opaque bytes).
"""

from __future__ import annotations

import hashlib
import struct
import sys
import zlib
from array import array
from binascii import hexlify, unhexlify
from collections.abc import Iterable

from nsqtx.wire.runs import cut

__all__ = ["MAX_POSITION", "NODE_IDS", "default_node_id", "make_ids", "position_of", "positions_of"]

_NODE_BITS = 10
#: Node ids are below this.
NODE_IDS = 1 << _NODE_BITS
#: Positions are below this.
MAX_POSITION = 1 << 64 - _NODE_BITS


def make_ids(first: int, count: int, node_id: int) -> list[bytes]:
    """The ids of ``count`` messages at ``first`` and the following positions."""
    start = first << _NODE_BITS | node_id
    if count == 1:
        return [b"%016x" % start]
    numbers = range(start, start + (count << _NODE_BITS), NODE_IDS)
    return cut(hexlify(struct.pack(f">{count}Q", *numbers)), 0, 16, count, "16s")


def position_of(id: bytes) -> int:
    """The position an id of ours leads back to.

    :raises ValueError: it is not a hex number.
    """
    return int(id, 16) >> _NODE_BITS


def positions_of(ids: Iterable[bytes]) -> list[int]:
    """The same of many: a third of the time."""
    numbers = array("Q", unhexlify(b"".join(ids)))
    if sys.byteorder == "little":
        numbers.byteswap()
    return [number >> _NODE_BITS for number in numbers]


def default_node_id(hostname: str) -> int:
    """The node id of a host without ``--node-id``."""
    name = hostname.encode("utf-8", "surrogateescape")
    return zlib.crc32(hashlib.md5(name, usedforsecurity=False).digest()) % NODE_IDS
