"""One nsqd per data path: an exclusive lock on the directory itself (engine section 7.2)."""

from __future__ import annotations

import errno
import fcntl
import os

from nsqtx.storage.volume import error_text

__all__ = ["DirectoryLock", "LockError"]


class LockError(Exception):
    """The directory cannot be locked. The text is the one NSQ's operators know."""


class DirectoryLock:
    """Holds the lock from `acquire` to `release`, or to the end of the process."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        :raises LockError: there is no such directory, or someone else has it.
        """
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise LockError(
                f"failed to lock data-path: open {self.path}: {error_text(error)}"
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            held = error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)
            hint = " (possibly in use by another instance of nsqd)" if held else ""
            raise LockError(
                f"failed to lock data-path: cannot flock directory {self.path} - "
                f"{error_text(error)}{hint}"
            ) from error
        self._fd = fd

    def release(self) -> None:
        """Let go; fine when it is not held."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
