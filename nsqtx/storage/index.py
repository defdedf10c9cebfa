"""Where in a segment a position is: one entry about every 64 KiB.

The index of a complete segment is kept in a file beside it, so that a start need not read the
segment::

    offset  size
         0     8  b"nsqtxidx"
         8     4  mark of the segment
        12     8  first position
        20     8  end: the position after the last record
        28     8  size: the length of its batches in bytes, whatever the length of the file
        36     4  how many entries
        40     4  CRC of the bytes 0 to 40
        44   16n  entries: position and offset of a batch, 8 bytes each
         …     4  CRC of the entries

Big-endian. An index is only a short cut: when it is missing or damaged, the segment is read.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from struct import Struct
from typing import NamedTuple

import attrs

from nsqtx.storage.crc import crc32

__all__ = ["INDEX_HEADER_SIZE", "IndexHeader", "SparseIndex", "parse_index_header"]

_SPACING = 64 * 1024
_MAGIC = b"nsqtxidx"
_HEADER = Struct(">8s4sQQQI")
INDEX_HEADER_SIZE = _HEADER.size + 4


class IndexHeader(NamedTuple):
    """What the file says of the segment as a whole."""

    mark: bytes
    first: int
    end: int
    size: int
    entries: int


def parse_index_header(data: bytes) -> IndexHeader | None:
    """Read the front of an index file; None when it is damaged."""
    if len(data) < INDEX_HEADER_SIZE:
        return None
    crc = int.from_bytes(data[_HEADER.size : INDEX_HEADER_SIZE], "big")
    magic, *fields = _HEADER.unpack_from(data)
    if magic != _MAGIC or crc32(data[: _HEADER.size]) != crc:
        return None
    return IndexHeader(*fields)


@attrs.define(eq=False)
class SparseIndex:
    """Positions and offsets of some batches, both ascending.

    ``next`` is the offset from which on another batch is worth an entry.
    """

    positions: array[int] = attrs.Factory(lambda: array("Q"))
    offsets: array[int] = attrs.Factory(lambda: array("Q"))
    next: int = 0

    def add(self, position: int, offset: int) -> None:
        """Enter a batch at the end."""
        self.positions.append(position)
        self.offsets.append(offset)
        self.next = offset + _SPACING

    def locate(self, position: int) -> int:
        """The offset of a batch at or before the one that holds ``position``."""
        at = bisect_right(self.positions, position) - 1
        return self.offsets[at] if at >= 0 else 0

    def cut(self, size: int) -> None:
        """Forget batches at or after the offset ``size``."""
        while self.offsets and self.offsets[-1] >= size:
            del self.positions[-1], self.offsets[-1]
        self.next = self.offsets[-1] + _SPACING if self.offsets else 0

    def encode(self, mark: bytes, first: int, end: int, size: int) -> bytes:
        """The file."""
        header = _HEADER.pack(_MAGIC, mark, first, end, size, len(self.positions))
        both = array("Q", bytes(16 * len(self.positions)))
        both[::2] = self.positions
        both[1::2] = self.offsets
        entries = _swapped(both).tobytes()
        return b"".join((header, _crc(header), entries, _crc(entries)))

    @classmethod
    def decode(cls, data: bytes) -> SparseIndex | None:
        """Read the entries of a file; None when it is damaged."""
        header = parse_index_header(data)
        if header is None:
            return None
        entries = data[INDEX_HEADER_SIZE : INDEX_HEADER_SIZE + 16 * header.entries]
        crc = data[INDEX_HEADER_SIZE + len(entries) :][:4]
        if len(entries) != 16 * header.entries or _crc(entries) != crc:
            return None
        both = _swapped(array("Q", entries))
        index = cls(both[::2], both[1::2])
        index.next = index.offsets[-1] + _SPACING if index.offsets else 0
        return index


def _crc(data: bytes) -> bytes:
    return crc32(data).to_bytes(4, "big")


def _swapped(numbers: array[int]) -> array[int]:
    """From this machine's byte order to big-endian, or back; ``numbers`` itself is changed."""
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
