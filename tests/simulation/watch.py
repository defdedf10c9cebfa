"""Watches what nsqd does with messages, from inside, for the `History` of a simulation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from twisted.logger import LogEvent, LogLevel, globalLogPublisher

from nsqtx.broker import dead_letters
from nsqtx.broker.channel import Channel
from nsqtx.broker.subscription import Subscription
from nsqtx.broker.topic import Topic
from nsqtx.interfaces import StorageError
from nsqtx.storage.layout import decode_topic
from nsqtx.storage.store import Store
from tests.simulation.history import History
from tests.simulation.ledger import Place
from tests.simulation.nodes import NsqdNode
from tests.support.disk import Killed

__all__ = ["watch_disk", "watched"]


@contextmanager
def watched(history: History) -> Iterator[None]:
    """Watch all nsqd while the simulation runs, and what is logged as a bug."""
    world = history.world

    def place_of(channel: Channel | Topic) -> Place:
        assert world.working is not None
        if isinstance(channel, Topic):
            return Place(world.working.name, channel.name, "")
        return Place(world.working.name, channel.topic_name, channel.name)

    def deliver(original: Any, self: Subscription, records: list[bytes], now: int) -> None:
        assert world.working is not None
        channel = self.channel
        place = place_of(channel)
        if not self.subscriber.closed:  # type: ignore[attr-defined]  # a session
            offsets = world.working.offsets_since(world.now - 60.0)
            history.sent(place, records, now, offsets, channel.max_attempts)
        owners = list(channel.owners())
        for record in records:
            if any(record[18:34] in owner.in_flight for owner in owners):
                history.fail("S6", f"{place} {record[18:34]!r} is in flight twice")
        original(self, records, now)
        if len(self.in_flight) > self.ready:
            history.fail("S8", f"{place}: {len(self.in_flight)} in flight, RDY {self.ready}")

    def finish(original: Any, self: Subscription, ids: Sequence[bytes]) -> list[bytes]:
        records = [self.in_flight[id][0] for id in ids if id in self.in_flight]
        history.finished(place_of(self.channel), records)
        failed: list[bytes] = original(self, ids)
        return failed

    def finish_one(original: Any, self: Subscription, id: bytes) -> bool:
        entry = self.in_flight.get(id)
        if entry is not None:
            history.finished(place_of(self.channel), [entry[0]])
        done: bool = original(self, id)
        return done

    def requeue(original: Any, self: Subscription, id: bytes, delay: int) -> None:
        entry = self.in_flight.get(id)
        original(self, id, delay)
        if entry is not None:
            history.requeued(place_of(self.channel), entry[0], self.channel.now() + delay)

    def moved(
        original: Any, channel: Channel, frames: list[bytes], error: Exception | None
    ) -> None:
        if error is None and channel.dead_letters.moving is frames:
            history.buried(place_of(channel), frames)
        original(channel, frames, error)

    def pause(original: Any, self: Channel | Topic) -> None:
        original(self)
        history.paused(place_of(self), True)

    def unpause(original: Any, self: Channel | Topic) -> None:
        history.paused(place_of(self), False)
        original(self)

    def empty(original: Any, self: Channel) -> None:
        history.cleared(place_of(self), _ids(self), deleted=False)
        original(self)

    def delete(original: Any, self: Topic, name: str) -> None:
        channel = self.channels[name]
        history.cleared(place_of(channel), _ids(channel), deleted=True)
        original(self, name)

    def empty_topic(original: Any, self: Topic) -> None:
        if self.depth:
            history.topic_emptied(place_of(self), deleted=False)
        original(self)

    def delete_log(original: Any, self: Store, name: str) -> None:
        original(self, name)
        assert world.working is not None
        history.topic_emptied(Place(world.working.name, name, ""), deleted=True)

    def observe(event: LogEvent) -> None:
        failure = event.get("log_failure")
        # What an operator asked for and the disk refused is logged, too.
        asked = event.get("log_namespace") == "nsqtx.web.api"
        expected = failure and failure.check(Killed, *[StorageError] * asked)
        if event["log_level"] is LogLevel.critical and not expected:
            text = failure.getTraceback() if failure else event.get("log_format")
            history.fail("BUG", f"{event.get('log_namespace')}: {text}")

    patches: list[tuple[Any, str, Any]] = [
        (Subscription, "deliver", deliver),
        (Subscription, "finish", finish),
        (Subscription, "finish_one", finish_one),
        (Subscription, "requeue", requeue),
        (dead_letters, "_moved", moved),
        (Channel, "pause", pause),
        (Channel, "unpause", unpause),
        (Channel, "empty", empty),
        (Topic, "pause", pause),
        (Topic, "unpause", unpause),
        (Topic, "empty", empty_topic),
        (Topic, "delete_channel", delete),
        (Store, "delete", delete_log),
    ]
    with ExitStack() as stack:
        for owner, name, watch in patches:
            stack.enter_context(_patched(owner, name, watch))
        globalLogPublisher.addObserver(observe)  # type: ignore[arg-type]
        stack.callback(globalLogPublisher.removeObserver, observe)  # type: ignore[arg-type]
        yield


def _ids(channel: Channel) -> list[bytes]:
    """The messages in the window of a channel: nobody has seen them."""
    return [record[18:34] for record in channel.backlog.fresh]


@contextmanager
def _patched(owner: Any, name: str, watch: Callable[..., Any]) -> Iterator[None]:
    """Call ``watch`` with the original before its arguments instead."""
    original = getattr(owner, name)

    def watched(*args: Any, **kw: Any) -> Any:
        return watch(original, *args, **kw)

    setattr(owner, name, watched)
    try:
        yield
    finally:
        setattr(owner, name, original)


def watch_disk(node: NsqdNode, history: History) -> None:
    """See checkpoints as they are written, but not those that are only written again."""
    #: By the directory, which is another one when the topic was deleted and made anew.
    sequences: dict[str, tuple[object, bytes]] = {}

    def written(path: str) -> None:
        directory, _, name = path.rpartition("/")
        topic = decode_topic(directory.rpartition("/")[2])
        if name.startswith("checkpoint.") and topic is not None:
            sequence = node.disk.directory(directory), node.disk.bytes_of(path)[8:16]
            if any(sequence[1]) and sequences.get(topic) != sequence:
                sequences[topic] = sequence
                history.checkpoint(node.name, topic)

    node.disk.on_written = written
