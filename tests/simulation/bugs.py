"""Deliberate bugs: each a patch of nsqd at run time that the simulations must notice.

They show that the bench can fail. ``seed`` and ``profile`` name a simulation that notices;
``python -m tests.simulation --bug NAME`` looks for others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import attrs

from nsqtx.broker import broker as broker_module
from nsqtx.broker import channel as channel_module
from nsqtx.broker.broker import Broker
from nsqtx.broker.channel import Channel
from nsqtx.broker.commit import Commit
from nsqtx.broker.dead_letters import DeadLetters
from nsqtx.broker.returned import DeferredMessages
from nsqtx.broker.subscription import Subscription
from nsqtx.broker.topic import Topic
from nsqtx.interfaces import ChannelState, ITopicLog, PendingMessages, StorageError, TopicState
from nsqtx.nsqd.http import NsqdApi
from nsqtx.nsqd.lookup_peer import LookupPeer
from nsqtx.nsqd.session import Session
from nsqtx.storage.log import TopicLog
from nsqtx.storage.segment import Segment
from nsqtx.storage.store import Store
from nsqtx.storage.syncs import SyncJob, SyncLine
from nsqtx.storage.writer import LogWriter

__all__ = ["BUGS", "FOUND", "Bug"]


@attrs.frozen
class Bug:
    """What is patched, which promise that breaks, and a simulation that sees it."""

    name: str
    what: str
    promise: str
    profile: str
    seed: int
    owner: Any
    attribute: str
    #: Given the original, what takes its place.
    make: Callable[[Any], Any]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The bug is there while the context lasts."""
        original = vars(self.owner)[self.attribute]
        setattr(self.owner, self.attribute, self.make(original))
        try:
            yield
        finally:
            setattr(self.owner, self.attribute, original)


def _answer_first(original: Callable[..., None]) -> Callable[..., None]:
    def open_(self: TopicLog, clean: bool, high_water: int) -> None:
        original(self, clean, high_water)
        self._write_through = False

    return open_


def _no_sync(_: object) -> Callable[..., None]:
    return lambda self: None


def _deaf_to_failures(original: Callable[..., Any]) -> Callable[..., Any]:
    def end_sync(self: TopicLog, job: SyncJob, failure: BaseException | None) -> Any:
        return original(self, job, None)

    return end_sync


def _forget_pending(original: Callable[..., ChannelState]) -> Callable[..., ChannelState]:
    def state(self: Channel) -> ChannelState:
        found = original(self)
        return attrs.evolve(found, pending=list(found.pending)[1:])

    return state


def _others_are_forgotten(_: object) -> Callable[..., None]:
    def finish(self: SyncLine, done: Callable[..., None], failure: BaseException | None) -> None:
        self._running -= 1
        done(failure)

    return finish


