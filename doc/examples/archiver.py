"""A batch archiver: writes every message of a topic to a file, and finishes it when it is on disk.

    python doc/examples/archiver.py --nsqd 127.0.0.1:4150 orders orders.log

An fsync costs as much for five hundred messages as for one. So messages are collected: until there
are 500, or for a second, or until nsqd gives no more before it gets answers. If writing fails, all
of a batch come again; after a crash, lines that were written then are there twice.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.task import react
from twisted.internet.threads import deferToThread
from twisted.logger import globalLogBeginner, textFileLogObserver

from nsqtx.client import Batches, Message, Reader, ReaderConfig


class Archive:
    """A file that messages are added to, each a line."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._lock = DeferredLock()

    async def store(self, messages: list[Message]) -> None:
        """Write a batch, and wait until it is on disk; in a thread, since that may take long."""
        lines = b"".join(message.body + b"\n" for message in messages)
        await self._lock.run(deferToThread, self._write, lines)

    def _write(self, lines: bytes) -> None:
        size = os.fstat(self._file.fileno()).st_size
        left = memoryview(lines)
        try:
            while left:
                left = left[self._file.write(left) :]
            os.fsync(self._file.fileno())
        except OSError:
            # A disk that is full takes a part, which must not become the start of another line.
            self._file.truncate(size)
            raise


async def archive(reactor: Any, options: argparse.Namespace) -> None:
    reader = Reader(
        options.topic,
        "archive",
        Batches(Archive(options.file).store, size=500, linger=1.0),
        reactor=reactor,
        nsqd_tcp_addresses=options.nsqd,
        lookupd_http_addresses=options.lookupd,
        # Two batches: one is being written while the next is collected.
        config=ReaderConfig(max_in_flight=1000, max_attempts=0),
    )
    reader.startService()
    reactor.addSystemEventTrigger("before", "shutdown", reader.stopService)
    await Deferred()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Archives a topic.")
    parser.add_argument("--nsqd", action="append", default=[], help="host:port")
    parser.add_argument("--lookupd", action="append", default=[], help="host:port of its HTTP")
    parser.add_argument("topic")
    parser.add_argument("file", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    react(lambda reactor: Deferred.fromCoroutine(archive(reactor, parse())))
