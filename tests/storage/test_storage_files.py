"""The real file system."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from zope.interface.verify import verifyObject

from nsqtx.interfaces import IFile, IFiles
from nsqtx.storage import files as files_module
from nsqtx.storage.files import DiskFile, DiskFiles


def test_interfaces(tmp_path: Path) -> None:
    """Both classes are what they say."""
    files = DiskFiles(str(tmp_path))
    assert verifyObject(IFiles, files)
    file = files.open("f", create=True)
    assert verifyObject(IFile, file)
    file.close()


def test_a_file(tmp_path: Path) -> None:
    """A file is written and read at offsets, measured, cut and noticed when deleted."""
    files = DiskFiles(str(tmp_path))
    file = files.open("f", create=True)
    file.write_at(b"hello", 3)
    assert file.read_at(0, 100) == b"\0\0\0hello"
    assert file.read_at(8, 5) == b""
    file.truncate(4)
    file.datasync()
    assert file.size() == 4
    assert file.linked()
    files.unlink("f")
    assert not file.linked()
    file.close()


def test_opening_never_truncates(tmp_path: Path) -> None:
    """What is in a file stays when it is opened again, with create too."""
    files = DiskFiles(str(tmp_path))
    (tmp_path / "f").write_bytes(b"data")
    files.open("f", create=True).close()
    assert files.read("f") == b"data"


def test_modes(tmp_path: Path) -> None:
    """Nobody else may read messages: files are 0600, directories 0700."""
    files = DiskFiles(str(tmp_path))
    files.mkdir("d")
    files.open("d/f", create=True).close()
    assert stat.S_IMODE(os.stat(tmp_path / "d").st_mode) == 0o700
    assert stat.S_IMODE(os.stat(tmp_path / "d/f").st_mode) == 0o600


def test_directories(tmp_path: Path) -> None:
    """Directories are made once, listed, renamed, synced and removed; parents are never made."""
    files = DiskFiles(str(tmp_path))
    files.mkdir("d")
    files.mkdir("d")
    files.rename("d", "e")
    files.sync_directory("")
    assert files.listdir("") == ["e"]
    files.rmdir("e")
    assert files.listdir("") == []
    with pytest.raises(FileNotFoundError):
        files.mkdir("x/y")
    with pytest.raises(FileNotFoundError):
        files.open("x/y", create=True)
    (tmp_path / "plain").write_bytes(b"")
    with pytest.raises(FileExistsError):
        files.mkdir("plain")


class _OneByteAtATime:
    """The system calls of a disk that takes and gives a single byte per call."""

    O_RDWR = os.O_RDWR

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        return os.pwrite(fd, data[:1], offset)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        return os.pread(fd, min(size, 1), offset)


def test_short_reads_and_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system does only a part, the rest is asked for again."""
    file = DiskFiles(str(tmp_path)).open("f", create=True)
    assert isinstance(file, DiskFile)
    with monkeypatch.context() as patched:
        patched.setattr(files_module, "os", _OneByteAtATime())
        file.write_at(b"hello", 2)
        assert file.read_at(2, 5) == b"hello"
        assert file.read_at(2, 9) == b"hello"
    file.close()


def test_a_full_disk_is_an_error() -> None:
    """A write that finds no room raises what the system says."""
    fd = os.open("/dev/full", os.O_RDWR)
    file = DiskFile(fd)
    with pytest.raises(OSError, match="No space left"):
        file.write_at(b"x", 0)
    file.close()
