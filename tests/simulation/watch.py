"""Watches what nsqd does with messages, from inside, for the `History` of a simulation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from twisted.logger import LogEvent, LogLevel, globalLogPublisher

from nsqtx.broker.subscription import Subscription
from nsqtx.storage.layout import decode_topic
from tests.simulation.history import History, Place
from tests.simulation.nodes import NsqdNode
from tests.support.disk import Killed

__all__ = ["watch_disk", "watched"]


@contextmanager
def watched(history: History) -> Iterator[None]:
    """Watch all nsqd while the simulation runs, and what is logged as a bug."""
    world = history.world
    deliver, finish, requeue = Subscription.deliver, Subscription.finish, Subscription.requeue

    def place_of(subscription: Subscription) -> Place:
        assert world.working is not None
        channel = subscription.channel
        return Place(world.working.name, channel.topic_name, channel.name)

    def watched_deliver(self: Subscription, records: list[bytes], now: int) -> None:
        assert world.working is not None
        place = place_of(self)
        if not self.subscriber.closed:  # type: ignore[attr-defined]  # a session
            offsets = world.working.offsets_since(world.now - 60.0)
            history.sent(place, records, now, offsets)
        for record in records:
            if any(record[18:34] in owner.in_flight for owner in self.channel.owners()):
                history.fail("S6", f"{place} {record[18:34]!r} is in flight twice")
        deliver(self, records, now)
        if len(self.in_flight) > self.ready:
            history.fail("S8", f"{place}: {len(self.in_flight)} in flight, RDY {self.ready}")

    def watched_finish(self: Subscription, ids: Sequence[bytes]) -> list[bytes]:
        records = [self.in_flight[id][0] for id in ids if id in self.in_flight]
        history.finished(place_of(self), records)
        return finish(self, ids)

    def watched_requeue(self: Subscription, id: bytes, delay: int) -> None:
        entry = self.in_flight.get(id)
        requeue(self, id, delay)
        if entry is not None:
            history.requeued(place_of(self), entry[0], self.channel.now() + delay)

    def observe(event: LogEvent) -> None:
        failure = event.get("log_failure")
        if event["log_level"] is LogLevel.critical and not (failure and failure.check(Killed)):
            text = failure.getTraceback() if failure else event.get("log_format")
            history.fail("BUG", f"{event.get('log_namespace')}: {text}")

    patches: dict[str, Any] = {
        "deliver": watched_deliver,
        "finish": watched_finish,
        "requeue": watched_requeue,
    }
    for name, patch in patches.items():
        setattr(Subscription, name, patch)
    globalLogPublisher.addObserver(observe)  # type: ignore[arg-type]
    try:
        yield
    finally:
        globalLogPublisher.removeObserver(observe)  # type: ignore[arg-type]
        Subscription.deliver = deliver  # type: ignore[method-assign]
        Subscription.finish = finish  # type: ignore[method-assign]
        Subscription.requeue = requeue  # type: ignore[method-assign]


def watch_disk(node: NsqdNode, history: History) -> None:
    """See checkpoints as they are written, but not those that are only written again."""
    sequences: dict[str, bytes] = {}

    def written(path: str) -> None:
        directory, _, name = path.rpartition("/")
        topic = decode_topic(directory.rpartition("/")[2])
        if name.startswith("checkpoint.") and topic is not None:
            sequence = node.disk.bytes_of(path)[8:16]
            if any(sequence) and sequences.get(topic) != sequence:
                sequences[topic] = sequence
                history.checkpoint(node.name, topic)

    node.disk.on_written = written
