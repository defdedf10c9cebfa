"""Open files of segments: as few as are in use, however many topics there are."""

from __future__ import annotations

import contextlib

from nsqtx.interfaces import IFile, IFiles
from nsqtx.storage.segment import Segment

__all__ = ["Handles"]

#: A file that nobody used for this many seconds is closed (at most twice as many).
_IDLE = 30.0


class Handles:
    """Opens segments, closes those that have not been used for a while.

    ``limit`` is how many may be open. Which to close is decided as in a clock: each use sets
    ``used``, the hand clears it and closes what is found cleared, so the path of a message pays
    one assignment.
    """

    def __init__(self, files: IFiles, limit: int) -> None:
        self._files = files
        self._limit = limit
        self._open: dict[Segment, IFile] = {}
        self._swept = 0.0

    def __len__(self) -> int:
        return len(self._open)

    def get(self, segment: Segment) -> IFile:
        """The file of a segment, opened when it is not. OSError passes through."""
        segment.used = True
        if segment.file is None:
            self.add(segment, self._files.open(segment.path))
        assert segment.file is not None
        return segment.file

    def add(self, segment: Segment, file: IFile) -> None:
        """Take charge of a file that was just made."""
        segment.file = file
        segment.used = True
        self._open[segment] = file
        if len(self._open) > self._limit:
            self._evict(segment)

    def _evict(self, newest: Segment) -> None:
        for _ in range(2 * len(self._open)):
            segment = next(iter(self._open))
            if segment.used or segment.pins or segment.unlinked or segment is newest:
                segment.used = False
                self._open[segment] = self._open.pop(segment)
            else:
                self._close(segment)
                return

    def pin(self, segment: Segment) -> IFile:
        """The file of a segment, which stays open until `unpin`. OSError passes through."""
        file = self.get(segment)
        segment.pins += 1
        return file

    def unpin(self, segment: Segment) -> None:
        """Undo one `pin`."""
        segment.pins -= 1
        if segment.gone:
            self.drop(segment)

    def drop(self, segment: Segment) -> None:
        """Close the file of a segment that is not needed any more, now or at the last `unpin`."""
        segment.gone = True
        if not segment.pins and segment.file is not None:
            self._close(segment)

    def sweep(self, now: float) -> None:
        """Close what is idle. Cheap to call often."""
        if 0 <= now - self._swept < _IDLE:
            return
        self._swept = now
        for segment in list(self._open):
            if segment.used or segment.pins or segment.unlinked:
                segment.used = False
            else:
                self._close(segment)

    def _close(self, segment: Segment) -> None:
        file = self._open.pop(segment)
        segment.file = None
        segment.closed()
        # What the disk thinks of what was written is asked with a sync, not here.
        with contextlib.suppress(OSError):
            file.close()
