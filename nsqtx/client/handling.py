"""Runs handlers: in order, so many at once, and answers for them (client sections 5.2 to 5.4).

=============================  ==============================================================
a handler                      its message
=============================  ==============================================================
returns                        is finished, unless it is answered or deferred by then
returns a Deferred, coroutine  likewise when that has a result
raises                         is requeued, the failure is logged, the Reader backs off
raises `Requeue`               is requeued as that says
=============================  ==============================================================

A handler that returns something else than a Deferred or a coroutine costs nothing but its call.
Parsing never waits for handlers: what comes while as many run as may is queued here, and what may
come is bounded by ``max_in_flight``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from nsqtx.client.config import ReaderConfig
from nsqtx.client.events import GaveUp, OnEvent, TouchLimit
from nsqtx.client.message import Message, Requeue
from nsqtx.client.results import to_wait_for
from nsqtx.client.source import Counts, Source
from nsqtx.connections import cancel

__all__ = ["Collector", "Handler", "Handling"]

log = Logger(namespace="nsqtx.client")

#: What is called with each message.
Handler = Callable[[Message], Any]


@runtime_checkable
class Collector(Protocol):
    """A handler that keeps its messages for later, and answers them itself."""

    def __call__(self, message: Message) -> None:
        """Take one more."""

    def read_done(self) -> None:
        """That was the last message of a read."""

    def stop(self) -> None:
        """Give back what nobody has begun with (`Source.return_unhandled`), and take no more."""

    def abandon(self) -> None:
        """Cancel what was begun."""


def _has_ended(waiting: Deferred[Any]) -> bool:
    """Whether it has a result already, and one that is no failure: there is nothing to wait for."""
    return (
        waiting.called
        and not waiting.paused
        and not isinstance(waiting.result, (Failure, Deferred))
    )


def _too_late(_: Any, timeout: float) -> Any:
    raise TimeoutError(f"the handler had {timeout:g} s")


class Handling:
    """All messages of a Reader from their arrival to their answer.

    ``give_up`` is called in place of the handler for a message with too many attempts, and its
    result is treated alike.
    """

    def __init__(
        self,
        handler: Handler,
        give_up: Handler,
        config: ReaderConfig,
        counts: Counts,
        clock: IReactorTime,
        tell: OnEvent,
    ) -> None:
        self.queue: deque[Message] = deque()
        #: Messages whose handlers have not come to an end.
        self.running: dict[Message, Deferred[None]] = {}
        #: Messages to be answered by hand whose handlers have returned.
        self.held: set[Message] = set()
        self._touching: dict[Message, IDelayedCall] = {}
        self._handler = handler
        self._collector = handler if isinstance(handler, Collector) else None
        self._give_up = give_up
        self._config = config
        self._counts = counts
        self._clock = clock
        self._tell = tell
        self._limit = config.concurrency or 2**62
        self._max_attempts = config.max_attempts or 2**62
        self._stopped = False
        #: `_next` is at work.
        self._going_on = False
        self._idle: list[Deferred[None]] = []

    def take(self, messages: list[Message]) -> None:
        """Handle what a read brought."""
        queue, running = self.queue, self.running
        for message in messages:
            if self._stopped:
                # By a handler that came before it.
                message.source.return_unhandled(message)
            elif queue or len(running) >= self._limit:
                queue.append(message)
                if self._config.auto_touch:
                    self._touch_later(message)
            else:
                self._run(message)
        if self._collector is not None:
            self._collector.read_done()

    def _run(self, message: Message) -> None:
        try:
            if (message.attempts or 65536) > self._max_attempts:
                self._counts.gave_up += 1
                self._tell(GaveUp(message.nsqd_address, message.id, message.attempts))
                result = self._give_up(message)
            else:
                if self._collector is not None:
                    self._hold(message)
                    self._collector(message)
                    return
                result = self._handler(message)
        except Exception as error:  # noqa: BLE001
            self._failed(message, error)
            return
        if result is not None:
            try:
                waiting = to_wait_for(result)
            except TypeError as error:
                self._failed(message, error)
                return
            if waiting is not None and not _has_ended(waiting):
                self._wait(message, waiting)
                return
        if not message.answered:
            self._returned(message)

    def _returned(self, message: Message) -> None:
        if message.answered:
            return
        if message.deferred:
            self._hold(message)
        else:
            message.finish()

    def _failed(self, message: Message, error: Exception, failure: Failure | None = None) -> None:
        if isinstance(error, Requeue):
            if not message.answered:
                message.requeue(error.delay, error.backoff)
            return
        cancelled = isinstance(error, CancelledError) and self._stopped
        if not cancelled:
            failure = failure or Failure(error)
            log.failure("the handler of message {id} failed", failure, id=message.id.decode())
            message.source.failed(message, error)
        if message.answered:
            return
        if self._stopped:
            message.requeue(0.0, False)
        else:
            message.requeue(None, True)

    # -- handlers that take their time -----------------------------------------------------------

    def _wait(self, message: Message, result: Deferred[Any]) -> None:
        timeout = self._config.handler_timeout
        if timeout:
            result.addTimeout(timeout, self._clock, _too_late)
        self.running[message] = result
        if self._config.auto_touch and message not in self._touching:
            self._touch_later(message)
        result.addBoth(self._ended, message, result)

    def _ended(self, result: Any, message: Message, waiting: Deferred[Any]) -> Any:
        failed = isinstance(result, Failure)
        try:
            self._over(message)
            if failed:
                error = result.value
                if not isinstance(error, Exception):
                    error = RuntimeError(repr(error))
                self._failed(message, error, result)
            else:
                self._returned(message)
            self._next()
        except Exception:  # noqa: BLE001
            log.failure("bug in handling")
        # Others may wait for the same; a failure that nobody waits for has been told by us.
        if failed and not any(each is waiting for each in self.running.values()):
            return None
        return result

    def _over(self, message: Message) -> None:
        self.running.pop(message, None)
        if not message.deferred or message.answered:
            cancel(self._touching.pop(message, None))

    def _next(self) -> None:
        if self._going_on:
            # A handler has ended at once: no deeper for each of them.
            return
        queue, running = self.queue, self.running
        self._going_on = True
        try:
            while queue and len(running) < self._limit:
                message = queue.popleft()
                self._run(message)
                if message.answered:
                    cancel(self._touching.pop(message, None))
        finally:
            self._going_on = False
        self.check_idle()

    def _hold(self, message: Message) -> None:
        message.held = True
        self.held.add(message)
        if self._config.auto_touch and message not in self._touching:
            self._touch_later(message)

    def release(self, message: Message) -> None:
        """A message that was held is answered."""
        self.held.discard(message)
        cancel(self._touching.pop(message, None))
        self.check_idle()

    def _touch_later(self, message: Message) -> None:
        wait = max(0.1, message.source.touch_due(message))
        self._touching[message] = self._clock.callLater(wait, self._touch, message)

    def _touch(self, message: Message) -> None:
        del self._touching[message]
        source = message.source
        if message.answered or source.connection.closed:
            return
        if source.touchable(message):
            message.touch()
            self._touch_later(message)
        else:
            self._tell(TouchLimit(source.address, message.id))

    # -- the end -------------------------------------------------------------------------------

    def stop(self) -> None:
        """From now on a handler that is cancelled has not failed."""
        self._stopped = True
        if self._collector is not None:
            self._collector.stop()

    def lost(self, source: Source) -> None:
        """A connection is gone: what waits here from it will come again."""
        self._take_from_queue(source)
        self.held = {each for each in self.held if each.source is not source}
        self.check_idle()

    def drop(self, source: Source) -> None:
        """A connection is being drained: what waits from it goes back."""
        for message in self._take_from_queue(source):
            source.return_unhandled(message)

    def _take_from_queue(self, source: Source) -> list[Message]:
        taken = []
        # In place: `take` may be at work on it.
        for _ in range(len(self.queue)):
            message = self.queue.popleft()
            if message.source is source:
                taken.append(message)
                cancel(self._touching.pop(message, None))
            else:
                self.queue.append(message)
        return taken

    def idle(self) -> Deferred[None]:
        """Fires when no handler runs, and all that was to be answered by hand is."""
        waiting: Deferred[None] = Deferred()
        self._idle.append(waiting)
        self.check_idle()
        return waiting

    def check_idle(self) -> None:
        """Look whether that is so now."""
        if self._idle and not self.running and not self.held:
            waiting, self._idle = self._idle, []
            for each in waiting:
                each.callback(None)

    def abandon(self) -> None:
        """Cancel what runs, and requeue what is not answered then."""
        left = [*self.running, *self.held]
        for running in list(self.running.values()):
            running.cancel()
        if self._collector is not None:
            self._collector.abandon()
        for message in left:
            # Its handler does not take being cancelled for an end, or it has none.
            if not message.answered:
                message.requeue(0.0, False)
        self.running.clear()
        self.check_idle()

    def close(self) -> None:
        """Leave no timer."""
        for call in self._touching.values():
            cancel(call)
        self._touching.clear()
