"""What all logs of a store share: the disk, the clock, the settings, the figures."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping

import attrs

from nsqtx.histogram import Histogram
from nsqtx.interfaces import IFiles, StorageError

__all__ = ["DURABILITIES", "Counters", "InThread", "Settings", "Volume", "error_text"]

#: When OK is said: before the write, after write(2), after fdatasync.
DURABILITIES = ("memory", "os", "fsync")

#: Runs its first argument in a thread, then its second on the reactor's thread, with the exception
#: or None. Never calls the second before it returns.
InThread = Callable[[Callable[[], None], Callable[[BaseException | None], None]], None]


def error_text(error: OSError) -> str:
    """What the system answered, spelled as the original does: ``no space left on device``."""
    text = os.strerror(error.errno) if error.errno else str(error)
    return text[:1].lower() + text[1:]


@attrs.frozen
class Settings:
    """The options of nsqd that are about storage (engine section 14).

    ``sync_timeout`` is in seconds, ``segment_size`` (``--max-bytes-per-file``) in bytes.
    ``topic_durability`` overrides ``durability`` for single topics. ``open_files`` is how many
    segments may be open at a time; with more topics in use, files are opened for each publish.
    """

    durability: str = attrs.field(default="os", validator=attrs.validators.in_(DURABILITIES))
    segment_size: int = 104857600
    sync_every: int = 2500
    sync_timeout: float = 2.0
    mem_queue_size: int = 10000
    open_files: int = 512
    topic_durability: Mapping[str, str] = attrs.field(
        factory=dict,
        validator=attrs.validators.deep_mapping(
            attrs.validators.instance_of(str), attrs.validators.in_(DURABILITIES)
        ),
    )


#: Buckets of the times, in seconds.
TIME_BOUNDS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)


def _times() -> Histogram:
    return Histogram(TIME_BOUNDS)


@attrs.define
class Counters:
    """What the disk did since the start, for metrics.

    ``append_count`` counts batches, ``append_bytes`` their records. ``damage_count`` counts
    batches, or stretches of a segment without one, that were passed over. Times are in seconds:
    of good writes to logs, of good syncs (until the reactor heard of it) and of checkpoints.
    """

    append_count: int = 0
    append_bytes: int = 0
    read_bytes: int = 0
    damage_count: int = 0
    failure_count: int = 0
    write_times: Histogram = attrs.Factory(_times)
    sync_times: Histogram = attrs.Factory(_times)
    checkpoint_times: Histogram = attrs.Factory(_times)


@attrs.define(eq=False)
class Volume:
    """One data path.

    ``root`` is its path, for error texts only. ``report`` is told about damage and about failures
    that nobody waits for. ``random`` gives that many random bytes.
    """

    files: IFiles
    root: str
    settings: Settings
    in_thread: InThread
    now: Callable[[], float]
    report: Callable[[str], None]
    random: Callable[[int], bytes] = os.urandom
    counters: Counters = attrs.Factory(Counters)
    #: The text of the last failed write, None once one has succeeded after it.
    health: str | None = None
    #: The disk refused something for want of space, and has taken nothing since.
    full: bool = False

    def refused(self, action: str, path: str, error: OSError) -> StorageError:
        """The exception for a write that failed; from here on the store is not healthy."""
        text = self._text(action, path, error)
        self.health = text
        self.counters.failure_count += 1
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            self.full = True
        return StorageError(text)

    def unreadable(self, action: str, path: str, error: OSError) -> StorageError:
        """The exception for a read that failed. Health is about writes only (engine section 9)."""
        self.counters.failure_count += 1
        return StorageError(self._text(action, path, error))

    def damaged(self, text: str) -> None:
        """Something in a file is not as it was written."""
        self.counters.damage_count += 1
        self.report(text)

    def succeeded(self) -> None:
        """A write went well."""
        self.health = None
        self.full = False

    def mark(self) -> bytes:
        """Four random bytes, never zeros, which is what a hole in a file reads as."""
        while True:
            mark = self.random(4)
            if any(mark):
                return mark

    def _text(self, action: str, path: str, error: OSError) -> str:
        return f"{action} {os.path.join(self.root, path)}: {error_text(error)}"
