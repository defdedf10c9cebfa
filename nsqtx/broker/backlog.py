"""What is still to be taken: a window in memory over ranges of the topic's log.

A channel has one (its cursor is the front of it), and so has a topic for the messages it holds
back. As long as a backlog has caught up, new records go straight into its window, the very same
``bytes`` for all channels. Beyond the window's limits they stay in the log, and the window is
refilled from there in pieces.

::

        window (memory)        ranges (log only)
    ────┬──────────────┬───────────────┬ ─ ─ ─ ┬─────────┬────
        │ fresh        │  unread       │ hole  │ unread  │
    ────┴──────────────┴───────────────┴ ─ ─ ─ ┴─────────┴────
        ▲ cursor       ▲ tail                            ▲ end of what was received

A hole is what `Topic.empty` dropped. The window never spans one, so that the cursor and the
ranges always say exactly what is still to be taken.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

import attrs

from nsqtx.interfaces import ITopicLog
from nsqtx.wire.frames import id_of
from nsqtx.wire.guid import position_of

__all__ = ["READ_AHEAD", "WINDOW_BYTES", "Backlog"]

#: How much is read from the log at a time, in bytes.
READ_AHEAD = 256 * 1024
#: A window never grows past this, whatever ``--mem-queue-size`` allows in messages.
WINDOW_BYTES = 32 * 1024 * 1024
#: A look at what is only in the log reads at most so often, about `LOOK_SIZE` bytes each time.
LOOKS = 8
LOOK_SIZE = 64 * 1024


@attrs.define(eq=False)
class Backlog:
    """Records still to be taken, in order. ``log`` is None on an ``#ephemeral`` topic.

    ``limit`` is ``--mem-queue-size``. With ``drop`` (or without a log) what does not fit into the
    window is dropped, as the original does for ``#ephemeral`` names.
    """

    log: ITopicLog | None
    limit: int
    drop: bool = False
    #: The position after the last record that is, or was, in the window.
    tail: int = 0
    #: The window, oldest first, and its size in bytes.
    fresh: deque[bytes] = attrs.Factory(deque)
    fresh_size: int = 0
    #: Parts of the log not yet read, ascending, none empty.
    ranges: deque[tuple[int, int]] = attrs.Factory(deque)
    #: How many ordinary records are in ``ranges``.
    behind: int = 0
    #: How many records came into the window from the log, and how many were dropped.
    read_count: int = 0
    drop_count: int = 0

    def __len__(self) -> int:
        return len(self.fresh) + self.behind

    @property
    def cursor(self) -> int:
        """The first position not yet taken."""
        if self.fresh:
            return position_of(id_of(self.fresh[0]))
        return self.ranges[0][0] if self.ranges else self.tail

    def receive(self, first: int, stop: int, records: list[bytes], size: int) -> int:
        """Add records of the positions ``[first, stop)``; ``size`` is their length in bytes.

        Fewer records than positions is right: deferred messages are not in a backlog.
        Returns how many were kept.
        """
        fresh = self.fresh
        # Where nothing is read from the log, a hole needs no care.
        whole = first == self.tail or not fresh or self.log is None or self.drop
        if whole and not self.ranges:
            if len(fresh) + len(records) <= self.limit and self.fresh_size + size <= WINDOW_BYTES:
                fresh.extend(records)
                self.fresh_size += size
                self.tail = stop
                return len(records)
            # Fill the window to its limit, as the original does, and leave the rest to the log.
            self.tail = first
            room = max(0, self.limit - len(fresh))
            if room and self.fresh_size + size <= WINDOW_BYTES:
                part = records[:room]
                fresh.extend(part)
                self.fresh_size += sum(map(len, part))
                records = records[room:]
                self.tail = first = position_of(id_of(records[0]))
                kept = room
            else:
                kept = 0
        else:
            kept = 0
        if self.log is None or (self.drop and len(self) + len(records) > self.limit):
            self.drop_count += len(records)
            if not self.ranges:
                self.tail = stop
            return kept
        self.leave(first, stop, len(records))
        return kept + len(records)

    def leave(self, first: int, stop: int, count: int) -> None:
        """Add ``count`` records of ``[first, stop)`` that are only in the log."""
        ranges = self.ranges
        if ranges and ranges[-1][1] == first:
            ranges[-1] = (ranges[-1][0], stop)
        elif first < stop:
            ranges.append((first, stop))
        self.behind += count

    def take(self, count: int) -> list[bytes]:
        """Take up to ``count`` records; fewer only when there are no more."""
        fresh = self.fresh
        if len(fresh) < count and self.ranges:
            self._refill(count)
        if count == 1 and fresh:
            record = fresh.popleft()
            self.fresh_size -= len(record)
            return [record]
        if len(fresh) <= count:
            records = list(fresh)
            fresh.clear()
            self.fresh_size = 0
        else:
            pop = fresh.popleft
            records = [pop() for _ in range(count)]
            self.fresh_size -= sum(map(len, records))
        return records

    def _refill(self, count: int) -> None:
        """Read until the window has ``count`` records or one piece was read, or all is read."""
        assert self.log is not None
        fresh, ranges = self.fresh, self.ranges
        read = 0
        while ranges and len(fresh) < count and read < READ_AHEAD:
            start, stop = ranges[0]
            if fresh and start != self.tail:
                break  # a hole: what is before it must be taken first
            records, position = self.log.read(start, stop, READ_AHEAD)
            fresh.extend(records)
            size = sum(map(len, records))
            read += size
            self.fresh_size += size
            self.read_count += len(records)
            self.behind = max(0, self.behind - len(records))
            self.tail = position
            if position >= stop:
                ranges.popleft()
            else:
                ranges[0] = (position, stop)
        if not ranges:
            self.behind = 0  # what damage took from the log is not waited for

    def first(self, count: int) -> list[bytes]:
        """The first ``count``, fewer if many bytes of the log are before them; they stay."""
        records = list(islice(self.fresh, count))
        looks = 0
        for start, stop in self.ranges:
            while start < stop and len(records) < count and looks < LOOKS:
                assert self.log is not None
                more, start = self.log.read(start, stop, LOOK_SIZE)
                records += more
                looks += 1
        return records[:count]

    def skip(self, end: int, position: int) -> None:
        """The log ended at ``end`` and goes on at ``position``, with nothing in between."""
        if not self.ranges:
            self.tail = position
        elif self.ranges[-1][1] == end:
            self.ranges[-1] = (self.ranges[-1][0], position)

    def unread(self) -> list[tuple[int, int]]:
        """The ranges still to be taken, the window's part included."""
        if not self.fresh:
            return list(self.ranges)
        start = self.cursor
        if self.ranges and self.ranges[0][0] == self.tail:
            return [(start, self.ranges[0][1]), *list(self.ranges)[1:]]
        return [(start, self.tail), *self.ranges]

    def forget(self, gone: list[tuple[int, int]]) -> None:
        """Forget the ranges ``gone``, ascending, which have a record at each position."""
        before = self.unread()
        after = _without(before, gone)
        left = len(self) - _positions(before) + _positions(after)
        if self.log is None:
            dropped = {position for start, stop in gone for position in range(start, stop)}
            self.fresh = deque(r for r in self.fresh if position_of(id_of(r)) not in dropped)
            self.fresh_size = sum(map(len, self.fresh))
            return
        self.clear()
        if left > 0:
            self.ranges.extend(after)
            self.behind = left

    def clear(self) -> None:
        """Forget everything."""
        if self.ranges:
            self.tail = self.ranges[-1][1]
        self.fresh.clear()
        self.fresh_size = 0
        self.ranges.clear()
        self.behind = 0


def _positions(ranges: list[tuple[int, int]]) -> int:
    return sum(stop - start for start, stop in ranges)


def _without(ranges: list[tuple[int, int]], gone: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of ascending ranges without some others, ascending too."""
    left = []
    at = 0
    for start, stop in ranges:
        while at < len(gone) and gone[at][1] <= start:
            at += 1
        following = at
        while following < len(gone) and gone[following][0] < stop:
            if start < gone[following][0]:
                left.append((start, gone[following][0]))
            start = gone[following][1]
            following += 1
        if start < stop:
            left.append((start, stop))
    return left
