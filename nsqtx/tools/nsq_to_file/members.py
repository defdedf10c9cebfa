"""gzip files that a crash leaves readable.

A gzip file is a row of *members*, each complete in itself (RFC 1952), and a reader that finds half
a member at the end fails, some of them without what came before. So a member is gathered in memory
and written in one piece, complete, when it is to be synced: what is FINished is in whole members.
A kill in that very write can leave a part of one, of messages that were not finished. `whole_size`
finds it; `nsqtx.tools.nsq_to_file.leftovers` cuts it off.

Each member says its size in an extra field, so that the next one is found without decompressing.
The last one, `END`, is empty: a file that ends with it was closed.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Sequence
from struct import Struct

__all__ = ["END", "Member", "is_ours", "whole_size"]

# Magic, deflate, flag of an extra field; no time, no remarks, Unix; length of the extra field,
# its name, length of what follows. Then comes the size of the whole member.
_START = b"\x1f\x8b\x08\x04" + bytes(4) + b"\x00\x03" + b"\x08\x00" + b"NT" + b"\x04\x00"
_HEADER = Struct("<16sI")
_TRAILER = Struct("<II")
_LARGEST = 2**32 - 1


class Member:
    """A member that is being made."""

    def __init__(self, level: int) -> None:
        self._compressor = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._pieces: list[bytes] = []
        self._size = self._crc = 0

    def write(self, data: bytes) -> None:
        """Take more data."""
        self._pieces.append(self._compressor.compress(data))
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)

    def finish(self) -> Sequence[bytes]:
        """The pieces of the member."""
        pieces = [*self._pieces, self._compressor.flush()]
        size = _HEADER.size + sum(map(len, pieces)) + _TRAILER.size
        # A size that does not fit is not said: the file can be read, but not be walked.
        said = size if size <= _LARGEST else 0
        header = _HEADER.pack(_START, said)
        return [header, *pieces, _TRAILER.pack(self._crc, self._size & _LARGEST)]


def _empty_member() -> bytes:
    return b"".join(Member(1).finish())


#: The member that ends a file.
END = _empty_member()


def _size_said(header: bytes) -> int | None:
    """The size of the member with this header; None: it is none of ours, or says none."""
    if len(header) < _HEADER.size:
        return None
    start, size = _HEADER.unpack(header)
    return size if start == _START and size > _HEADER.size else None


def is_ours(descriptor: int) -> bool:
    """Whether a file begins as ours do, as far as it goes."""
    begins = os.pread(descriptor, len(_START), 0)
    return _START.startswith(begins)


def whole_size(descriptor: int) -> int:
    """How many bytes of a file of ours are whole members: all, or up to a torn one.

    Members are synced one by one, so only the last can be damaged. That one is decompressed.
    """
    end = os.fstat(descriptor).st_size
    position, last = 0, 0
    while position < end:
        size = _size_said(os.pread(descriptor, _HEADER.size, position))
        if size is None or position + size > end:
            break
        last, position = position, position + size
    if position and not _intact(descriptor, last, position):
        return last
    return position


def _intact(descriptor: int, start: int, end: int) -> bool:
    decompressor = zlib.decompressobj(zlib.MAX_WBITS + 16)
    try:
        for piece in _pieces(descriptor, start, end):
            # The data are of no interest, and may be many times as large.
            while piece:
                decompressor.decompress(piece, 1 << 20)
                piece = decompressor.unconsumed_tail
    except zlib.error:
        return False
    return decompressor.eof


def _pieces(descriptor: int, start: int, end: int) -> Iterable[bytes]:
    while start < end:
        piece = os.pread(descriptor, min(1 << 20, end - start), start)
        if not piece:
            return
        yield piece
        start += len(piece)
