"""Messages that come again: the requeued ones, and the deferred ones until they are due.

Both keep what they hold by position wherever the topic has a log to read it from again, so a
consumer that requeues everything, or a million deferred messages, cost numbers and not bodies.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection
from itertools import islice

import attrs

from nsqtx.interfaces import ITopicLog, PendingMessages
from nsqtx.wire.frames import attempts_of, id_of, with_attempts
from nsqtx.wire.guid import position_of, positions_of

__all__ = ["DeferredMessages", "Delayed", "RequeuedMessages", "next_frame", "pending_frames"]

#: Due time (ns, 0: at once), position, attempts so far, and the record unless it is in the log.
Delayed = tuple[int, int, int, bytes | None]

#: How many requeued messages are read from the log at a time.
FETCH = 256
#: How many bytes of requeued messages stay in memory, per channel.
REQUEUED_BYTES = 32 * 1024 * 1024


def next_frame(record: bytes) -> bytes:
    """The record as its next delivery has it: one attempt more."""
    return with_attempts(record, attempts_of(record) + 1)


def pending_frames(frames: Collection[bytes]) -> PendingMessages:
    """Frames that are ready to send, for the checkpoint."""
    return PendingMessages.of(
        positions_of(map(id_of, frames)), [(attempts_of(each) - 1) & 0xFFFF for each in frames]
    )


@attrs.define(eq=False)
class RequeuedMessages:
    """A queue of messages to be delivered again, ready to send: their attempts are counted up.

    The first ``limit`` (and `REQUEUED_BYTES`) stay in memory, the others as position and attempts.
    """

    log: ITopicLog | None
    limit: int
    drop_count: int = 0
    _frames: deque[bytes] = attrs.Factory(deque)
    _size: int = 0
    #: Position and attempts so far; after those in ``_frames``.
    _spilled: deque[tuple[int, int]] = attrs.Factory(deque)

    def __len__(self) -> int:
        return len(self._frames) + len(self._spilled)

    @property
    def spilled(self) -> int:
        """How many are only in the log."""
        return len(self._spilled)

    def put(self, frame: bytes) -> bool:
        """Add a frame at the tail. False: dropped, there is no log to leave it in."""
        room = len(self._frames) < self.limit and self._size + len(frame) <= REQUEUED_BYTES
        if room and not self._spilled:
            self._frames.append(frame)
            self._size += len(frame)
        elif self.log is None:
            self.drop_count += 1
            return False
        else:
            self._spilled.append((position_of(id_of(frame)), attempts_of(frame) - 1))
        return True

    def put_position(self, position: int, attempts: int) -> None:
        """Add a message that is in the log and was delivered ``attempts`` times."""
        self._spilled.append((position, attempts))

    def take(self, count: int, size: int) -> list[bytes]:
        """Take up to ``count`` frames and about ``size`` bytes from the front, at least one."""
        frames = self._frames
        if len(frames) < count and self._spilled:
            self._fetch()
        taken = []
        while frames and count and size > 0:
            frame = frames.popleft()
            taken.append(frame)
            count -= 1
            size -= len(frame)
            self._size -= len(frame)
        return taken

    def _fetch(self) -> None:
        """Read the next spilled messages, up to `FETCH` of them."""
        assert self.log is not None
        wanted = list(islice(self._spilled, FETCH))
        positions = sorted(position for position, _ in wanted)
        found = dict(zip(positions, self.log.fetch(positions), strict=True))
        for position, attempts in wanted:
            self._spilled.popleft()
            record = found[position]
            if record is not None:
                self._frames.append(with_attempts(record, attempts + 1) if attempts else record)
                self._size += len(record)

    def first(self, count: int) -> list[Delayed]:
        """The first ``count``, which stay where they are."""
        found: list[Delayed] = [
            (0, position_of(id_of(frame)), (attempts_of(frame) - 1) & 0xFFFF, frame)
            for frame in islice(self._frames, count)
        ]
        spilled = islice(self._spilled, count - len(found))
        return found + [(0, position, attempts, None) for position, attempts in spilled]

    def take_all(self) -> list[Delayed]:
        """Take all of them, in their order."""
        entries = self.first(len(self))
        self.clear()
        return entries

    def pending(self) -> PendingMessages:
        """All of them, for the checkpoint."""
        found = pending_frames(self._frames)
        spilled = self._spilled
        found.extend(
            PendingMessages.of([each[0] for each in spilled], [each[1] for each in spilled])
        )
        return found

    def clear(self) -> None:
        """Forget everything."""
        self._frames.clear()
        self._size = 0
        self._spilled.clear()


@attrs.define(eq=False)
class DeferredMessages:
    """Messages that may not be delivered before a time of their own.

    A record is only kept where there is no log.
    """

    _heap: list[Delayed] = attrs.Factory(list)

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, due: int, position: int, attempts: int, record: bytes | None) -> None:
        """Add one that was delivered ``attempts`` times and is due at ``due`` (ns)."""
        heapq.heappush(self._heap, (due, position, attempts, record))

    def take_due(self, now: int, limit: int) -> list[Delayed]:
        """Take those that are due, the longest due first."""
        heap = self._heap
        due: list[Delayed] = []
        while heap and heap[0][0] <= now and len(due) < limit:
            due.append(heapq.heappop(heap))
        return due

    @property
    def next_due(self) -> int | None:
        """When the first is due (ns); None when there are none."""
        return self._heap[0][0] if self._heap else None

    def take_all(self) -> list[Delayed]:
        """Take all of them, in no order."""
        entries, self._heap = self._heap, []
        return entries

    def first(self, count: int) -> list[Delayed]:
        """The first ``count`` in the order in which they are due; they stay where they are."""
        heap = self._heap
        found: list[Delayed] = []
        # Only what is below an entry in the heap can come right after it.
        candidates = [(heap[0], 0)] if heap else []
        while candidates and len(found) < count:
            entry, at = heapq.heappop(candidates)
            found.append(entry)
            for below in (2 * at + 1, 2 * at + 2):
                if below < len(heap):
                    heapq.heappush(candidates, (heap[below], below))
        return found

    def pending(self) -> PendingMessages:
        """All of them, for the checkpoint."""
        heap = self._heap
        return PendingMessages.of(
            [each[1] for each in heap], [each[2] for each in heap], [each[0] for each in heap]
        )

    def clear(self) -> None:
        """Forget everything."""
        self._heap.clear()
