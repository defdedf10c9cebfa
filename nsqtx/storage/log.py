"""The log of one topic.

Positions count up from the time the topic was made, in microseconds since the epoch, so those of a
topic that was deleted and made again do not come twice. After a stop that was not orderly the log
goes on at the present time: the last records may be lost while consumers have already seen them,
and their positions must not come twice either. Where the clock cannot be trusted to be ahead, a
large step is taken instead.

After a failed sync it is unknown what the disk has, and a later sync that succeeds says nothing
about it. So at durability ``fsync`` whatever was not yet committed is cut off, its publishers are
told, and the log goes on in another file at the positions after those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from zope.interface import implementer

from nsqtx.interfaces import Batch, ITopicLog, StorageError, TopicState
from nsqtx.storage.batches import with_note
from nsqtx.storage.directory import TopicDirectory
from nsqtx.storage.handles import Handles
from nsqtx.storage.layout import ROOT, encode_topic
from nsqtx.storage.reader import LogReader
from nsqtx.storage.segments import Segments
from nsqtx.storage.slots import Slots
from nsqtx.storage.syncs import SyncJob, SyncLine, Syncs, sync_file
from nsqtx.storage.unwritten import Unwritten
from nsqtx.storage.volume import Volume
from nsqtx.storage.writer import STEP, LogWriter

__all__ = ["TopicLog"]

#: An active segment this large is deleted as soon as nobody needs it, smaller ones are kept.
_WORTH_DELETING = 1024 * 1024
#: What is written behind goes out in pieces of about this size.
_WRITE_SIZE = 1024 * 1024


@implementer(ITopicLog)
class TopicLog:
    """See `nsqtx.interfaces.ITopicLog`; made by `Store.open`.

    ``clean`` says that the last stop was orderly, ``high_water`` which positions may have been used
    by a topic of that name before.
    """

    end: int
    must_commit: bool

    def __init__(
        self,
        volume: Volume,
        handles: Handles,
        line: SyncLine,
        topic: str,
        clean: bool,
        high_water: int,
    ) -> None:
        settings = volume.settings
        durability = settings.topic_durability.get(topic, settings.durability)
        self.must_commit = durability == "fsync"
        self.closed = False
        #: Something was lost when it was closed.
        self.failed = False
        self._volume = volume
        self._handles = handles
        self._now = volume.now
        self._sync_every = settings.sync_every
        self._sync_timeout = settings.sync_timeout
        self._write_through = durability != "memory"
        self._directory = TopicDirectory(volume, f"{ROOT}/{encode_topic(topic)}")
        self._slots = Slots(self._directory)
        self._segments = Segments(self._directory, handles)
        self._writer = LogWriter(volume, handles, self._segments)
        self._unwritten = Unwritten(settings.mem_queue_size)
        self._unwritten_since = 0.0
        self._reader = LogReader(self._segments, self._unwritten)
        self._syncs = Syncs(line)
        self._open(clean, high_water)
        self._synced_end = self.end

    def _open(self, clean: bool, high_water: int) -> None:
        checkpoint = self._slots.open()
        self._segments.open()
        segments = self._segments.all
        end = max((segment.end for segment in segments), default=0)
        if checkpoint is not None:
            end = max(end, checkpoint.end)
        if clean and checkpoint is not None and checkpoint.clean:
            self._writer.resumable = self._segments.newest
        else:
            now = int(self._now() * 1e6)
            end = now if now > end else end + STEP if end else now
            if self.must_commit and (segments or checkpoint is not None):
                self._make_stable()
        self.end = max(end, high_water)

    def _make_stable(self) -> None:
        """Sync what a run has left that was killed, before anybody is told what is there.

        Else a power cut could take messages that consumers have already got, or the checkpoint that
        is taken for a stable one.
        """
        volume = self._volume
        self._slots.rewrite()
        paths = [segment.path for segment in self._segments.all]
        checkpoint = self._slots.begin_sync()
        if checkpoint is not None:
            paths.append(checkpoint)
        path = self._directory.path
        try:
            for path in paths:
                sync_file(volume.files, path)
            path = self._directory.path
            volume.files.sync_directory(path)
        except OSError as error:
            raise volume.refused("sync", path, error) from error
        self._slots.end_sync(good=True)

    # Writing.

    def append(
        self, count: int, data: bytes, due: int = 0, channel: str = "", origin: str = ""
    ) -> None:
        """See `nsqtx.interfaces.ITopicLog.append`."""
        if self.closed:
            raise StorageError("exiting")
        first = self.end
        noted = channel or origin
        if noted:
            data, due = with_note(data, due, channel, origin)
            # Another log lets go of these messages, so they must not wait in memory.
            self._write_behind()
        if noted or self._write_through:
            self._writer.write(first, count, data, due)
            if not self.must_commit:
                self._written()
        else:
            self._write_later(first, count, data, due)
        self.end = first + count
        counters = self._volume.counters
        counters.append_count += 1
        counters.append_bytes += len(data)

    def _write_later(self, first: int, count: int, data: bytes, due: int) -> None:
        queue = self._unwritten
        if not queue.batches:
            self._unwritten_since = self._now()
        queue.add(first, count, data, due)
        if queue.full:
            try:
                self._write_behind()
            except StorageError:
                # The disk refuses, but as long as there is room nothing is wrong for a publisher.
                if queue.full:
                    queue.drop_last()
                    raise

    def _write_behind(self) -> None:
        queue = self._unwritten
        while queue.batches:
            number = size = 0
            for batch in queue.batches:
                number += 1
                size += len(batch[2])
                if size >= _WRITE_SIZE:
                    break
            self._writer.write_all(queue.batches[:number])
            self._written()
            queue.drop_first(number)

    def _written(self) -> None:
        """A write was good, and at this durability that is enough."""
        if self._volume.health is not None or self._volume.full:
            self._volume.succeeded()
        if self._writer.writes >= self._sync_every:
            self._syncs.want(self)

    # Syncing.

    def commit(self, done: Callable[[StorageError | None], None]) -> None:
        """See `nsqtx.interfaces.ITopicLog.commit`."""
        if self.closed:
            raise StorageError("exiting")
        self._write_behind()
        self._syncs.commit(self, done)

    def begin_sync(self) -> SyncJob:
        """See `nsqtx.storage.syncs.Syncing`."""
        volume = self._volume
        directories = sorted(self._directory.unsynced)
        self._directory.unsynced.clear()
        job = SyncJob(volume.files, self._now(), self.end, directories, self.must_commit)
        for segment in self._writer.take_dirty():
            try:
                self._handles.pin(segment)
            except OSError as error:
                job.failure = volume.refused("open", segment.path, error)
            else:
                job.segments.append((segment, segment.size, segment.end))
        try:
            job.slot = self._slots.begin_sync()
        except StorageError as error:
            job.failure = error
        return job

    def end_sync(self, job: SyncJob, failure: BaseException | None) -> StorageError | None:
        """See `nsqtx.storage.syncs.Syncing`."""
        volume = self._volume
        for segment, size, end in job.segments:
            if failure is None:
                segment.settle(size, end)
            self._handles.unpin(segment)
        self._slots.end_sync(failure is None)
        if failure is None:
            volume.counters.sync_times.add(self._now() - job.began)
            self._synced_end = max(self._synced_end, job.end)
            volume.succeeded()
            return None
        if isinstance(failure, StorageError):
            error = failure
        elif isinstance(failure, OSError):
            error = volume.refused("sync", job.path, failure)
        else:
            error = StorageError(f"sync {job.path}: {failure}")
        if self.closed:
            return error
        if self._directory.exists():
            self._directory.unsynced.update(job.directories)
            self._writer.touch()
        volume.report(str(error))
        if self.must_commit:
            self._cut()
        return error

    def _cut(self) -> None:
        """Forget all that is not on stable storage."""
        for segment in [s for s in self._segments.all if s.size > s.synced_size]:
            if segment is self._writer.active:
                self._writer.active = None
            if not segment.synced_size:
                self._segments.remove(segment)
                continue
            segment.cut()
            self._writer.cut_back(segment)
            self._segments.seal(segment)
        self._segments.bury()
        self._synced_end = self.end

    # Reading.

    def read(self, start: int, stop: int, size: int) -> tuple[list[bytes], int]:
        """See `nsqtx.interfaces.ITopicLog.read`."""
        return self._reader.read(start, min(stop, self.end), size)

    def fetch(self, positions: Sequence[int]) -> list[bytes | None]:
        """See `nsqtx.interfaces.ITopicLog.fetch`."""
        return self._reader.fetch(positions)

    def replay(self, start: int) -> Iterator[Batch]:
        """See `nsqtx.interfaces.ITopicLog.replay`."""
        return self._reader.replay(start)

    # Checkpoints, and what they make superfluous.

    def load(self) -> TopicState | None:
        """See `nsqtx.interfaces.ITopicLog.load`."""
        return self._slots.load()

    def save(self, state: TopicState) -> None:
        """See `nsqtx.interfaces.ITopicLog.save`."""
        if self.closed:
            raise StorageError("exiting")
        self._slots.save(state)
        self._writer.touch()

    def release(self, floor: int) -> None:
        """See `nsqtx.interfaces.ITopicLog.release`."""
        if self.must_commit:
            # What waits for a commit has been read by nobody.
            floor = min(floor, self._synced_end)
        self._unwritten.release(floor)
        segments = self._segments
        while segments.all and segments.all[0].end <= floor:
            segment = segments.all[0]
            if segment is self._writer.active:
                if not segment.size or (segment.size < _WORTH_DELETING and not self._volume.full):
                    break
                self._writer.active = None
            segments.remove(segment)
        segments.bury()

    # Time passes.

    def tick(self) -> bool:
        """See `nsqtx.interfaces.ITopicLog.tick`."""
        if self.closed:
            return False
        now = self._now()
        self._segments.bury()
        try:
            if self._unwritten.batches and self._is_over(self._unwritten_since, now):
                self._write_behind()
        finally:
            since = self._writer.dirty_since
            if since is not None and self._is_over(since, now):
                self._syncs.want(self)
        return (
            self._syncs.wanted
            or self._writer.dirty_since is not None
            or bool(self._unwritten.batches)
            or self._segments.burying
        )

    def _is_over(self, since: float, now: float) -> bool:
        """Whether the sync timeout has passed. A clock that was set back counts as well."""
        return not 0 <= now - since < self._sync_timeout

    def close(self) -> None:
        """See `nsqtx.interfaces.ITopicLog.close`."""
        if self.closed:
            return
        try:
            self._write_behind()
            # The last checkpoint of each of a thousand topics would take seconds. Without a promise
            # to keep it is left to the kernel: should power fail now, the one before counts.
            error = self._sync_now(checkpoint=self.must_commit)
            self._writer.seal()
        except StorageError as caught:
            error = caught
        self.failed = error is not None
        self._let_go(error)
        if error is not None:
            raise error

    def settle(self) -> None:
        """Write, sync and delete all that waits, now and on this thread, at any durability.

        :raises StorageError: the disk refused.
        """
        self._write_behind()
        error = self._sync_now(checkpoint=True)
        if error is not None:
            raise error
        while self._segments.burying and self._segments.bury():
            pass

    def _sync_now(self, checkpoint: bool) -> StorageError | None:
        """Sync all, that of a sync under way again, because nobody will wait for it."""
        running = self._syncs.job
        if running is not None:
            self._writer.dirty += [segment for segment, _, _ in running.segments]
            self._directory.unsynced.update(running.directories)
            self._slots.dirty = True
        if not checkpoint:
            self._slots.dirty = False
        if not (self._writer.dirty or self._directory.unsynced or self._slots.dirty):
            return None
        job = self.begin_sync()
        failure: OSError | StorageError | None = None
        try:
            job()
        except (OSError, StorageError) as caught:
            failure = caught
        return self.end_sync(job, failure)

    def discard(self) -> None:
        """Let go of everything: the topic is being deleted."""
        self._unwritten.drop_first(len(self._unwritten.batches))
        self._let_go(StorageError("exiting"))

    def _let_go(self, error: StorageError | None) -> None:
        self.closed = True
        self._segments.close()
        self._syncs.close(error)
