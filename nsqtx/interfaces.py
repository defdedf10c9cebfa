"""The seams between the parts of nsqd.

``broker`` decides, ``storage`` keeps, ``nsqd`` connects both to sockets. They meet only through
what stands in this module, so each is tested with a plain fake of the other.

Vocabulary (``doc/glossary.md`` has all of it):

record
    A message as the very frame that goes to a consumer: ``bytes``. See `nsqtx.wire.frames`.
position
    The number of a message in its topic's log, an ``int`` below 2**54. Records of one topic have
    ascending positions, never used twice, with gaps where a crash or a purge left them.
batch
    What one publish call appended: records at consecutive positions, with one due time.
range
    A half-open interval of positions, ``(start, stop)``.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import attrs
from zope.interface import Attribute, Interface

__all__ = [
    "Batch",
    "ChannelState",
    "IFile",
    "IFiles",
    "IStore",
    "ISubscriber",
    "ITopicLog",
    "ITurns",
    "Pending",
    "PendingMessages",
    "StorageError",
    "TopicState",
]


class StorageError(Exception):
    """The disk refused. The text is for people: what was tried and what the system answered."""


@attrs.frozen
class Batch:
    """Records that were appended together.

    ``due`` is the absolute time, in nanoseconds since the epoch, before which none of them may be
    delivered; 0 for an ordinary batch. ``channel`` is the only channel that gets them, empty if
    all do. ``origin`` is where dead letters come from: ``topic/channel``.
    """

    first: int
    records: list[bytes]
    due: int = 0
    channel: str = ""
    origin: str = ""


class Pending(NamedTuple):
    """One message that a channel has taken but not finished.

    ``attempts`` is how often it was delivered so far; ``due`` as in `Batch`, 0 when it may be
    delivered at once.
    """

    position: int
    attempts: int
    due: int = 0


def _column(code: str) -> Callable[[], array[int]]:
    return lambda: array(code)


@attrs.define
class PendingMessages:
    """Many `Pending`, in columns: a channel may have a million of them to save, in no time.

    Columns are made of lists, and joined, at C speed. To go through it gives each `Pending`.
    """

    positions: array[int] = attrs.Factory(_column("Q"))
    attempts: array[int] = attrs.Factory(_column("I"))
    due: array[int] = attrs.Factory(_column("Q"))

    @classmethod
    def of(
        cls, positions: Sequence[int], attempts: Sequence[int], due: Sequence[int] | None = None
    ) -> PendingMessages:
        """Of columns of the same length; without ``due`` all of them may be delivered at once."""
        times = array("Q", bytes(8 * len(positions))) if due is None else array("Q", due)
        return cls(array("Q", positions), array("I", attempts), times)

    def extend(self, more: PendingMessages) -> None:
        """Add these at the end."""
        self.positions += more.positions
        self.attempts += more.attempts
        self.due += more.due

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[Pending]:
        return map(Pending, self.positions, self.attempts, self.due)


def _in_columns(messages: Iterable[Pending]) -> PendingMessages:
    if isinstance(messages, PendingMessages):
        return messages
    each = list(messages)
    return PendingMessages.of([m[0] for m in each], [m[1] for m in each], [m[2] for m in each])


@attrs.frozen
class ChannelState:
    """A channel as its topic's checkpoint keeps it.

    ``ranges`` are the parts of the log still to be read by this channel, ascending; ``ready`` is
    the number of records in them that are not deferred. ``max_attempts`` (None: not set) and
    ``dead_letter_topic`` (empty: not set) are as in `nsqtx.broker.dead_letters`.
    """

    name: str
    paused: bool
    ready: int
    ranges: list[tuple[int, int]]
    pending: PendingMessages = attrs.field(converter=_in_columns)
    max_attempts: int | None = None
    dead_letter_topic: str = ""


@attrs.frozen
class TopicState:
    """A topic as its checkpoint keeps it.

    ``end`` is the end of the log when the checkpoint was taken: recovery replays what was appended
    after it. ``held`` is what no channel has been given yet, in the form of a channel (its name is
    empty). ``clean`` is true only in the checkpoint of an orderly stop.
    """

    end: int
    paused: bool
    held: ChannelState
    channels: list[ChannelState]
    clean: bool = False


class ITurns(Interface):
    """A reactor whose turns have an end: after all that could be read now was read."""

    def at_turn_end(work: Callable[[], None]) -> None:
        """Call ``work`` once, before the reactor waits again. What it raises is logged."""


class ITopicLog(Interface):
    """The append-only log of one topic, and its checkpoint.

    Every method runs on the reactor's thread and is short. All of them may raise `StorageError`.
    """

    end: int = Attribute("The position after the last record: the next append starts here.")
    must_commit: bool = Attribute(
        "True when an append is only safe after `commit` (durability ``fsync``)."
    )

    def append(count: int, data: bytes, due: int = 0, channel: str = "", origin: str = "") -> None:
        """Write one batch at `end` and move `end` by ``count``; all or nothing.

        A batch with a ``channel`` or an ``origin`` is written at once at every durability.

        :param count: how many records ``data`` holds, at least 1.
        :param data: the records, one after the other.
        :param due: as in `Batch`, and so are ``channel`` and ``origin``: at most one of the two.
        :raises StorageError: nothing was kept, `end` is as before.
        """

    def commit(done: Callable[[StorageError | None], None]) -> None:
        """Call ``done`` once all that was appended so far is on stable storage.

        One fdatasync, off the reactor's thread, serves all who wait (group commit). On failure
        everything not yet committed is cut off the log again *before* the callbacks run with the
        error; the log goes on at later positions. Callbacks run on the reactor's thread, in the
        order of the calls, never from inside this method.
        """

    def read(start: int, stop: int, size: int) -> tuple[list[bytes], int]:
        """Read ahead: the ordinary records (not deferred, and for all channels) in
        ``[start, stop)``, in order.

        Returns the records and the position to go on from. It returns after about ``size`` bytes
        (always after at least one batch), at ``stop`` at the latest; damaged or deleted parts are
        passed over, counted and reported. An empty list with a position below ``stop`` is
        possible: call again.
        """

    def fetch(positions: Sequence[int]) -> list[bytes | None]:
        """Read single records of any batch. ``positions`` ascend. None: it is gone."""

    def load() -> TopicState | None:
        """The newest good checkpoint; None when there is none."""

    def replay(start: int) -> Iterator[Batch]:
        """Every batch with records at or after ``start``, in order, whole batches cut to that."""

    def save(state: TopicState) -> None:
        """Write a checkpoint, atomically: after a crash `load` gives this one or the one before."""

    def release(floor: int) -> None:
        """Nothing before ``floor`` will be read again: its segments may be deleted."""

    def tick() -> bool:
        """Write behind, sync, delete: whatever is due. Called about once a second from the time
        something was appended or saved until it returns False, which says that nothing is left."""

    def close() -> None:
        """Write what is waiting, sync, close. The log is not used afterwards."""


class IStore(Interface):
    """The data path: makes, finds and deletes the logs of topics."""

    def topics() -> list[str]:
        """The names of the topics that have a log here."""

    def open(topic: str) -> ITopicLog:
        """The log of a topic, made if missing. Not for ``#ephemeral`` names."""

    def delete(topic: str) -> None:
        """Close and delete the log of a topic. Its positions are never used again.

        :raises StorageError: the disk refused; the log is as it was.
        """


