"""The bytes of a segment: batches, one after the other, and nothing else.

::

    offset  size
         0     4  mark          of the segment, random, also in its file name
         4     4  CRC           of everything from offset 8 to the end of the batch
         8     8  first         position of the first record
        16     4  count         how many records
        20     4  length        of the records, in bytes
        24     8  due           ns since the epoch, 0 for an ordinary batch; bits 63 and 62: note
        32     4  header CRC    of the bytes 8 to 32
        36     …  note          only with bit 63 or 62 of ``due``: its length (1 byte), and text
         …     …  records       each a message frame, see nsqtx.wire.frames

A note is the name of the only channel that gets the records (bit 63), or says which channel they
come from as dead letters (bit 62). Readers go by ``due``: what is not 0 is not for all channels at
once, but for bit 62 alone.

Numbers are big-endian, both CRCs are CRC-32 started from the mark. One CRC over all is what a
reader checks; the header's own is for when that fails: then the length can still be trusted, and
exactly one batch is skipped. When the header is damaged too, the next one is found by searching
for the mark. Since nobody outside knows the mark, no message body can pretend to hold a batch, and
what a file held in an earlier life is never taken for one.
"""

from __future__ import annotations

from struct import Struct

from nsqtx.storage.crc import crc32

__all__ = [
    "FROM_CHANNEL",
    "HEADER_SIZE",
    "Row",
    "has_header",
    "header_row",
    "pack_batch",
    "split_note",
    "take_batches",
    "with_note",
]

#: First position, count, due time, the records joined (None: damaged), offset after the batch.
Row = tuple[int, int, int, bytes | None, int]

_FIELDS = Struct(">QIIQ")
_HEADER = Struct(">4sIQIIQI")
HEADER_SIZE = _HEADER.size

FOR_CHANNEL = 1 << 63
FROM_CHANNEL = 1 << 62
_DUE = FROM_CHANNEL - 1


def with_note(data: bytes, due: int, channel: str, origin: str) -> tuple[bytes, int]:
    """Records and due time of a batch for one channel, or from one, as `pack_batch` takes them."""
    note = (channel or origin).encode("ascii")
    flag = FOR_CHANNEL if channel else FROM_CHANNEL
    return b"".join((bytes((len(note),)), note, data)), due | flag


def split_note(due: int, body: bytes) -> tuple[int, str, str, bytes]:
    """Due time, channel, origin and records of a batch with or without a note."""
    if due < FROM_CHANNEL:
        return due, "", "", body
    start = 1 + body[0]
    note = body[1:start].decode("ascii")
    names = (note, "") if due & FOR_CHANNEL else ("", note)
    return due & _DUE, *names, body[start:]


def pack_batch(mark: bytes, first: int, count: int, data: bytes, due: int) -> bytes:
    """A batch as it stands in a segment with that mark."""
    seed = int.from_bytes(mark, "big")
    fields = _FIELDS.pack(first, count, len(data), due)
    header_crc = crc32(fields, seed)
    fields += header_crc.to_bytes(4, "big")
    crc = crc32(data, crc32(fields, seed))
    return b"".join((mark, crc.to_bytes(4, "big"), fields, data))


def take_batches(piece: bytes, base: int, mark: bytes, rows: list[Row]) -> tuple[int, int]:
    """Append the batches at the front of ``piece`` to ``rows``.

    ``base`` is where the piece stands in the segment. Returns where in the piece it stopped, and
    how many bytes the batch there has (its header, if that is not complete): 0 when what stands
    there is no header.
    """
    seed = int.from_bytes(mark, "big")
    unpack = _HEADER.unpack_from
    view = memoryview(piece)
    at = 0
    end = len(piece)
    while True:
        start = at + HEADER_SIZE
        if start > end:
            return at, HEADER_SIZE
        found, crc, first, count, length, due, header_crc = unpack(piece, at)
        stop = start + length
        if stop <= end and found == mark and crc32(view[at + 8 : stop], seed) == crc:
            rows.append((first, count, due, piece[start:stop], base + stop))
        elif found != mark or crc32(view[at + 8 : at + 32], seed) != header_crc:
            return at, 0
        elif stop > end:
            return at, HEADER_SIZE + length
        else:
            rows.append((first, count, due, None, base + stop))
        at = stop


def has_header(piece: bytes, at: int, mark: bytes) -> bool:
    """Whether an undamaged header stands at ``at``, where at least `HEADER_SIZE` bytes are."""
    header_crc = int.from_bytes(piece[at + 32 : at + HEADER_SIZE], "big")
    return (
        piece[at : at + 4] == mark
        and crc32(piece[at + 8 : at + 32], int.from_bytes(mark, "big")) == header_crc
    )


def header_row(piece: bytes, stop: int) -> Row:
    """The batch whose good header stands at the front of ``piece``, but not its records."""
    _, _, first, count, _, due, _ = _HEADER.unpack_from(piece)
    return first, count, due, None, stop
