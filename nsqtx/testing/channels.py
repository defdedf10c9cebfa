"""What a fake nsqd stores: topics, channels, and what became of each message."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["Consumer", "FakeChannel", "FakeMessage", "FakeTopic", "Published", "Requeued"]


@attrs.frozen
class Published:
    """What a client published; ``defer`` is in seconds."""

    topic: str
    body: bytes
    defer: float = 0.0


@attrs.define(eq=False)
class FakeMessage:
    """A message; ``attempts`` counts deliveries."""

    id: bytes
    timestamp: int
    body: bytes
    attempts: int = 0


@attrs.frozen
class Requeued:
    """A message that was given back, to be delivered after ``delay`` seconds."""

    body: bytes
    delay: float


class Consumer(Protocol):
    """A subscribed connection."""

    @property
    def takes(self) -> bool:
        """Whether it may be sent a message more."""

    def deliver(self, message: FakeMessage) -> None:
        """Send it."""

    def timed_out(self, message: FakeMessage) -> None:
        """It is no longer in flight."""


#: One message in flight: to whom, and its id.
Delivery = tuple[Consumer, bytes]


@attrs.define(eq=False)
class FakeChannel:
    """A channel. The lists have what consumers did with its messages, in order: bodies mostly."""

    topic: str
    name: str
    _clock: IReactorTime
    finished: list[bytes] = attrs.Factory(list)
    requeued: list[Requeued] = attrs.Factory(list)
    touched: list[bytes] = attrs.Factory(list)
    #: Messages that were not answered in time.
    timed_out: list[bytes] = attrs.Factory(list)
    consumers: list[Consumer] = attrs.Factory(list)
    _queue: deque[FakeMessage] = attrs.Factory(deque)
    _deferred: dict[FakeMessage, IDelayedCall] = attrs.Factory(dict)
    #: With the timer, and when it was sent.
    _out: dict[Delivery, tuple[FakeMessage, IDelayedCall, float]] = attrs.Factory(dict)

    @property
    def depth(self) -> int:
        """How many messages wait."""
        return len(self._queue)

    @property
    def deferred(self) -> int:
        """How many messages are to come later."""
        return len(self._deferred)

    @property
    def in_flight(self) -> int:
        """How many messages are sent and not answered."""
        return len(self._out)

    def put(self, message: FakeMessage, delay: float = 0.0) -> None:
        """Deliver a message, after ``delay`` seconds."""
        if delay > 0:
            self._deferred[message] = self._clock.callLater(delay, self._due, message)
        else:
            self._queue.append(message)
            self.pump()

    def _due(self, message: FakeMessage) -> None:
        del self._deferred[message]
        self.put(message)

    def pump(self) -> None:
        """Send what consumers take, to each in turn."""
        while self._queue:
            taker = next((each for each in self.consumers if each.takes), None)
            if taker is None:
                return
            self.consumers.remove(taker)
            self.consumers.append(taker)
            message = self._queue.popleft()
            message.attempts = (message.attempts + 1) & 0xFFFF
            taker.deliver(message)

    # -- messages in flight --------------------------------------------------------------------

    def sent(self, key: Delivery, message: FakeMessage, timeout: float) -> None:
        """A message is out; without an answer it comes again after ``timeout`` seconds."""
        timer = self._clock.callLater(timeout, self._timed_out, key)
        self._out[key] = message, timer, self._clock.seconds()

    def touch(self, key: Delivery, timeout: float, longest: float) -> None:
        """So many seconds from now, up to ``longest`` since it was sent."""
        message, timer, sent = self._out[key]
        self.touched.append(message.body)
        timer.reset(max(0.0, min(timeout, sent + longest - self._clock.seconds())))

    def finish(self, key: Delivery) -> None:
        self.finished.append(self._answered(key).body)

    def requeue(self, key: Delivery, delay: float) -> None:
        message = self._answered(key)
        self.requeued.append(Requeued(message.body, delay))
        self.put(message, delay)

    def holds(self, key: Delivery) -> bool:
        """Whether this delivery is still in flight."""
        return key in self._out

    def _answered(self, key: Delivery) -> FakeMessage:
        message, timer, _ = self._out.pop(key)
        timer.cancel()
        return message

    def _timed_out(self, key: Delivery) -> None:
        message, _, _ = self._out.pop(key)
        key[0].timed_out(message)
        self.timed_out.append(message.body)
        self.put(message)

    def clear(self) -> None:
        """Forget what waits."""
        self._queue.clear()

    def stop(self) -> None:
        """Leave no timer; what was out or deferred is lost."""
        timers = [timer for _, timer, _ in self._out.values()] + list(self._deferred.values())
        self._out.clear()
        self._deferred.clear()
        for timer in timers:
            timer.cancel()


@attrs.define(eq=False)
class FakeTopic:
    """A topic; what comes before its first channel waits for that."""

    name: str
    _clock: IReactorTime
    _new: Callable[[bytes], FakeMessage]
    channels: dict[str, FakeChannel] = attrs.Factory(dict)
    _waiting: list[tuple[bytes, float]] = attrs.Factory(list)

    def channel(self, name: str) -> FakeChannel:
        """The channel, made if need be."""
        found = self.channels.get(name)
        if found is None:
            found = self.channels[name] = FakeChannel(self.name, name, self._clock)
            waiting, self._waiting = self._waiting, []
            for body, delay in waiting:
                found.put(self._new(body), delay)
        return found

    def put(self, body: bytes, delay: float = 0.0) -> None:
        """Give a message to every channel."""
        if not self.channels:
            self._waiting.append((body, delay))
        for channel in list(self.channels.values()):
            channel.put(self._new(body), delay)