class ISubscriber(Interface):
    """What a channel delivers to: one consumer, usually a session on a TCP connection."""

    def deliver(data: bytes, count: int) -> None:
        """Send ``count`` records, joined. Must not call back into the channel."""

    def dropped() -> None:
        """The channel or its topic is gone: close the connection (no frame is sent)."""

    def stats(topic: str = "") -> dict[str, Any]:
        """This client in the form of ``/stats`` (nsqd-http section 8.1), keys in its order.

        ``pub_counts`` has the count of ``topic`` if it is given, else of any one topic.
        """


class IFile(Interface):
    """An open file of a data path. OSError from the system passes through all methods."""

    def write_at(data: bytes, offset: int) -> None:
        """Write all of ``data``."""

    def read_at(offset: int, size: int) -> bytes:
        """Read up to ``size`` bytes."""

    def size() -> int:
        """Length in bytes."""

    def truncate(size: int) -> None:
        """Cut or extend."""

    def linked() -> bool:
        """False when the file was deleted under us."""

    def datasync() -> None:
        """fdatasync. May take long: called from a thread."""

    def close() -> None:
        """Close."""


class IFiles(Interface):
    """The file system below a data path, so that tests can simulate a bad one.

    Paths are relative to the data path, with ``/``.
    """

    def open(path: str, create: bool = False) -> IFile:
        """Open for reading and writing. Never truncates. Parents are not made."""

    def read(path: str) -> bytes:
        """A whole file."""

    def listdir(path: str) -> list[str]:
        """Names in a directory."""

    def mkdir(path: str) -> None:
        """Make one directory; fine if it is there."""

    def rename(old: str, new: str) -> None:
        """Atomically, replacing ``new``."""

    def unlink(path: str) -> None:
        """Remove a file."""

    def rmdir(path: str) -> None:
        """Remove an empty directory."""

    def sync_directory(path: str) -> None:
        """fsync of a directory, after creating, renaming or deleting in it."""
