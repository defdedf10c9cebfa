"""One segment on its own."""

from __future__ import annotations

from nsqtx.storage.batches import HEADER_SIZE, pack_batch
from nsqtx.storage.segment import Segment
from tests.support.disk import SimulatedDisk

MARK = b"\x0a\x0b\x0c\x0d"


def _scanned(data: bytes) -> Segment:
    disk = SimulatedDisk()
    disk.write("s", data)
    segment = Segment("s", 100, MARK, print)
    segment.scan(disk.open("s"))
    return segment


def test_scan() -> None:
    """Size and end are those of the batches, whatever follows them in the file."""
    data = pack_batch(MARK, 100, 2, b"ab", 0) + pack_batch(MARK, 102, 1, b"c", 0)
    for rest in (b"", b"\0" * 5000, b"garbage", MARK * 30):
        segment = _scanned(data + rest)
        assert (segment.size, segment.end) == (len(data), 103)


def test_positions_of_a_torn_batch_are_used() -> None:
    """A batch of which only the header is whole is not part of the segment, its positions are."""
    good = pack_batch(MARK, 100, 2, b"ab", 0)
    torn = pack_batch(MARK, 102, 7, b"cdefghi", 0)
    segment = _scanned(good + torn[:-1])
    assert (segment.size, segment.end) == (len(good), 109)
    bad = torn[:HEADER_SIZE] + b"x" * 7
    segment = _scanned(good + bad)
    assert (segment.size, segment.end) == (len(good), 109)


def test_an_index_finds_batches() -> None:
    """From the offset the index gives, the batch of a position is found."""
    disk = SimulatedDisk()
    batches = [pack_batch(MARK, 100 + n, 1, bytes(10_000), 0) for n in range(50)]
    disk.write("s", b"".join(batches))
    file = disk.open("s")
    segment = Segment("s", 100, MARK, print)
    segment.scan(file)
    index = segment.index(file, bytes)
    assert 6 <= len(index.positions) <= 9
    for position in range(100, 150):
        rows, _ = segment.batches(file, index.locate(position), 80_000)
        assert position in [row[0] for row in rows]
    assert segment.adopt(segment.index_data() or b"")
    other = Segment("s", 100, b"else", print)
    assert not other.adopt(segment.index_data() or b"")
