"""A simulated disk: everything a real one does to a storage engine, on purpose and repeatably."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from random import Random
from typing import NoReturn

import attrs
from zope.interface import implementer

from nsqtx.interfaces import IFile, IFiles

__all__ = ["Killed", "SimulatedDisk", "SimulatedFile"]

_SECTOR = 512


class Killed(BaseException):
    """The process ended here (`SimulatedDisk.operations_left`)."""


@attrs.define(eq=False)
class Inode:
    """A file: ``data`` is what a reader sees, ``stable`` what a power cut leaves at least.

    ``pending`` are the changes between them: an offset and bytes, or a new length and None.
    """

    data: bytearray = attrs.Factory(bytearray)
    stable: bytearray = attrs.Factory(bytearray)
    pending: list[tuple[int, bytes | None]] = attrs.Factory(list)
    links: int = 1


@attrs.define(eq=False)
class Directory:
    """Names; ``pending`` are the changes since the last fsync, each of one or two names."""

    entries: dict[str, Inode | Directory] = attrs.Factory(dict)
    stable: dict[str, Inode | Directory] = attrs.Factory(dict)
    pending: list[dict[str, Inode | Directory | None]] = attrs.Factory(list)

    def change(self, names: dict[str, Inode | Directory | None]) -> None:
        """Make or remove names, together."""
        _rename(self.entries, names)
        self.pending.append(names)


def _rename(
    entries: dict[str, Inode | Directory], names: dict[str, Inode | Directory | None]
) -> None:
    for name, node in names.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


def _apply(data: bytearray, offset: int, change: bytes | None) -> None:
    """Make one change of a file's contents."""
    size = offset if change is None else offset + len(change)
    if len(data) < size:
        data.extend(bytes(size - len(data)))
    if change is None:
        del data[size:]
    else:
        data[offset:size] = change


@implementer(IFile)
@attrs.define(eq=False)
class SimulatedFile:
    """An open file of a `SimulatedDisk`."""

    disk: SimulatedDisk
    path: str
    inode: Inode
    closed: bool = False

    def _operation(self, name: str, changes: bool = False) -> None:
        assert not self.closed, f"{name} on the closed {self.path}"
        self.disk.operation(name, self.path, changes)

    def write_at(self, data: bytes, offset: int) -> None:
        """Write; a full disk takes a part, and so does one on which the process is killed."""
        try:
            self._operation("write_at", changes=True)
        except Killed:
            if self.disk.tear:
                self._write(data[: int(len(data) * self.disk.tear)], offset)
            raise
        room = self.disk.room()
        growth = offset + len(data) - len(self.inode.data)
        if room is not None and growth > room:
            self._write(data[: max(0, len(data) - (growth - room))], offset)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._write(data, offset)
        self.disk.on_written(self.path)

    def _write(self, data: bytes, offset: int) -> None:
        if data:
            _apply(self.inode.data, offset, data)
            self.inode.pending.append((offset, bytes(data)))

    def read_at(self, offset: int, size: int) -> bytes:
        """Read what the file has now."""
        self._operation("read_at")
        data = bytes(self.inode.data[offset : offset + size])
        return self.disk.on_read(self.path, data)

    def size(self) -> int:
        """Length in bytes."""
        self._operation("size")
        return len(self.inode.data)

    def truncate(self, size: int) -> None:
        """Cut or extend."""
        self._operation("truncate", changes=True)
        _apply(self.inode.data, size, None)
        self.inode.pending.append((size, None))

    def linked(self) -> bool:
        """False when the file was deleted."""
        return self.inode.links > 0

    def datasync(self) -> None:
        """Make the file stable. When it fails, the changes are forgotten, as Linux does it."""
        pending = self.inode.pending
        try:
            self._operation("datasync", changes=True)
        except OSError:
            pending.clear()
            raise
        for offset, change in pending:
            _apply(self.inode.stable, offset, change)
        pending.clear()

    def close(self) -> None:
        """Close; never a problem here, also after a kill."""
        self.closed = True
        self.disk.open_files -= 1


