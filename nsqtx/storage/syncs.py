"""Group commit: one sync for all who wait, off the reactor's thread."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

import attrs

from nsqtx.interfaces import IFiles, StorageError
from nsqtx.storage.segment import Segment
from nsqtx.storage.volume import InThread

__all__ = ["SyncJob", "Syncing", "Syncs", "sync_file"]

_Done = Callable[[StorageError | None], None]


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


class Syncs:
    """At most one sync at a time; who comes meanwhile is served by the next one.

    The log is given with each call, and not kept: it has us, and a topic that was deleted is to be
    freed at once.
    """

    def __init__(self, in_thread: InThread) -> None:
        self._in_thread = in_thread
        self._group: list[_Done] = []
        self._waiting: list[_Done] = []
        #: The sync that is under way.
        self.job: SyncJob | None = None

    def commit(self, log: Syncing, done: _Done) -> None:
        """Call ``done`` after a sync of everything that was written until now."""
        self._waiting.append(done)
        if self.job is None:
            self.start(log)

    def start(self, log: Syncing) -> None:
        """Begin a sync; there must be none."""
        self._group, self._waiting = self._waiting, []
        self.job = log.begin_sync()
        self._in_thread(self.job, partial(self._finish, log))

    def _finish(self, log: Syncing, failure: BaseException | None) -> None:
        job, self.job = self.job, None
        assert job is not None
        error = log.end_sync(job, failure)
        group, self._group = self._group, []
        if error is not None:
            group += self._waiting
            self._waiting = []
        try:
            _call(group, error)
        finally:
            if self._waiting and self.job is None:
                self.start(log)

    def finish_now(self, error: StorageError | None) -> None:
        """All was synced, or not, in another way: answer everyone, the running group first."""
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
