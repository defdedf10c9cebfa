"""The lock on the data path."""

from __future__ import annotations

from pathlib import Path

import pytest

from nsqtx.storage.dirlock import DirectoryLock, LockError


def test_one_at_a_time(tmp_path: Path) -> None:
    """A second lock on the same directory is refused until the first is let go."""
    first, second = DirectoryLock(str(tmp_path)), DirectoryLock(str(tmp_path))
    first.acquire()
    with pytest.raises(LockError) as caught:
        second.acquire()
    assert str(caught.value) == (
        f"failed to lock data-path: cannot flock directory {tmp_path} - resource temporarily "
        "unavailable (possibly in use by another instance of nsqd)"
    )
    first.release()
    second.acquire()
    second.release()
    second.release()


def test_no_directory(tmp_path: Path) -> None:
    """A data path that does not exist, or is a file, cannot be locked."""
    with pytest.raises(LockError) as caught:
        DirectoryLock(f"{tmp_path}/none").acquire()
    assert str(caught.value) == (
        f"failed to lock data-path: open {tmp_path}/none: no such file or directory"
    )
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LockError, match="not a directory"):
        DirectoryLock(f"{tmp_path}/file").acquire()
