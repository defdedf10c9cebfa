"""A disk queue of an original nsqd: which of its messages are still to be delivered.

::

    t:c.diskqueue.meta.dat          depth, and where reading and writing are
    t:c.diskqueue.000003.dat        messages, from the place of reading on
    t:c.diskqueue.000004.dat
    t:c.diskqueue.000001.dat.bad    set aside by the original after a failure

What is read is more than the original reads (engine section 6.4). It stops where it stood when the
metadata was written; we go to the real end of every file. It ignores data without metadata, and
overwrites it; we read it from its beginning. So we do when the metadata cannot be true: it does not
parse, reading is ahead of writing, a file older than the one being read is still there, or reading
stands inside a message. Then what was consumed may come again, but nothing is missed.

Of a file set aside the original delivered what is before the failure, so that is passed over, and
what is behind it is read. A file without any failure was set aside by mistake, when the reader was
at its end (engine section 6.4, last row), and has nothing left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import attrs

from nsqtx.storage.queuefile import SMALLEST, QueueFile
from nsqtx.storage.volume import Volume

__all__ = ["DiskQueue", "QueueFiles"]

_METADATA = re.compile(rb"(-?\d+)\n(\d+),(\d+)\n(\d+),(\d+)\n?\Z")


@attrs.define
class QueueFiles:
    """The files of one disk queue, by name."""

    metadata: str | None = None
    #: By number.
    data: dict[int, str] = attrs.Factory(dict)
    bad: dict[int, str] = attrs.Factory(dict)
    #: Metadata that was being written.
    temporary: list[str] = attrs.Factory(list)

    def names(self) -> list[str]:
        """All of them."""
        metadata = [] if self.metadata is None else [self.metadata]
        return [*self.data.values(), *self.bad.values(), *metadata, *self.temporary]


class DiskQueue:
    """Reads one queue in a data path; changes nothing.

    ``max_msg_size`` is only used to see where the original failed in a file that it set aside.
    ``report`` is told of damage.
    """

    def __init__(
        self,
        volume: Volume,
        queue: QueueFiles,
        max_msg_size: int,
        report: Callable[[str], None],
    ) -> None:
        self._volume = volume
        self._queue = queue
        self._max_msg_size = max_msg_size
        self._report = report
        self._reading = ""

    def messages(self) -> Iterator[bytes]:
        """All messages still to be delivered, the oldest first, as they were stored.

        :raises StorageError: the disk refuses to read them. Damage is reported and passed over.
        """
        try:
            yield from self._messages()
        except OSError as error:
            raise self._volume.unreadable("read", self._reading, error) from error

    def _messages(self) -> Iterator[bytes]:
        queue = self._queue
        number, position = self._place()
        for each in sorted(queue.bad):
            yield from self._set_aside(queue.bad[each])
        for each in sorted(queue.data):
            if each >= number:
                yield from self._data(queue.data[each], position if each == number else 0)

    def _place(self) -> tuple[int, int]:
        """From which file on, and where in that, there is something to deliver."""
        queue = self._queue
        if queue.metadata is None:
            if queue.data:
                self._report(f"{min(queue.data.values())}: no metadata, it is read from its start")
            return 0, 0
        self._reading = queue.metadata
        match = _METADATA.match(self._volume.files.read(queue.metadata))
        if match is not None:
            read_file, read_at, write_file, write_at = (int(match[group]) for group in range(2, 6))
            ahead = (read_file, read_at) > (write_file, write_at)
            if not ahead and not any(number < read_file for number in queue.data):
                return read_file, read_at
        self._report(f"{queue.metadata}: cannot be true, the queue is read from its start")
        return 0, 0

    def _open(self, name: str) -> QueueFile:
        def damaged(start: int, stop: int) -> None:
            self._report(f"{name}: no message in bytes {start} to {stop}")

        self._reading = name
        return QueueFile(self._volume.files.open(name), damaged)

    def _data(self, name: str, start: int) -> Iterator[bytes]:
        with self._open(name) as file:
            if start < file.size and not file.starts(start) and not file.is_boundary(start):
                self._report(
                    f"{name}: no message begins at byte {start}, it is read from its start"
                )
                start = 0
            yield from file.messages(start)

    def _set_aside(self, name: str) -> Iterator[bytes]:
        with self._open(name) as file:
            yield from file.messages(file.first_failure(self._max_msg_size + SMALLEST))
