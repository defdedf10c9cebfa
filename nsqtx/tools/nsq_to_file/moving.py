"""Directories and finished files: made, synced, moved without writing over anything."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil

from nsqtx.tools.nsq_to_file.filename import with_revision

__all__ = ["make_directories", "move", "sync_directory"]


def sync_directory(path: str) -> None:
    """Make sure that a power cut does not take away the names in a directory.

    :raises OSError: it cannot be.
    """
    descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems cannot, and say so.
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def make_directories(path: str) -> None:
    """Make a directory and those it lies in, with mode 0770, where there are none.

    :raises OSError: it cannot be.
    """
    if not path or os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    make_directories(parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o770)
        sync_directory(parent)


def move(path: str, directory: str, stem: str, revision: int) -> str:
    """Move a file to a directory under its name, with the next number that is free; its new path.

    The name is made by a hard link, which never replaces another's. To another file system the
    file is copied first, beside where it belongs.

    :raises OSError: it stays where it is.
    """
    made = ""
    try:
        while True:
            final = os.path.join(directory, with_revision(stem, revision))
            make_directories(os.path.dirname(final))
            try:
                os.link(made or path, final)
                break
            except FileExistsError:
                if os.path.samefile(path, final):
                    # A crash came between the two names.
                    break
                if stem == with_revision(stem, 0):
                    raise
                revision += 1
            except OSError as error:
                if error.errno != errno.EXDEV or made:
                    raise
                made = _copied(path, final)
        sync_directory(os.path.dirname(final))
        os.unlink(path)
    finally:
        if made:
            os.unlink(made)
    return final


def _copied(path: str, final: str) -> str:
    """A copy of the file, in the directory of ``final``, where nobody takes it for finished."""
    directory, name = os.path.split(final)
    made = os.path.join(directory, f".{name}.{os.getpid()}.moving")
    try:
        shutil.copyfile(path, made)
        shutil.copystat(path, made)
        descriptor = os.open(made, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(made)
        raise
    return made
