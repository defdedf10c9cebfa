"""The bytes of a batch."""

from __future__ import annotations

import struct
from zlib import crc32

from nsqtx.storage.batches import HEADER_SIZE, Row, has_header, header_row, pack_batch, take_batches

MARK = b"\x01\x02\x03\x04"


def test_layout() -> None:
    """A batch has the bytes that the module's documentation draws."""
    data = pack_batch(MARK, 7, 2, b"records", 9)
    seed = 0x01020304
    fields = struct.pack(">QIIQ", 7, 2, 7, 9)
    header_crc = struct.pack(">I", crc32(fields, seed))
    crc = struct.pack(">I", crc32(fields + header_crc + b"records", seed))
    assert data == MARK + crc + fields + header_crc + b"records"
    assert HEADER_SIZE == 36


def test_batches_come_back() -> None:
    """What was packed is taken again, with the offset after each."""
    one = pack_batch(MARK, 1, 1, b"a", 0)
    two = pack_batch(MARK, 2, 3, b"bcd", 5)
    rows: list[Row] = []
    assert take_batches(one + two, 100, MARK, rows) == (len(one + two), HEADER_SIZE)
    assert rows == [(1, 1, 0, b"a", 137), (2, 3, 5, b"bcd", 176)]


def test_an_incomplete_batch_says_its_size() -> None:
    """At a batch that is not all there, its size is known as soon as the header is there."""
    data = pack_batch(MARK, 1, 1, b"abc", 0)
    rows: list[Row] = []
    assert take_batches(data[:35], 0, MARK, rows) == (0, 36)
    assert take_batches(data[:36], 0, MARK, rows) == (0, 39)
    assert take_batches(data[:38], 0, MARK, rows) == (0, 39)
    assert rows == []
    assert header_row(data[:36], 50) == (1, 1, 0, None, 50)


def test_every_flipped_bit_is_seen() -> None:
    """No damage goes unnoticed: the batch is marked as damaged, or no header is found."""
    data = pack_batch(MARK, 1, 2, b"abcdef", 3)
    for at in range(len(data)):
        for bit in range(8):
            bad = bytearray(data)
            bad[at] ^= 1 << bit
            rows: list[Row] = []
            used, need = take_batches(bytes(bad), 0, MARK, rows)
            if at >= HEADER_SIZE or 4 <= at < 8:
                assert rows == [(1, 2, 3, None, len(data))]
                assert has_header(bytes(bad), 0, MARK)
            else:
                assert (used, need, rows) == (0, 0, [])
                assert not has_header(bytes(bad), 0, MARK)


def test_a_batch_of_another_segment_is_none() -> None:
    """Bytes that a file held under another mark are not taken for a batch, mark copied or not."""
    data = pack_batch(b"\x09\x09\x09\x09", 1, 1, b"abc", 0)
    rows: list[Row] = []
    assert take_batches(data, 0, MARK, rows) == (0, 0)
    assert take_batches(MARK + data[4:], 0, MARK, rows) == (0, 0)
    assert rows == []