@implementer(IFiles)
class SimulatedDisk:
    """A file system in memory.

    ``capacity`` is in bytes. ``failures`` maps an operation, or an operation and a path such as
    ``"datasync nsqd.topics/t"`` (a part of the path is enough), to the error number it fails with.
    ``operations_left`` changes are made before the process is killed; of the write that is hit,
    the share ``tear`` is still made.
    """

    def __init__(self, capacity: int | None = None) -> None:
        self.root: Directory | None = Directory()
        self.capacity = capacity
        self.failures: dict[str, int] = {}
        self.operations_left: int | None = None
        self.tear = 0.0
        self.operations = 0
        self.open_files = 0
        #: Told when the process is killed, and of every good write; may change what is read.
        self.on_kill: Callable[[], None] = lambda: None
        self.on_written: Callable[[str], None] = lambda path: None
        self.on_read: Callable[[str, bytes], bytes] = lambda path, data: data
        #: Every operation that changes something, for tests that want to see the order.
        self.trace: list[tuple[str, str]] = []

    # What a disk does by itself.

    def operation(self, name: str, path: str, changes: bool = False) -> None:
        """Count an operation, and let it fail if it has to."""
        if changes:
            if self.operations_left is not None:
                if self.operations_left == 0:
                    self._kill()
                self.operations_left -= 1
            self.operations += 1
            self.trace.append((name, path))
        elif self.operations_left == 0:
            self._kill()
        for wanted, number in self.failures.items():
            operation, _, part = wanted.partition(" ")
            if operation == name and part in path:
                raise OSError(number, os.strerror(number))

    def _kill(self) -> NoReturn:
        self.on_kill()
        raise Killed

    def used(self) -> int:
        """Bytes in all files."""
        return sum(len(inode.data) for inode in _inodes(self.root)) if self.root else 0

    def room(self) -> int | None:
        """Bytes free, None on a disk without end."""
        return None if self.capacity is None else max(0, self.capacity - self.used())

    def restart(self) -> None:
        """The process was killed and is started again: all that was written is there."""
        self.operations_left = None
        self.open_files = 0

    def power_cut(self, random: Random | None = None) -> None:
        """Forget what was not synced: all of it, or by chance some sectors and names."""
        self.restart()
        if self.root is not None:
            _cut(self.root, random)

    def remove_everything(self) -> None:
        """Somebody deletes the data path."""
        if self.root is not None:
            for inode in _inodes(self.root):
                inode.links = 0
        self.root = None

    def make_again(self) -> None:
        """Somebody makes the data path again, empty."""
        self.root = Directory()

    # IFiles.

    def _directory(self, path: str) -> Directory:
        node: Inode | Directory | None = self.root
        for name in filter(None, path.split("/")):
            node = node.entries.get(name) if isinstance(node, Directory) else None
        if isinstance(node, Directory):
            return node
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def _node(self, path: str) -> tuple[Directory, str, Inode | Directory | None]:
        parent, _, name = path.rpartition("/")
        directory = self._directory(parent)
        return directory, name, directory.entries.get(name)

    def open(self, path: str, create: bool = False) -> IFile:
        """Open, and make if told to."""
        directory, name, node = self._node(path)
        if node is None and not create:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        self.operation("open", path, changes=node is None)
        if node is None:
            node = Inode()
            directory.change({name: node})
        assert isinstance(node, Inode)
        self.open_files += 1
        return SimulatedFile(self, path, node)

    def read(self, path: str) -> bytes:
        """A whole file."""
        node = self._node(path)[2]
        if not isinstance(node, Inode):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        self.operation("read", path)
        return self.on_read(path, bytes(node.data))

    def write(self, path: str, data: bytes) -> None:
        """Replace a file as if by another program, all stable at once. Not part of IFiles."""
        directory, name, node = self._node(path)
        if not isinstance(node, Inode):
            node = Inode()
            directory.entries[name] = directory.stable[name] = node
        node.data[:] = node.stable[:] = data
        node.pending.clear()

    def bytes_of(self, path: str) -> bytes:
        """What stands in a file, seen by nobody. Not part of IFiles."""
        node = self._node(path)[2]
        assert isinstance(node, Inode)
        return bytes(node.data)

    def directory(self, path: str) -> object:
        """Which directory that is, whatever becomes of its name. Not part of IFiles."""
        return self._directory(path)

    def listdir(self, path: str) -> list[str]:
        """Names in a directory."""
        self.operation("listdir", path)
        return list(self._directory(path).entries)

    def mkdir(self, path: str) -> None:
        """Make one directory; fine if it is there."""
        directory, name, node = self._node(path)
        if node is None:
            self.operation("mkdir", path, changes=True)
            directory.change({name: Directory()})

    def rename(self, old: str, new: str) -> None:
        """Within one directory."""
        directory, name, node = self._node(old)
        target, target_name, replaced = self._node(new)
        assert directory is target
        if node is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), old)
        self.operation("rename", old, changes=True)
        if isinstance(replaced, Inode):
            replaced.links -= 1
        directory.change({name: None, target_name: node})

    def unlink(self, path: str) -> None:
        """Remove a file."""
        directory, name, node = self._node(path)
        if not isinstance(node, Inode):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        self.operation("unlink", path, changes=True)
        node.links -= 1
        directory.change({name: None})

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        directory, name, node = self._node(path)
        assert isinstance(node, Directory)
        if node.entries:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
        self.operation("rmdir", path, changes=True)
        directory.change({name: None})

    def sync_directory(self, path: str) -> None:
        """Make the names in a directory stable."""
        directory = self._directory(path)
        self.operation("sync_directory", path, changes=True)
        directory.stable = dict(directory.entries)
        directory.pending.clear()


def _inodes(directory: Directory) -> list[Inode]:
    found = []
    for node in directory.entries.values():
        found += _inodes(node) if isinstance(node, Directory) else [node]
    return found


def _cut(directory: Directory, random: Random | None) -> None:
    """What is left of a directory after a power cut."""
    if random is not None:
        # A journal keeps the order of changes, so some first ones may have been made.
        for names in directory.pending[: random.randint(0, len(directory.pending))]:
            _rename(directory.stable, names)
    directory.entries = dict(directory.stable)
    directory.pending.clear()
    for node in directory.entries.values():
        if isinstance(node, Directory):
            _cut(node, random)
            continue
        share = random.choice((0.0, 0.5, 1.0)) if random else 0.0
        for offset, change in node.pending:
            if random is None:
                break
            if change is None:
                if random.random() < share:
                    _apply(node.stable, offset, None)
                continue
            for start in range(0, len(change), _SECTOR):
                if random.random() < share:
                    _apply(node.stable, offset + start, change[start : start + _SECTOR])
        node.data = bytearray(node.stable)
        node.pending.clear()
        node.links = 1
