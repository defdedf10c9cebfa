"""The index of a segment."""

from __future__ import annotations

from nsqtx.storage.index import IndexHeader, SparseIndex, parse_index_header


def _index() -> SparseIndex:
    index = SparseIndex()
    for number in range(4):
        index.add(100 + 10 * number, 70000 * number)
    return index


def test_locate() -> None:
    """A position is found at or before its batch, never after it."""
    index = _index()
    found = [index.locate(position) for position in (0, 100, 109, 110, 125, 1000)]
    assert found == [0, 0, 0, 70000, 140000, 210000]


def test_spacing() -> None:
    """Another entry is due about 64 KiB after the last."""
    assert SparseIndex().next == 0
    assert _index().next == 210000 + 65536


def test_cut() -> None:
    """After a cut nothing points behind it."""
    index = _index()
    index.cut(140000)
    assert list(index.offsets) == [0, 70000]
    assert index.next == 70000 + 65536
    index.cut(0)
    assert (list(index.positions), index.next) == ([], 0)


def test_file() -> None:
    """The file gives back the index and what the segment is."""
    data = _index().encode(b"mark", 100, 150, 300000)
    assert parse_index_header(data) == IndexHeader(b"mark", 100, 150, 300000, 4)
    again = SparseIndex.decode(data)
    assert again is not None
    assert (again.positions, again.offsets) == (_index().positions, _index().offsets)
    assert again.next == _index().next
    empty = SparseIndex.decode(SparseIndex().encode(b"mark", 1, 1, 0))
    assert empty is not None
    assert empty.next == 0


def test_damage_is_seen() -> None:
    """With any byte changed or missing, the file is refused."""
    data = _index().encode(b"mark", 100, 150, 300000)
    for at in range(len(data)):
        bad = bytearray(data)
        bad[at] ^= 0x40
        assert SparseIndex.decode(bytes(bad)) is None
        assert SparseIndex.decode(data[:at]) is None