def _early(original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, now, limit: original(self, now + 400_000_000, limit)


def _one_byte_short(original: Callable[..., None]) -> Callable[..., None]:
    def scan(self: Segment, file: Any) -> None:
        original(self, file)
        if 0 < self.size < file.size():
            self.size -= 1

    return scan


def _one_over(original: Callable[..., int]) -> Callable[..., int]:
    def room(self: Subscription) -> int:
        found = original(self)
        return found + 1 if self.ready and not self.blocked else found

    return room


def _no_attempt(_: object) -> Callable[..., bytes]:
    return lambda record: record


def _no_checkpoints(original: Callable[..., None]) -> Callable[..., None]:
    def tick(self: Broker) -> None:
        self._dirty.clear()
        original(self)

    return tick


def _in_halves(original: Callable[..., Commit | None]) -> Callable[..., Commit | None]:
    def publish(self: Topic, bodies: list[bytes], due: int = 0) -> Commit | None:
        if len(bodies) > 1:
            original(self, bodies[:1], due)
            bodies = bodies[1:]
        return original(self, bodies, due)

    return publish


def _same_positions(original: Callable[..., None]) -> Callable[..., None]:
    def open_(self: TopicLog, clean: bool, high_water: int) -> None:
        original(self, clean, high_water)
        self.end = max((segment.end for segment in self._segments.all), default=self.end)

    return open_


def _refused_is_ok(original: Callable[..., None]) -> Callable[..., None]:
    def write(self: LogWriter, first: int, count: int, data: bytes, due: int) -> None:
        with suppress(StorageError):
            original(self, first, count, data, due)

    return write


def _never_times_out(_: object) -> Callable[..., list[bytes]]:
    return lambda self, now, limit: []


def _delete_too_much(_: object) -> Callable[..., int]:
    def floor(self: Topic, state: TopicState) -> int:
        return state.end

    return floor


def _replay_all(original: Callable[..., None]) -> Callable[..., None]:
    class Forgetful:
        """A log whose checkpoint seems to be from long ago."""

        def __init__(self, log: ITopicLog) -> None:
            self._log = log

        def __getattr__(self, name: str) -> Any:
            return getattr(self._log, name)

        def replay(self, start: int) -> Any:
            return self._log.replay(start - 5)

    def recover(topic: Topic, known_channels: Any = ()) -> None:
        log = topic.log
        topic.log = Forgetful(log)  # type: ignore[assignment,arg-type]
        try:
            original(topic, known_channels)
        finally:
            topic.log = log

    return recover


def _says_nothing(original: Callable[..., Any]) -> Callable[..., Any]:
    async def introduce(self: LookupPeer, connection: Any) -> None:
        everything, self._registrations = self._registrations, lambda: []
        try:
            await original(self, connection)
        finally:
            self._registrations = everything

    return introduce


def _pause_is_not_heard(original: Callable[..., None]) -> Callable[..., None]:
    def pump(self: Channel) -> None:
        paused, self.paused = self.paused, False
        try:
            original(self)
        finally:
            self.paused = paused

    return pump


def _holds_nothing(_: object) -> Any:
    return property(lambda self: not self.started or not self.channels)


def _pause_is_not_kept(_: object) -> Callable[..., None]:
    return lambda self, topic: None


def _empties_half(original: Callable[..., None]) -> Callable[..., None]:
    def empty(self: Channel) -> None:
        requeued = self.requeued.take_all()
        original(self)
        for _, position, attempts, record in requeued:
            self.put_again(position, max(0, attempts - 1), record)

    return empty


def _dead_letters_unnoted(_: object) -> Callable[..., PendingMessages]:
    return lambda self: PendingMessages()


def _dead_letters_forgotten(original: Callable[..., Any]) -> Callable[..., Any]:
    def adopt(self: Topic, messages: list[bytes], channel: str = "", origin: str = "") -> Any:
        return original(self, messages[:-1] or messages if origin else messages, channel, origin)

    return adopt


def _lost_on_the_way_back(_: object) -> Callable[..., None]:
    return lambda self, records: None


def _one_more_attempt(original: Callable[..., Any]) -> Callable[..., Any]:
    def queue(self: Channel, attempts: int) -> Any:
        return original(self, attempts - 1)

    return queue


def _any_stop_is_clean(original: Callable[..., None]) -> Callable[..., None]:
    return lambda self, orderly=True: original(self)


def _directories_unsynced(original: Callable[..., None]) -> Callable[..., None]:
    def start(self: Store) -> None:
        files: Any = self.volume.files
        files.sync_directory = lambda path: None
        try:
            original(self)
        finally:
            del files.sync_directory

    return start


def _unstable_start(_: object) -> Callable[..., None]:
    return lambda self: None


def _needs_topics(_: object) -> Any:
    return property(lambda self: bool(self.topics()))


def _talks_to_the_lost(original: Callable[..., None]) -> Callable[..., None]:
    def lost(self: Session) -> None:
        original(self)
        self.gone = False

    return lost


def _bug(what: str, promise: str, where: str, owner: Any, attribute: str, make: Any) -> Bug:
    """``where`` are profile and seed."""
    name = make.__name__.strip("_").replace("_", "-")
    profile, seed = where.split()
    return Bug(name, what, promise, profile, int(seed), owner, attribute, make)


BUGS = [
    _bug("OK is said before the write", "S2", "os 1", TopicLog, "_open", _answer_first),
    _bug("nothing is synced", "S1", "fsync 1", SyncJob, "__call__", _no_sync),
    _bug("a failed sync counts as good", "S1", "fsync 37", TopicLog, "end_sync", _deaf_to_failures),
    _bug(
        "who waits to sync is forgotten",
        "L1",
        "fsync 10",
        SyncLine,
        "_finish",
        _others_are_forgotten,
    ),
    _bug("the checkpoint forgets a message", "S2", "os 1", Channel, "state", _forget_pending),
    _bug("a message is due 0.4 s early", "S5", "os 0", DeferredMessages, "take_due", _early),
    _bug("a torn tail is cut one byte short", "S2", "os 27", Segment, "scan", _one_byte_short),
    _bug("one message more than RDY", "S8", "os 0", Subscription, "room", _one_over),
    _bug("attempts are not counted", "S6", "os 0", channel_module, "next_frame", _no_attempt),
    _bug("no checkpoints while nsqd runs", "S4", "os 35", Broker, "tick", _no_checkpoints),
    _bug("MPUB is two batches", "S7", "os 1", Topic, "publish", _in_halves),
    _bug("positions come twice", "S7", "power 2", TopicLog, "_open", _same_positions),
    _bug("a refused write is answered OK", "S2", "os 3", LogWriter, "write", _refused_is_ok),
    _bug("messages never time out", "L1", "os 0", Subscription, "expire", _never_times_out),
    _bug("segments go too early", "S2", "os 1", Topic, "_floor", _delete_too_much),
    _bug("the log is replayed from too early", "S4", "os 1", broker_module, "recover", _replay_all),
    _bug("nsqlookupd is told nothing", "L1", "os 0", LookupPeer, "_introduce", _says_nothing),
    _bug("a paused channel delivers", "PAUSE", "os 2", Channel, "pump", _pause_is_not_heard),
    _bug("a paused topic hands on", "PAUSE", "os 1", Topic, "holding", _holds_nothing),
    _bug("a pause is not written down", "PAUSE", "os 1", NsqdApi, "_keep", _pause_is_not_kept),
    _bug("a channel is not quite emptied", "S4", "os 51", Channel, "empty", _empties_half),
    _bug(
        "the checkpoint forgets dead letters",
        "S9",
        "os 16",
        DeadLetters,
        "pending",
        _dead_letters_unnoted,
    ),
    _bug("a dead letter is not moved", "S9", "os 3", Topic, "adopt", _dead_letters_forgotten),
    _bug(
        "what comes back is not delivered",
        "S9",
        "os 3",
        Channel,
        "receive_again",
        _lost_on_the_way_back,
    ),
    _bug("a message dies too late", "S9", "os 3", Channel, "_queue", _one_more_attempt),
]

#: What the simulations have found, as it was before: seen too seldom to be a test.
FOUND = [
    _bug("directories are not synced", "S1", "fsync 656", Store, "start", _directories_unsynced),
    _bug(
        "what was found is not synced", "S1", "fsync 189",
        TopicLog, "_make_stable", _unstable_start,
    ),
    _bug("an empty nsqd.dat ends the start", "L1", "power 13", Store, "used", _needs_topics),
    _bug("any stop counts as clean", "S7", "memory 668", Store, "close", _any_stop_is_clean),
    _bug("a lost client is answered", "BUG", "fsync 105", Session, "lost", _talks_to_the_lost),
]  # fmt: skip
