"""A channel: a cursor over its topic's log, and everybody who reads by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from nsqtx.broker.backlog import Backlog
from nsqtx.broker.dead_letters import DeadLetters
from nsqtx.broker.errors import Exiting, TooManyConsumers
from nsqtx.broker.locality import FAR, LocalCounts, Locality
from nsqtx.broker.quantile import LatencyWindow
from nsqtx.broker.returned import DeferredMessages, RequeuedMessages, next_frame
from nsqtx.broker.serving import serve
from nsqtx.broker.subscription import Subscription
from nsqtx.broker.takers import Takers
from nsqtx.histogram import Histogram
from nsqtx.interfaces import ChannelState, ISubscriber, PendingMessages
from nsqtx.wire.frames import attempts_of, id_of, timestamp_of
from nsqtx.wire.guid import position_of, positions_of
from nsqtx.wire.names import is_ephemeral

__all__ = ["LATENCY_BOUNDS", "Channel"]

#: Of so many messages finished in a row one is looked at for its latencies.
SAMPLE = 64
#: Buckets of the latencies, in nanoseconds: from a millisecond to an hour.
LATENCY_BOUNDS = tuple(
    milliseconds * 1_000_000
    for milliseconds in (
        1, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 60_000, 300_000, 3_600_000
    )
)  # fmt: skip


def _latencies() -> Histogram:
    return Histogram(LATENCY_BOUNDS)


@attrs.define(eq=False)
class Channel:
    """One copy of a topic's messages, shared out among its consumers.

    A message of a channel is in exactly one place: in the `backlog` (never sent), in flight with a
    subscription, `deferred` or `requeued`, on its way to the dead letters, or finished, which is no
    place at all.

    ``changed`` is called whenever the checkpoint is no longer true, ``wake`` when `scan` has
    something to look for, ``emptied`` when the last consumer leaves, ``failed`` with a text when
    the log cannot be read.
    """

    topic_name: str
    name: str
    backlog: Backlog
    requeued: RequeuedMessages
    now: Callable[[], int]
    changed: Callable[[], None]
    wake: Callable[[Channel], None]
    emptied: Callable[[Channel], None]
    failed: Callable[[str], None]
    dead_letters: DeadLetters
    latency: LatencyWindow | None = None
    deferred: DeferredMessages = attrs.Factory(DeferredMessages)
    paused: bool = False
    exiting: bool = False
    subscriptions: list[Subscription] = attrs.Factory(list)
    #: Consumers that are gone, with messages that wait for their deadline.
    departed: list[Subscription] = attrs.Factory(list)
    message_count: int = 0
    requeue_count: int = 0
    timeout_count: int = 0
    sent_count: int = 0
    #: From publish to FIN, and from the last delivery to FIN, in ns; see `note_latency`.
    end_to_end: Histogram = attrs.Factory(_latencies)
    processing: Histogram = attrs.Factory(_latencies)
    #: Messages finished that are not counted there yet, and how many of them are too many.
    unsampled: int = 0
    sample_at: int = 1
    #: Why the log could not be read when it was last tried.
    read_failure: str | None = None
    #: How often a message may be delivered; 0: any number of times.
    max_attempts: int = attrs.field(init=False)
    #: There once a consumer came whose distance matters (`nsqtx.broker.locality`).
    local: LocalCounts | None = None
    takers: Takers = attrs.Factory(Takers)
    _pumping: bool = False

    def __attrs_post_init__(self) -> None:
        self.max_attempts = self.dead_letters.limit

    @property
    def ephemeral(self) -> bool:
        """Whether the channel goes with its last consumer and is in no checkpoint."""
        return is_ephemeral(self.name)

    @property
    def depth(self) -> int:
        """Messages ready to be delivered, and those that wait to become dead letters."""
        return len(self.backlog) + len(self.requeued) + len(self.dead_letters)

    @property
    def backend_depth(self) -> int:
        """Those of them that are only in the log."""
        return self.backlog.behind + self.requeued.spilled + self.dead_letters.waiting.spilled

    @property
    def in_flight_count(self) -> int:
        """Messages sent and neither finished, requeued nor timed out."""
        return sum(len(owner.in_flight) for owner in self.owners())

    @property
    def deferred_count(self) -> int:
        """Messages that wait for a time of their own."""
        return len(self.deferred)

    @property
    def memory_count(self) -> int:
        """Messages sent that had not to be read from the log."""
        return max(0, self.sent_count - self.backlog.read_count)

    def owners(self) -> Iterator[Subscription]:
        """Everybody who has, or may have, messages in flight."""
        yield from self.subscriptions
        yield from self.departed

    # Messages in.

    def receive(self, first: int, stop: int, records: list[bytes], size: int) -> None:
        """Messages from the topic, ready now; see `Backlog.receive`."""
        self.message_count += len(records)
        self.backlog.receive(first, stop, records, size)
        self.pump()

    def receive_deferred(
        self, first: int, stop: int, records: list[bytes], due: int, keep: bool
    ) -> None:
        """Messages from the topic that may not be delivered before ``due`` (ns).

        ``keep`` when there is no log to read them from again.
        """
        self.message_count += len(records)
        self.backlog.receive(first, stop, [], 0)
        for position, record in zip(range(first, stop), records, strict=True):
            self.deferred.put(due, position, 0, record if keep else None)
        self.wake(self)

    def receive_again(self, records: list[bytes]) -> None:
        """Messages that were dead letters of this channel, ready now, with attempts from 0."""
        self.message_count += len(records)
        for record in records:
            self.requeued.put(record)
        self.pump()

    def requeue(self, record: bytes, delay: int) -> None:
        """A consumer gave a message back, to be delivered again after ``delay`` ns."""
        self.requeue_count += 1
        if self.max_attempts and attempts_of(record) >= self.max_attempts:
            self.dead_letters.waiting.put(next_frame(record))
            self.wake(self)
        elif delay > 0:
            kept = record if self.backlog.log is None else None
            position = position_of(id_of(record))
            self.deferred.put(self.now() + delay, position, attempts_of(record), kept)
            self.wake(self)
        else:
            self.requeued.put(next_frame(record))
        self.changed()

    # Messages out.

    def pump(self) -> None:
        """Send what is ready to whoever has room, in fair shares."""
        if self.paused or self._pumping or not self.subscriptions:
            return
        self._pumping = True
        try:
            while serve(self):
                pass
        finally:
            self._pumping = False

    def note_latency(self, record: bytes, delivered: int) -> None:
        """Count the latencies of a message that is being finished, for all since the last one.

        One of `SAMPLE` messages, but the first after each `scan` at least, stands for the others:
        they were sent at about the same time, and to count each would cost as much as its FIN.
        """
        now = self.now()
        count, self.unsampled, self.sample_at = self.unsampled, 0, SAMPLE
        self.end_to_end.add(now - timestamp_of(record), count)
        self.processing.add(now - delivered, count)

    @property
    def drop_count(self) -> int:
        """Messages that were dropped because there was no room and no log to leave them in."""
        queues = (self.backlog, self.requeued, self.dead_letters.waiting)
        return sum(queue.drop_count for queue in queues)

    # Consumers.

    def subscribe(
        self,
        subscriber: ISubscriber,
        msg_timeout: int,
        max_msg_timeout: int,
        sample_rate: int = 0,
        max_consumers: int = 0,
        locality: Locality | None = None,
    ) -> Subscription:
        """Add a consumer, with RDY 0. Durations in ns; ``max_consumers`` 0 is no limit.

        ``locality`` where near consumers come first; None: all are alike.

        :raises Exiting: the channel is being deleted.
        :raises TooManyConsumers: the limit is reached.
        """
        if self.exiting:
            raise Exiting
        if max_consumers and len(self.subscriptions) >= max_consumers:
            raise TooManyConsumers(self.topic_name, self.name, max_consumers)
        subscription = Subscription(
            self, subscriber, msg_timeout, max_msg_timeout, sample_rate, locality or FAR
        )
        if locality is not None and self.local is None:
            self.local = LocalCounts()
        self.subscriptions.append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove a consumer; see `Subscription.leave`."""
        if subscription not in self.subscriptions:
            return
        self.subscriptions.remove(subscription)
        self.takers.remove(subscription)
        if subscription.in_flight:
            self.departed.append(subscription)
        if not self.subscriptions:
            self.emptied(self)

    # Time.

    def scan(self, now: int, limit: int) -> int:
        """Take back what has timed out, let go what is due: how many, ``limit`` at most."""
        self.sample_at = 1
        left = limit
        for owner in self.owners():
            frames = owner.expire(now, left)
            for frame in frames:
                self._queue((attempts_of(frame) - 1) & 0xFFFF).put(frame)
            self.timeout_count += len(frames)
            left -= len(frames)
        self.departed = [owner for owner in self.departed if owner.in_flight]
        due = self.deferred.take_due(now, left)
        for _, position, attempts, record in due:
            self.put_again(position, attempts, record)
        left -= len(due)
        if left < limit:
            self.changed()
        self.pump()
        return limit - left

    @property
    def waits(self) -> bool:
        """Something is to be done by the clock, now or later."""
        waiting = self.deferred or self.dead_letters or self.read_failure is not None
        return bool(waiting) or any(owner.in_flight for owner in self.owners())

    # Messages that come again.

    def _queue(self, attempts: int) -> RequeuedMessages:
        """Where a message that was delivered so often waits: to be sent, or to be buried."""
        spent = 0 < self.max_attempts <= attempts
        return self.dead_letters.waiting if spent else self.requeued

    def put_again(self, position: int, attempts: int, record: bytes | None) -> None:
        """A message that was delivered so often; its record, unless that is in the log."""
        queue = self._queue(attempts)
        if record is None:
            queue.put_position(position, attempts)
        else:
            queue.put(next_frame(record) if attempts else record)

    def limit_attempts(self, max_attempts: int | None, topic: str = "") -> None:
        """Set how often a message may be delivered (0: any number of times, None: the default),
        and the dead-letter topic (empty: the default). It counts for all that waits, too.
        """
        letters = self.dead_letters
        letters.max_attempts, letters.own_topic = max_attempts, topic
        letters.retry_at = 0
        self.max_attempts = letters.limit
        for _, position, attempts, frame in letters.waiting.take_all() + self.requeued.take_all():
            if frame is None:
                self._queue(attempts).put_position(position, attempts)
            else:
                self._queue(attempts).put(frame)
        self.changed()
        self.wake(self)
        self.pump()

    # What an operator does.

    def pause(self) -> None:
        """Stop delivering. What is in flight goes on."""
        self.paused = True
        self.changed()

    def unpause(self) -> None:
        """Deliver again."""
        self.paused = False
        self.changed()
        self.pump()

    def empty(self) -> None:
        """Forget every message: waiting, in flight and deferred."""
        self.backlog.clear()
        if self.local is not None:
            self.local.emptied(self.backlog.read_count)
        self.requeued.clear()
        self.deferred.clear()
        self.dead_letters.clear()
        for owner in self.owners():
            owner.in_flight.clear()
            self.takers.add(owner)
        self.departed.clear()
        self.changed()

    def close(self) -> None:
        """Let go of all consumers; the channel takes no more."""
        self.exiting = True
        for subscription in list(self.subscriptions):
            subscription.ready = 0
            subscription.subscriber.dropped()

    # Checkpoints.

    def state(self) -> ChannelState:
        """This channel as its topic's checkpoint keeps it."""
        pending = PendingMessages()
        for owner in self.owners():
            if held := owner.in_flight:
                attempts = [attempts_of(record) for record, _ in held.values()]
                pending.extend(PendingMessages.of(positions_of(held), attempts))
        letters = self.dead_letters
        for part in (self.requeued, self.deferred, letters):
            if part:
                pending.extend(part.pending())
        return ChannelState(
            self.name,
            self.paused,
            len(self.backlog),
            self.backlog.unread(),
            pending,
            letters.max_attempts,
            letters.own_topic,
        )
