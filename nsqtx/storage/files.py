"""The real file system below a data path."""

from __future__ import annotations

import os

import attrs
from zope.interface import implementer

from nsqtx.interfaces import IFile, IFiles

__all__ = ["DiskFile", "DiskFiles"]


@implementer(IFile)
@attrs.define(eq=False)
class DiskFile:
    """A file of the operating system, by its descriptor."""

    fd: int

    def write_at(self, data: bytes, offset: int) -> None:
        """Write all of ``data``."""
        written = os.pwrite(self.fd, data, offset)
        if written != len(data):
            # A disk that fills up takes a part first, and says why only when asked again.
            view = memoryview(data)
            while written < len(data):
                written += os.pwrite(self.fd, view[written:], offset + written)

    def read_at(self, offset: int, size: int) -> bytes:
        """Read up to ``size`` bytes; fewer only at the end of the file."""
        data = os.pread(self.fd, size, offset)
        if len(data) == size or not data:
            return data
        parts = [data]
        missing = size - len(data)
        while missing and data:
            data = os.pread(self.fd, missing, offset + size - missing)
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def size(self) -> int:
        """Length in bytes."""
        return os.fstat(self.fd).st_size

    def truncate(self, size: int) -> None:
        """Cut or extend."""
        os.ftruncate(self.fd, size)

    def linked(self) -> bool:
        """False when the file was deleted under us."""
        return os.fstat(self.fd).st_nlink > 0

    def datasync(self) -> None:
        """fdatasync where there is one, else fsync."""
        getattr(os, "fdatasync", os.fsync)(self.fd)

    def close(self) -> None:
        """Close."""
        os.close(self.fd)


@implementer(IFiles)
@attrs.define(eq=False)
class DiskFiles:
    """The directory ``root`` and what is below it. New files have mode 0600, as NSQ's have."""

    root: str

    def _path(self, path: str) -> str:
        return os.path.join(self.root, path)

    def open(self, path: str, create: bool = False) -> IFile:
        """Open for reading and writing. Never truncates. Parents are not made."""
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        return DiskFile(os.open(self._path(path), flags, 0o600))

    def read(self, path: str) -> bytes:
        """A whole file."""
        with open(self._path(path), "rb") as file:
            return file.read()

    def listdir(self, path: str) -> list[str]:
        """Names in a directory."""
        return os.listdir(self._path(path))

    def mkdir(self, path: str) -> None:
        """Make one directory, for our eyes only; fine if it is there."""
        try:
            os.mkdir(self._path(path), 0o700)
        except FileExistsError:
            if not os.path.isdir(self._path(path)):
                raise

    def rename(self, old: str, new: str) -> None:
        """Atomically, replacing ``new``."""
        os.rename(self._path(old), self._path(new))

    def unlink(self, path: str) -> None:
        """Remove a file."""
        os.unlink(self._path(path))

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        os.rmdir(self._path(path))

    def sync_directory(self, path: str) -> None:
        """fsync of a directory, after creating, renaming or deleting in it."""
        fd = os.open(self._path(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
