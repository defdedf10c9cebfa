"""The growing end of a log: the active segment, and what was written since the last sync."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from nsqtx.interfaces import StorageError
from nsqtx.storage.batches import HEADER_SIZE, pack_batch
from nsqtx.storage.handles import Handles
from nsqtx.storage.segment import Segment
from nsqtx.storage.segments import Segments
from nsqtx.storage.volume import Volume

__all__ = ["POSITIONS", "STEP", "LogWriter"]

#: Message ids have room for so many positions.
POSITIONS = 1 << 54
#: More positions than one segment can hold, and few enough to skip them millions of times.
STEP = 1 << 32
#: A file that was deleted under us is noticed after so many seconds at the latest. Looking costs
#: as much as a small write, so it is not done for each.
_LOOK_AGAIN = 0.05


class LogWriter:
    """Appends to the last of ``segments`` and begins the next one when that is full.

    Every batch is written with one call, at an offset that only moves when the write was good, so
    whatever a failed write left behind is overwritten by the next one.
    """

    def __init__(self, volume: Volume, handles: Handles, segments: Segments) -> None:
        self._volume = volume
        self._handles = handles
        self._segments = segments
        self._now = volume.now
        self._times = volume.counters.write_times
        self._segment_size = volume.settings.segment_size
        self._look_at = 0.0
        #: The segment that grows.
        self.active: Segment | None = None
        #: One of an earlier run that may go on growing.
        self.resumable: Segment | None = None
        #: Segments with something that no sync has taken care of, and how many writes that were.
        self.dirty: list[Segment] = []
        self.writes = 0
        #: Since when there is something to sync, of this or of the checkpoint. None: nothing.
        self.dirty_since: float | None = None

    def write(self, first: int, count: int, data: bytes, due: int) -> None:
        """Write one batch.

        :raises StorageError: the disk refused; nothing has changed.
        """
        length = HEADER_SIZE + len(data)
        while True:
            segment = self.active
            if segment is None or (segment.size and segment.size + length > self._segment_size):
                segment = self._roll(first, length)
            if self._put(segment, pack_batch(segment.mark, first, count, data, due)):
                segment.grow(first, count, length)
                return

    def write_all(self, batches: Sequence[tuple[int, int, bytes, int]]) -> None:
        """Write several batches, given as for `write`, with one call; all or nothing.

        :raises StorageError: the disk refused; nothing has changed.
        """
        length = HEADER_SIZE * len(batches) + sum(len(batch[2]) for batch in batches)
        while True:
            segment = self.active
            if segment is None or (segment.size and segment.size + length > self._segment_size):
                segment = self._roll(batches[0][0], length)
            packed = [pack_batch(segment.mark, *batch) for batch in batches]
            if self._put(segment, b"".join(packed)):
                for (first, count, _, _), batch in zip(batches, packed, strict=True):
                    segment.grow(first, count, len(batch))
                return

    def _put(self, segment: Segment, data: bytes) -> bool:
        """Write at the end of a segment. False: it was deleted under us, take another."""
        file = segment.file
        try:
            if file is None:
                file = self._handles.get(segment)
            segment.used = True
            began = self._now()
            file.write_at(data, segment.size)
            now = self._now()
            self._times.add(now - began)
            if not self._look_at - _LOOK_AGAIN <= now < self._look_at:
                self._look_at = now + _LOOK_AGAIN
                if not file.linked():
                    self._abandon(segment)
                    return False
        except FileNotFoundError:
            self._abandon(segment)
            return False
        except OSError as error:
            self.cut_back(segment)
            raise self._volume.refused("write", segment.path, error) from error
        if not segment.dirty:
            segment.dirty = True
            self.dirty.append(segment)
            self.touch()
        self.writes += 1
        return True

    def cut_back(self, segment: Segment) -> None:
        """Give back the room behind the last batch, if the disk lets us."""
        with contextlib.suppress(OSError):
            if segment.file is not None:
                segment.file.truncate(segment.size)

    def _roll(self, first: int, length: int) -> Segment:
        """Begin the next segment; the one before is complete."""
        last, self.resumable = self.resumable, None
        fits = last is not None and last.size + length <= self._segment_size
        if last is not None and fits and self._segments.resume(last):
            self.active = last
            return last
        if first >= POSITIONS - STEP:
            raise StorageError("positions are used up")
        segment = self._segments.begin(first)
        self.seal()
        self.active = segment
        self.touch()
        return segment

    def _abandon(self, segment: Segment) -> None:
        """Go on without a file that has no name any more; it is read as long as it is open."""
        self._volume.report(f"{segment.path}: deleted by somebody")
        self.active = None
        segment.sealed = segment.unlinked = True

    def seal(self) -> None:
        """Nothing is appended to the active segment any more."""
        if self.active is not None:
            self._segments.seal(self.active)
            self.active = None

    def touch(self) -> None:
        """There is something to sync."""
        if self.dirty_since is None:
            self.dirty_since = self._now()

    def take_dirty(self) -> list[Segment]:
        """What a sync that begins now has to take care of."""
        dirty, self.dirty = self.dirty, []
        for segment in dirty:
            segment.dirty = False
        self.writes = 0
        self.dirty_since = None
        return [segment for segment in dirty if not segment.gone]
