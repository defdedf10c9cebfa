"""The segments of one topic, in order."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from operator import attrgetter

from nsqtx.storage.batches import Row
from nsqtx.storage.directory import TopicDirectory
from nsqtx.storage.handles import Handles
from nsqtx.storage.index import INDEX_HEADER_SIZE, SparseIndex
from nsqtx.storage.layout import log_of_index, segment_name
from nsqtx.storage.segment import Segment

__all__ = ["Segments"]

#: How many segments are deleted in one go. Deleting a large file takes the file system a while.
_BURY = 8

_first = attrgetter("first")


def _deleted(segment: Segment) -> str:
    return (
        f"{segment.path}: deleted by somebody, messages {segment.first} to {segment.end - 1}"
        " are lost"
    )


class Segments:
    """Finds, makes, reads and deletes the segments of the topic in ``directory``."""

    def __init__(self, directory: TopicDirectory, handles: Handles) -> None:
        self._directory = directory
        self._volume = directory.volume
        self._handles = handles
        #: All of them, ascending.
        self.all: list[Segment] = []
        #: Not needed any more, still to be deleted.
        self._doomed: deque[Segment] = deque()

    # Start.

    def open(self) -> None:
        """Find what is on disk, reading those segments that have no good index.

        :raises StorageError: something cannot be read, other than for damage.
        """
        files = self._volume.files
        try:
            names = files.listdir(self._directory.path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._volume.unreadable("open", self._directory.path, error) from error
        for name in names:
            segment = Segment.named(self._directory.path, name, self._volume.damaged)
            if segment is None:
                continue
            try:
                if not self._adopt(segment):
                    self._scan(segment)
            except OSError as error:
                raise self._volume.unreadable("read", segment.path, error) from error
        self._miss(set(names))
        self.all.sort(key=lambda segment: (segment.first, segment.end))

    @property
    def newest(self) -> Segment | None:
        """The one that may go on growing after a clean stop.

        None before a segment that is to be deleted: a disk that reads wrong makes one look empty,
        and should it be there once more, what is appended now would come before what is in it.
        """
        if not self.all or any(doomed.first > self.all[-1].first for doomed in self._doomed):
            return None
        return self.all[-1]

    def _miss(self, names: set[str]) -> None:
        """Report segments of which only the index is left. We delete that one first."""
        for name in sorted(names):
            log_name = log_of_index(name)
            if log_name is None or log_name in names:
                continue
            segment = Segment.named(self._directory.path, log_name, self._volume.damaged)
            assert segment is not None
            try:
                if self._read_index(segment) and segment.size:
                    self._volume.damaged(_deleted(segment))
            except OSError as error:
                raise self._volume.unreadable("read", segment.index_path, error) from error
            self._doomed.append(segment)

    def _adopt(self, segment: Segment) -> bool:
        """Take what the index of a complete segment says. False: it has no good one."""
        adopted = self._read_index(segment)
        if adopted and segment.size:
            self.all.append(segment)
        elif adopted:
            # Begun for a write that failed. Another may begin at the same position.
            self._doomed.append(segment)
        return adopted

    def _read_index(self, segment: Segment) -> bool:
        try:
            file = self._volume.files.open(segment.index_path)
        except FileNotFoundError:
            return False
        try:
            return segment.adopt(file.read_at(0, INDEX_HEADER_SIZE))
        finally:
            file.close()

    def _scan(self, segment: Segment) -> None:
        """Find out by reading; then nothing is ever appended to it."""
        file = self._volume.files.open(segment.path)
        try:
            size = file.size()
            segment.scan(file)
        finally:
            file.close()
        if not size:
            self._doomed.append(segment)  # a crash came between making it and the first write
            return
        if size > segment.size:
            self._volume.report(
                f"{segment.path}: {size - segment.size} bytes at its end are not a whole batch"
            )
        self.all.append(segment)
        self.seal(segment)

    # Growing.

    def begin(self, first: int) -> Segment:
        """Make the next segment.

        :raises StorageError: the disk refused.
        """
        if self.all and self.all[-1].first == first and not self.all[-1].size:
            # Begun for a write that failed. Two that begin at the same position could not be told
            # apart by it.
            self.remove(self.all[-1])
        mark = self._volume.mark()
        path = f"{self._directory.path}/{segment_name(first, mark)}"
        segment = Segment(path, first, mark, self._volume.damaged)
        try:
            file = self._directory.create(path)
        except OSError as error:
            raise self._volume.refused("open", path, error) from error
        self._directory.unsynced.add(self._directory.path)
        segment.began()
        self._handles.add(segment, file)
        self.all.append(segment)
        return segment

    def resume(self, segment: Segment) -> bool:
        """Make a complete segment grow again. False: better begin another one."""
        if segment.gone:
            return False
        try:
            file = self._handles.get(segment)
            if file.size() != segment.size:
                return False
            self._index(segment)
            # First, because an index that is too short would hide what is appended.
            self._volume.files.unlink(segment.index_path)
        except OSError:
            return False
        self._directory.unsynced.add(self._directory.path)
        segment.sealed = False
        return True

    def seal(self, segment: Segment) -> None:
        """Mark a segment as complete. Its index is only a short cut, so it may fail to be kept."""
        data = segment.index_data()
        segment.sealed = True
        if data is None:
            return
        try:
            file = self._volume.files.open(segment.index_path, create=True)
            try:
                file.write_at(data, 0)
            finally:
                file.close()
        except OSError as error:
            self._volume.counters.failure_count += 1
            self._volume.report(str(self._volume.unreadable("write", segment.index_path, error)))

    # Reading.

    def locate(self, position: int) -> tuple[Segment, int] | None:
        """The segment with the first record at or after ``position``, and an offset before it.

        None when there is no such segment.

        :raises StorageError: the index cannot be read.
        """
        at = max(0, bisect_right(self.all, position, key=_first) - 1)
        while at < len(self.all):
            segment = self.all[at]
            if segment.end <= position:
                at += 1
                continue
            if position <= segment.first:
                return segment, 0
            try:
                return segment, self._index(segment).locate(position)
            except FileNotFoundError as error:
                self._lost(segment, error)
            except OSError as error:
                raise self._volume.unreadable("read", segment.path, error) from error
        return None

    def _index(self, segment: Segment) -> SparseIndex:
        def read() -> bytes:
            try:
                return self._volume.files.read(segment.index_path)
            except FileNotFoundError:
                return b""

        return segment.index(self._handles.get(segment), read)

    def following(self, segment: Segment) -> Segment | None:
        """The segment after that one."""
        at = bisect_right(self.all, segment.first, key=_first)
        return self.all[at] if at < len(self.all) else None

    def batches(self, segment: Segment, offset: int, size: int) -> tuple[list[Row], int]:
        """See `Segment.batches`; a segment that was deleted under us is as if it were empty.

        :raises StorageError: it cannot be read.
        """
        try:
            file = segment.file or self._handles.get(segment)
            segment.used = True
            rows, after = segment.batches(file, offset, size)
        except FileNotFoundError as error:
            self._lost(segment, error)
            return [], segment.size
        except OSError as error:
            raise self._volume.unreadable("read", segment.path, error) from error
        self._volume.counters.read_bytes += after - offset
        return rows, after

    def _lost(self, segment: Segment, error: OSError) -> None:
        """The file of a segment is gone. When all of the directory is, it may come back."""
        if not self._directory.exists():
            raise self._volume.unreadable("open", segment.path, error) from error
        self._volume.damaged(_deleted(segment))
        self.all.remove(segment)
        self._handles.drop(segment)

    # Deleting.

    def remove(self, segment: Segment) -> None:
        """Take a segment away; its file goes with the next `bury`."""
        self.all.remove(segment)
        self._handles.drop(segment)
        self._doomed.append(segment)

    @property
    def burying(self) -> bool:
        """Whether there are files left to delete."""
        return bool(self._doomed)

    def bury(self) -> bool:
        """Delete some of the files that are not needed. False: one failed, try again later."""
        for _ in range(min(_BURY, len(self._doomed))):
            segment = self._doomed.popleft()
            for path in (segment.index_path, segment.path):
                try:
                    self._volume.files.unlink(path)
                except FileNotFoundError:
                    pass
                except OSError as error:
                    self._volume.report(str(self._volume.unreadable("unlink", path, error)))
                    self._doomed.append(segment)
                    return False
        return True

    def close(self) -> None:
        """Let go of all files."""
        for segment in self.all:
            self._handles.drop(segment)
