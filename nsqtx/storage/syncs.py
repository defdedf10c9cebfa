"""Group commit: one sync for all who wait, off the reactor's thread."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

import attrs

from nsqtx.interfaces import IFiles, StorageError
from nsqtx.storage.segment import Segment
from nsqtx.storage.volume import InThread

__all__ = ["SyncJob", "SyncLine", "Syncing", "Syncs", "sync_file"]

_Done = Callable[[StorageError | None], None]
#: The most syncs of a data path that are under way. There are ten threads; with a few more jobs
#: none of them waits for the reactor.
_WIDTH = 16


def sync_file(files: IFiles, path: str) -> None:
    """Sync a file that is not open. OSError passes through."""
    file = files.open(path)
    try:
        file.datasync()
    finally:
        file.close()


@attrs.define(eq=False)
class SyncJob:
    """What one sync is about, and the sync itself, which is the call; it runs in a thread.

    ``segments`` are pinned, with their size and end when the sync began; ``end`` is that of the
    log. ``failure`` is what went wrong before there was a thread. With ``linked``, a segment that
    was deleted under us is a failure.
    """

    files: IFiles
    began: float
    end: int
    directories: list[str]
    linked: bool
    segments: list[tuple[Segment, int, int]] = attrs.Factory(list)
    slot: str | None = None
    failure: BaseException | None = None
    #: What is being synced just now, for the error text.
    path: str = ""

    def __call__(self) -> None:
        """Sync all of it, what a directory names before the directory. OSError passes through."""
        if self.failure is not None:
            raise self.failure
        for segment, _, _ in self.segments:
            self.path = segment.path
            assert segment.file is not None  # it is pinned
            segment.file.datasync()
            if self.linked and not segment.file.linked():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if self.slot is not None:
            self.path = self.slot
            sync_file(self.files, self.slot)
        for directory in self.directories:
            self.path = directory
            self.files.sync_directory(directory)


class Syncing(Protocol):
    """Whose files are synced: a log."""

    def begin_sync(self) -> SyncJob:
        """Collect what there is to sync."""

    def end_sync(self, job: SyncJob, failure: BaseException | None) -> StorageError | None:
        """Learn how it went; the error for those who waited.

        For all of them, those of the next group too, because then what they wait for is gone.
        """


#: A job, and what is done after it, on the reactor's thread, with what the job raised.
SyncTurn = tuple[SyncJob, Callable[[BaseException | None], None]]


class SyncLine:
    """Whose turn it is: of all logs of a data path, a few are synced at a time.

    A sync keeps its segments open, and holds a thread that others want, too. With ten thousand
    topics in use there are as many to sync at the same second. ``open_files`` is how many segments
    may be open; about half of them are left for publishers and consumers.
    """

    def __init__(self, in_thread: InThread, open_files: int) -> None:
        self._in_thread = in_thread
        self._width = max(1, min(_WIDTH, open_files // 2))
        self._running = 0
        self._waiting: deque[Callable[[], SyncTurn | None]] = deque()

    def enter(self, begin: Callable[[], SyncTurn | None]) -> None:
        """Call ``begin`` when there is room: the job, and what is done after it.

        None: it is not needed any more.
        """
        self._waiting.append(begin)
        self._fill()

    def _fill(self) -> None:
        while self._waiting and self._running < self._width:
            turn = self._waiting.popleft()()
            if turn is not None:
                self._running += 1
                self._in_thread(turn[0], partial(self._finish, turn[1]))

    def _finish(
        self, done: Callable[[BaseException | None], None], failure: BaseException | None
    ) -> None:
        self._running -= 1
        try:
            done(failure)
        finally:
            self._fill()


class Syncs:
    """At most one sync at a time; who comes meanwhile is served by the next one.

    The log is given with each call, and not kept: it has us, and a topic that was deleted is to be
    freed at once.
    """

    def __init__(self, line: SyncLine) -> None:
        self._line = line
        self._group: list[_Done] = []
        self._waiting: list[_Done] = []
        self._closed = False
        #: One is under way, or will be.
        self.wanted = False
        #: The sync that is under way.
        self.job: SyncJob | None = None

    def commit(self, log: Syncing, done: _Done) -> None:
        """Call ``done`` after a sync of everything that was written until now."""
        self._waiting.append(done)
        self.want(log)

    def want(self, log: Syncing) -> None:
        """Sync as soon as there is room in the line, unless that is so already."""
        if not self.wanted:
            self.wanted = True
            self._line.enter(partial(self._begin, log))

    def _begin(self, log: Syncing) -> SyncTurn | None:
        if self._closed:
            return None
        self._group, self._waiting = self._waiting, []
        self.job = log.begin_sync()
        return self.job, partial(self._finish, log)

    def _finish(self, log: Syncing, failure: BaseException | None) -> None:
        job, self.job = self.job, None
        assert job is not None
        self.wanted = False
        error = log.end_sync(job, failure)
        group, self._group = self._group, []
        if error is not None:
            group += self._waiting
            self._waiting = []
        try:
            _call(group, error)
        finally:
            if self._waiting:
                self.want(log)

    def close(self, error: StorageError | None) -> None:
        """All was synced, or not, in another way: answer everyone, the running group first."""
        self._closed = True
        group = self._group + self._waiting
        self._group, self._waiting = [], []
        _call(group, error)


def _call(group: Iterable[_Done], error: StorageError | None) -> None:
    """Call all, whatever one of them raises."""
    waiting = iter(group)
    for done in waiting:
        try:
            done(error)
        except Exception:
            _call(waiting, error)
            raise
