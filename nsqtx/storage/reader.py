"""How a log is read: by channels that go on and on, by single positions, and by recovery."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from nsqtx.interfaces import Batch
from nsqtx.storage.batches import FROM_CHANNEL, Row, split_note
from nsqtx.storage.segment import SCAN_SIZE, Segment
from nsqtx.storage.segments import Segments
from nsqtx.storage.unwritten import Unwritten
from nsqtx.wire.frames import split_records

__all__ = ["LogReader"]

#: How much is read to find a single record: the distance of two entries of an index, and a bit.
_FETCH_SIZE = 80 * 1024
#: How many readers' places are remembered.
_MOST_HINTS = 256

_Place = tuple[Segment, int]


class LogReader:
    """Reads what is in ``segments`` and then what is in ``unwritten``.

    A reader that goes on where it stopped finds its place by a dictionary: `hints` knows the file
    offset of the positions that were handed out last.
    """

    def __init__(self, segments: Segments, unwritten: Unwritten) -> None:
        self._segments = segments
        self._unwritten = unwritten
        self.hints: dict[int, _Place] = {}

    def _hint(self, position: int, place: _Place) -> None:
        if len(self.hints) >= _MOST_HINTS:
            del self.hints[next(iter(self.hints))]
        self.hints[position] = place

    def _find(self, position: int) -> _Place | None:
        place = self.hints.pop(position, None)
        if place is None or place[0].gone:
            place = self._segments.locate(position)
        return place

    def read(self, start: int, stop: int, size: int) -> tuple[list[bytes], int]:
        """See `nsqtx.interfaces.ITopicLog.read`; ``stop`` is not beyond the end."""
        records: list[bytes] = []
        position = start
        place = self._find(start) if start < stop else None
        while position == start < stop:
            if place is None:
                rows = self._unwritten.rows(start, size)
                position = self._take(rows, start, stop, records)
                return records, position if rows else stop
            segment, offset = place
            if segment.first >= stop:
                return records, stop
            rows, offset = self._segments.batches(segment, offset, size)
            position = self._take(rows, start, stop, records)
            if position == stop:
                if rows[-1][0] + rows[-1][1] == stop:
                    self._hint(stop, (segment, rows[-1][4]))
                break
            if offset < segment.size:
                place = segment, offset
            else:
                following = self._segments.following(segment)
                if following is not None:
                    place = following, 0
                    position = max(position, min(stop, following.first))
                elif self._unwritten.batches:
                    place = None
                    position = max(position, min(stop, self._unwritten.batches[0][0]))
                else:
                    return records, stop
            if place is not None and position > start:
                self._hint(position, place)
        return records, position

    def _take(self, rows: list[Row], start: int, stop: int, records: list[bytes]) -> int:
        """Add the ordinary records of ``[start, stop)``. Returns the position to go on from."""
        position = start
        for first, count, due, body, _ in rows:
            end = first + count
            if end <= start:
                continue
            if first >= stop:
                return stop
            if body is not None and (not due or due == FROM_CHANNEL):
                if due:
                    body = split_note(due, body)[3]
                found = [body] if count == 1 else split_records(body)
                if first < start or end > stop:
                    found = found[max(0, start - first) : stop - first]
                records += found
            if end >= stop:
                return stop
            position = end
        return position

    def fetch(self, positions: Sequence[int]) -> list[bytes | None]:
        """See `nsqtx.interfaces.ITopicLog.fetch`."""
        found: list[bytes | None] = []
        rows: list[Row] = []
        records: list[bytes] | None = None
        place: _Place | None = None
        at = 0
        for position in positions:
            while at < len(rows) and rows[at][0] + rows[at][1] <= position:
                at += 1
                records = None
            if at == len(rows):
                rows, place = self._rows_at(position, place)
                at = 0
                while at < len(rows) and rows[at][0] + rows[at][1] <= position:
                    at += 1
            if at == len(rows) or position < rows[at][0]:
                found.append(None)
                continue
            first, _, due, body, _ = rows[at]
            if body is None:
                found.append(None)
                continue
            if records is None:
                records = split_records(split_note(due, body)[3])
            found.append(records[position - first])
        return found

    def _rows_at(self, position: int, before: _Place | None) -> tuple[list[Row], _Place | None]:
        """Batches, among them that of ``position`` if it exists, and the place after them.

        ``before`` is such a place from an earlier call for a lower position.
        """
        place = self._segments.locate(position)
        if place is None:
            return self._unwritten.rows(position, _FETCH_SIZE), None
        segment, offset = place
        if before is not None and before[0] is segment:
            offset = max(offset, before[1])
        while offset < segment.size:
            rows, offset = self._segments.batches(segment, offset, _FETCH_SIZE)
            if rows and rows[-1][0] + rows[-1][1] > position:
                return rows, (segment, offset)
        return [], (segment, offset)

    def replay(self, start: int) -> Iterator[Batch]:
        """See `nsqtx.interfaces.ITopicLog.replay`."""
        place = self._segments.locate(start)
        while place is not None:
            segment, offset = place
            while offset < segment.size:
                rows, offset = self._segments.batches(segment, offset, SCAN_SIZE)
                yield from self._whole(rows, start)
            following = self._segments.following(segment)
            place = (following, 0) if following is not None else None
        yield from self._whole(self._unwritten.rows(start, sys.maxsize), start)

    def _whole(self, rows: list[Row], start: int) -> Iterator[Batch]:
        for first, count, due, body, _ in rows:
            if first + count <= start or body is None:
                continue
            due, channel, origin, body = split_note(due, body)
            records = split_records(body)
            if first < start:
                records = records[start - first :]
                first = start
            yield Batch(first, records, due, channel, origin)
