"""One file of a log, and how batches are found in it.

A segment knows three lengths: that of its file, which nobody trusts; ``size``, up to where its
batches go; and ``synced_size``, up to where they are known to be on stable storage.
"""

from __future__ import annotations

from collections.abc import Callable

from nsqtx.interfaces import IFile
from nsqtx.storage.batches import (
    HEADER_SIZE,
    Row,
    has_header,
    header_row,
    take_batches,
)
from nsqtx.storage.index import INDEX_HEADER_SIZE, SparseIndex, parse_index_header
from nsqtx.storage.layout import index_path, parse_segment_name

__all__ = ["SCAN_SIZE", "Segment"]

#: How much is read at a time where all of a segment is read, in bytes.
SCAN_SIZE = 1024 * 1024
_MOST_REPORTS = 1000


class Segment:
    """A segment, open or not.

    ``first`` is where it starts and ``end`` the position after its last record. ``damaged`` is
    told, once each, of what a reader had to pass over.
    """

    __slots__ = (
        "_index",
        "_reported",
        "damaged",
        "dirty",
        "end",
        "file",
        "first",
        "gone",
        "mark",
        "path",
        "pins",
        "sealed",
        "size",
        "synced_end",
        "synced_size",
        "unlinked",
        "used",
    )

    def __init__(self, path: str, first: int, mark: bytes, damaged: Callable[[str], None]) -> None:
        self.path = path
        self.first = first
        self.mark = mark
        self.end = self.synced_end = first
        self.size = self.synced_size = 0
        self.damaged = damaged
        #: Complete: nothing is appended any more, and the index can be read from its file.
        self.sealed = False
        #: Something was written that no sync has taken care of.
        self.dirty = False
        # The rest belongs to `Handles`.
        self.file: IFile | None = None
        self.used = False
        self.pins = 0
        self.gone = False
        #: Its file has no name any more, so it must not be closed while somebody may read it.
        self.unlinked = False
        self._index: SparseIndex | None = None
        self._reported: set[int] = set()

    @classmethod
    def named(cls, directory: str, name: str, damaged: Callable[[str], None]) -> Segment | None:
        """The segment that a file in ``directory`` is, by its name; None when it is none."""
        parsed = parse_segment_name(name)
        return cls(f"{directory}/{name}", *parsed, damaged) if parsed else None

    @property
    def index_path(self) -> str:
        """Where its index is, or would be."""
        return index_path(self.path)

    # Growing.

    def began(self) -> None:
        """The segment is new and empty."""
        self._index = SparseIndex()

    def grow(self, first: int, count: int, length: int) -> None:
        """A batch of ``length`` bytes was written at ``size``."""
        index = self._index
        assert index is not None
        if self.size >= index.next:
            index.add(first, self.size)
        self.size += length
        self.end = first + count

    def cut(self) -> None:
        """Fall back to what is on stable storage."""
        self.size = self.synced_size
        self.end = self.synced_end
        if self._index is not None:
            self._index.cut(self.size)

    def settle(self, size: int, end: int) -> None:
        """The batches up to ``size``, which end at ``end``, are on stable storage."""
        self.synced_size = size
        self.synced_end = end

    # The index.

    def index(self, file: IFile, index_file: Callable[[], bytes]) -> SparseIndex:
        """The index; ``index_file`` reads its file, if there is one. OSError passes through."""
        if self._index is None:
            self._index = SparseIndex.decode(index_file()) if self.sealed else None
            if self._index is None:
                self._index = self._scan(file, self.size)[0]
        return self._index

    def index_data(self) -> bytes | None:
        """The index file of this segment; None when the index is not in memory."""
        if self._index is None:
            return None
        return self._index.encode(self.mark, self.first, self.end, self.size)

    def adopt(self, index_data: bytes) -> bool:
        """Become what the front of an index file says. False: it is damaged."""
        header = parse_index_header(index_data[:INDEX_HEADER_SIZE])
        if header is None or (header.mark, header.first) != (self.mark, self.first):
            return False
        self.size, self.end = header.size, header.end
        self.settle(self.size, self.end)
        self.sealed = True
        return True

    def scan(self, file: IFile) -> None:
        """Find `size` and `end` by reading all of the file. OSError passes through.

        What follows the last good batch, a torn tail perhaps, is not part of the segment. But the
        positions of a batch whose header is good count as used, whatever became of its records.
        """
        self._index, self.size, self.end = self._scan(file, file.size())
        self.settle(self.size, self.end)

    def _scan(self, file: IFile, limit: int) -> tuple[SparseIndex, int, int]:
        index = SparseIndex()
        good = offset = 0
        end = self.first
        while offset < limit:
            rows, offset = self._batches(file, offset, SCAN_SIZE, limit, None)
            for first, count, _, body, stop in rows:
                end = max(end, first + count)
                if body is not None:
                    good = stop
                    start = stop - HEADER_SIZE - len(body)
                    if start >= index.next:
                        index.add(first, start)
        return index, good, end

    def closed(self) -> None:
        """The file was closed: an index that can be read again need not stay in memory."""
        if self.sealed:
            self._index = None

    # Reading.

    def batches(self, file: IFile, offset: int, size: int) -> tuple[list[Row], int]:
        """Batches from ``offset`` on, and the offset to go on from. OSError passes through.

        At least one batch is returned unless no good header is left; about ``size`` bytes are
        read, and memory for the largest batch is needed.
        """
        rows, after = self._batches(file, offset, max(size, 4096), self.size, self._report)
        for first, count, _, body, _ in rows:
            if body is None:
                self._tell(-first, f"messages {first} to {first + count - 1} are damaged")
        return rows, after

    def _batches(
        self,
        file: IFile,
        offset: int,
        size: int,
        limit: int,
        report: Callable[[int, int], None] | None,
    ) -> tuple[list[Row], int]:
        rows: list[Row] = []
        want = size
        while offset < limit:
            piece = file.read_at(offset, min(want, limit - offset))
            used, need = take_batches(piece, offset, self.mark, rows)
            if rows:
                return rows, offset + used
            if need > len(piece) == want and offset + need <= limit:
                want = need
                continue
            # No header, or the header of a batch that is not all there.
            found = self._search(file, offset + 1, limit)
            if need > HEADER_SIZE:
                rows.append(header_row(piece, found))
                return rows, found
            if report is not None:
                report(offset, found)
            offset, want = found, size
        return rows, offset

    def _search(self, file: IFile, offset: int, limit: int) -> int:
        """Where the next good header is, ``limit`` if there is none."""
        mark = self.mark
        while offset < limit:
            piece = file.read_at(offset, min(SCAN_SIZE, limit - offset))
            last = len(piece) - HEADER_SIZE
            if last < 0:
                break
            at = piece.find(mark)
            while 0 <= at <= last:
                if has_header(piece, at, mark):
                    return offset + at
                at = piece.find(mark, at + 1)
            offset += last + 1
        return limit

    def _report(self, start: int, stop: int) -> None:
        self._tell(start, f"no batch in bytes {start} to {stop}")

    def _tell(self, key: int, text: str) -> None:
        # Each reader comes by again; once is enough.
        if key not in self._reported:
            if len(self._reported) >= _MOST_REPORTS:
                self._reported.clear()
            self._reported.add(key)
            self.damaged(f"{self.path}: {text}")
