"""What nsqd takes from the machine that it runs on, beside the reactor."""

from __future__ import annotations

import socket
from collections.abc import Callable
from random import Random, SystemRandom
from typing import Protocol

import attrs

from nsqtx.descriptors import Descriptors
from nsqtx.interfaces import IFiles
from nsqtx.storage.dirlock import DirectoryLock
from nsqtx.storage.files import DiskFiles

__all__ = ["Lock", "Machine"]


class Lock(Protocol):
    """The lock on a data path; see `nsqtx.storage.dirlock.DirectoryLock`."""

    path: str

    def acquire(self) -> None:
        """Take it.

        :raises LockError: that is not possible.
        """

    def release(self) -> None:
        """Let go; fine when it is not held."""


@attrs.frozen
class Machine:
    """The real one, unless it is told otherwise: tests simulate one.

    ``lock`` and ``files`` are given the data path. ``random`` is what pauses and marks come from.
    """

    hostname: str = attrs.Factory(socket.gethostname)
    lock: Callable[[str], Lock] = DirectoryLock
    files: Callable[[str], IFiles] = DiskFiles
    random: Random = attrs.Factory(SystemRandom)
    descriptors: Descriptors = attrs.Factory(Descriptors)

    def open_segments(self) -> int:
        """How many segments may be open: a quarter of what the process may have, connections may
        take the rest."""
        limit = self.descriptors.limit()
        if limit < 0:
            return 16_384  # there is no limit
        return min(max(limit // 4, 16), 16_384)
