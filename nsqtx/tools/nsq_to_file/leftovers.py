"""What is done at the start about files that a crash left unfinished.

They are known by their names, and by the lock that nobody holds on them any more. A torn member of
gzip is cut off: its messages were not finished and come again. With ``--work-dir`` such files are
moved to where finished ones belong, which the original never does.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator

from twisted.logger import Logger

from nsqtx.tools.nsq_to_file.filename import REVISION, FileName
from nsqtx.tools.nsq_to_file.members import END, is_ours, whole_size
from nsqtx.tools.nsq_to_file.moving import move
from nsqtx.tools.nsq_to_file.options import NsqToFileOptions

__all__ = ["recover"]

log = Logger(namespace="nsqtx.tools.nsq_to_file")


def recover(options: NsqToFileOptions, name: FileName, said: str) -> None:
    """Put right, and move, what a crash left of a topic. Blocks.

    What goes wrong is logged: it is no reason not to archive what comes.
    """
    if not (options.gzip or options.moves):
        return
    for path, stem, revision in _found(options.work_dir, name):
        try:
            _recover_one(options, path, stem, revision, said)
        except OSError as error:
            log.error(
                "{said}could not put {path} right: {error}", said=said, path=path, error=error
            )


def _found(directory: str, name: FileName) -> Iterator[tuple[str, str, int]]:
    """Files of this topic: path, name with the number taken out, number."""
    pattern = name.pattern()
    depth = name.at(0).count("/")
    for folder, folders, files in os.walk(directory):
        if os.path.relpath(folder, directory).count("/") + (folder != directory) >= depth:
            # Names do not lead deeper, and what lies there is not ours.
            folders.clear()
        for file in sorted(files):
            path = os.path.join(folder, file)
            match = pattern.fullmatch(os.path.relpath(path, directory))
            if match is not None:
                yield path, _stem(match), int(match[1]) if match.lastindex else 0


def _stem(match: re.Match[str]) -> str:
    """The name with `REVISION` where its number is."""
    stem = match[0]
    for group in range(match.lastindex or 0, 0, -1):
        start, end = match.span(group)
        stem = stem[: start - 1] + REVISION + stem[end:]
    return stem


def _recover_one(options: NsqToFileOptions, path: str, stem: str, revision: int, said: str) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            # Another process is writing to it.
            return
        if options.gzip:
            _finish_gzip(descriptor, path, said)
        if not options.moves:
            return
        if os.fstat(descriptor).st_size == 0:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
        final = move(path, options.output_dir, stem, revision)
        log.warn(
            "{said}moving {path}, which a crash left, to {final}",
            said=said,
            path=path,
            final=final,
        )
    finally:
        os.close(descriptor)


def _finish_gzip(descriptor: int, path: str, said: str) -> None:
    """Cut off a torn member, and end a file that was not closed."""
    size = os.fstat(descriptor).st_size
    if size >= len(END) and os.pread(descriptor, len(END), size - len(END)) == END:
        return
    if not is_ours(descriptor):
        # Of another program, which may still be writing to it.
        return
    whole = whole_size(descriptor)
    if whole < size:
        log.warn(
            "{said}cutting {count} bytes of a torn member off {path}; its messages come again",
            said=said,
            count=size - whole,
            path=path,
        )
        os.ftruncate(descriptor, whole)
    os.write(descriptor, END)
    os.fsync(descriptor)
