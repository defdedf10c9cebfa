"""The file that a topic's lines go to: opened, rotated, synced, closed (apps 2.5 to 2.7).

Everything here may block, so it runs in a thread, one call after the other. Lines are counted:
`Output.taken` were written, `Output.synced` of them are safe. What fails raises OSError, and then
all that was not safe is taken back, so that the file ends with what is; the lines have to be
written again.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Sequence

from twisted.logger import Logger

from nsqtx.durations import SECOND, format_duration
from nsqtx.tools.nsq_to_file.filename import FileName, with_revision
from nsqtx.tools.nsq_to_file.members import END, Member
from nsqtx.tools.nsq_to_file.moving import make_directories, move, sync_directory
from nsqtx.tools.nsq_to_file.options import NsqToFileOptions

__all__ = ["Output", "OutputError"]

log = Logger(namespace="nsqtx.tools.nsq_to_file")


class OutputError(OSError):
    """Lines could not be kept; the text says why, for the operator."""


class Output:
    """The present file of one topic, and the next ones.

    ``clock`` gives the time in seconds, ``said`` is what log lines begin with.
    """

    def __init__(
        self, options: NsqToFileOptions, name: FileName, said: str, clock: Callable[[], float]
    ) -> None:
        self._options = options
        self._name = name
        self._said = said
        self._clock = clock
        self._descriptor: int | None = None
        self._path = ""
        #: The name without its number, and the number.
        self._stem = ""
        self._revision = 0
        self._opened_at = 0.0
        #: Bytes in the file that are safe, and that are there at all.
        self._safe_size = self._size = 0
        #: The same for what counts for ``--rotate-size``: before compression.
        self._safe_weight = self._weight = 0
        self._member: Member | None = None
        #: Whether anybody else may write to the file as well.
        self._shared = False
        self.taken = 0
        self.synced = 0
        #: Finished files that are still in the work directory, with what they are to be called.
        self.unmoved: list[tuple[str, str, int]] = []

    def take(self, bodies: Sequence[bytes], sync: bool) -> None:
        """Write these lines, into a new file where that is due; a sync is due with one, too.

        :raises OutputError: not all of them were.
        """
        self._guarded(lambda: self._take(bodies, sync))

    def tick(self) -> None:
        """Begin a new file if it is due, which may only be seen now; sync.

        :raises OutputError: it cannot be.
        """
        self._guarded(self._tick)

    def close(self) -> None:
        """Sync and close the file, if one is open.

        :raises OutputError: it cannot be synced.
        """
        self._guarded(self._close)

    # -- one step ------------------------------------------------------------------------------

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except BaseException as error:
            self._take_back()
            if not isinstance(error, OSError):
                raise
            where = error.filename or self._path
            raise OutputError(error.errno, f"{where}: {os.strerror(error.errno or 0)}") from error

    def _take(self, bodies: Sequence[bytes], sync: bool) -> None:
        if not bodies:
            if sync:
                self._sync()
            return
        limit = self._options.rotate_size
        start = 0
        while start < len(bodies):
            if self._due():
                self._open()
                sync = True
            stop = len(bodies)
            if limit > 0:
                stop = self._up_to_limit(bodies, start, limit)
            self._write(bodies[start:stop])
            start = stop
        if sync:
            self._sync()

    def _up_to_limit(self, bodies: Sequence[bytes], start: int, limit: int) -> int:
        """Up to where lines still go into this file: one that exceeds the limit is the last."""
        weight = self._weight
        for index in range(start, len(bodies)):
            weight += len(bodies[index]) + 1
            if weight > limit:
                return index + 1
        return len(bodies)

    def _tick(self) -> None:
        if self._due():
            if self._options.skip_empty_files:
                self._close()
            else:
                self._open()
        self._sync()
        self._move_rest()

    def _write(self, bodies: Sequence[bytes]) -> None:
        data = b"\n".join(bodies) + b"\n"
        if self._options.gzip:
            if self._member is None:
                self._member = Member(self._options.gzip_level)
            self._member.write(data)
        else:
            self._append(data)
        self._weight += len(data)
        self.taken += len(bodies)

    def _append(self, data: bytes) -> None:
        assert self._descriptor is not None
        view = memoryview(data)
        while view:
            written = os.write(self._descriptor, view)
            self._size += written
            view = view[written:]

    def _sync(self, end: bytes = b"") -> None:
        """Make safe what was written. ``end`` is what a closed file ends with."""
        if self._descriptor is None:
            return
        pieces = [] if self._member is None else self._member.finish()
        self._member = None
        if pieces or end:
            # In one piece: see `members`.
            self._append(b"".join([*pieces, end]))
        if self._size != self._safe_size:
            os.fdatasync(self._descriptor)
            self._safe_size, self._safe_weight = self._size, self._weight
        self.synced = self.taken

    def _take_back(self) -> None:
        """Forget what is not safe. A file that cannot be put right is left, for the next one."""
        self.taken = self.synced
        self._member = None
        self._weight = self._safe_weight
        if self._descriptor is None or self._size == self._safe_size:
            return
        if self._shared:
            self._leave()
            return
        try:
            os.ftruncate(self._descriptor, self._safe_size)
            self._size = self._safe_size
        except OSError as error:
            log.error(
                "{said}leaving {path}: {error}", said=self._said, path=self._path, error=error
            )
            self._leave()

    # -- files ---------------------------------------------------------------------------------

    def _due(self) -> bool:
        """Whether it is time for another file."""
        if self._descriptor is None:
            return True
        now = self._clock()
        if self._name.at(now) != self._stem:
            log.info("{said}another file name is due, rotating...", said=self._said)
            return True
        options = self._options
        open_for = now - self._opened_at
        if 0 < options.rotate_interval < open_for * SECOND:
            since = format_duration(int(open_for * SECOND))
            log.info("{said}{since} since last open, rotating...", said=self._said, since=since)
            return True
        if 0 < options.rotate_size < self._weight:
            log.info(
                "{said}{path} currently {size} bytes (> {limit}), rotating...",
                said=self._said,
                path=self._path,
                size=self._weight,
                limit=options.rotate_size,
            )
            return True
        return False

    def _open(self) -> None:
        """Close the file, open the next."""
        self._close()
        now = self._clock()
        stem = self._name.at(now)
        self._revision = 0 if stem != self._stem else self._revision + 1
        self._stem = stem
        while not self._try_revision():
            self._revision += 1
        self._opened_at = now
        log.info("{said}opening {path}", said=self._said, path=self._path)

    def _try_revision(self) -> bool:
        """Open the file of this number, unless that one is not for us."""
        options = self._options
        name = with_revision(self._stem, self._revision)
        self._path = os.path.join(options.work_dir, name)
        if options.moves:
            final = os.path.join(options.output_dir, name)
            make_directories(os.path.dirname(final))
            if os.path.lexists(final):
                self._skip(final)
                return False
        make_directories(os.path.dirname(self._path))
        flags = (
            os.O_CREAT | os.O_APPEND | (os.O_EXCL | os.O_WRONLY if options.exclusive else os.O_RDWR)
        )
        try:
            descriptor = os.open(self._path, flags, 0o666)
        except FileExistsError:
            self._skip(self._path)
            return False
        try:
            return self._adopt(descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    def _adopt(self, descriptor: int) -> bool:
        """Whether this open file will do; if not it is closed."""
        options = self._options
        size = os.fstat(descriptor).st_size
        self._shared = not _locked(descriptor)
        taken_away = self._shared or not _is_at(descriptor, self._path)
        if (taken_away and options.numbered) or 0 < options.rotate_size < size:
            os.close(descriptor)
            return False
        sync_directory(os.path.dirname(self._path))
        if size and not self._shared and os.pread(descriptor, 1, size - 1) != b"\n":
            # What a kill left of a line must not become the start of another.
            size += os.write(descriptor, b"\n")
        self._descriptor = descriptor
        self._size = self._safe_size = self._weight = self._safe_weight = size
        return True

    def _skip(self, path: str) -> None:
        log.warn("{said}there is a file {path}, the next one", said=self._said, path=path)

    def _close(self) -> None:
        if self._descriptor is None:
            return
        self._sync(END if self._options.gzip else b"")
        self._leave()
        if self._options.moves:
            self.unmoved.append((self._path, self._stem, self._revision))
            self._move_rest()

    def _leave(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        self._member = None
        if descriptor is not None:
            os.close(descriptor)

    def _move_rest(self) -> None:
        """Move finished files to where they belong. One that stays is tried again at a tick."""
        waiting, self.unmoved = self.unmoved, []
        for path, stem, revision in waiting:
            try:
                final = move(path, self._options.output_dir, stem, revision)
            except FileNotFoundError:
                log.error("{said}{path} is gone", said=self._said, path=path)
            except OSError as error:
                self.unmoved.append((path, stem, revision))
                log.error(
                    "{said}could not move {path}: {error}", said=self._said, path=path, error=error
                )
            else:
                log.info(
                    "{said}moving finished file {path} to {final}",
                    said=self._said,
                    path=path,
                    final=final,
                )


def _is_at(descriptor: int, path: str) -> bool:
    """Whether a file is still there: before it was locked, another process may have found it, and
    taken it for one that a crash left."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _locked(descriptor: int) -> bool:
    """Lock a file for as long as it is open, which tells others that it is in use."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # A file system without locks: nobody can be told, so nobody else is assumed either.
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True
