"""The publishes of a Writer that have no result yet: limits, who waits for room, deadlines.

A publish is *written* or it *waits*, in a queue, for room within the limits or for a connection.
Those that are tried again go before those that were never written.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from nsqtx.client.config import WriterConfig
from nsqtx.client.errors import Outcome, PublishFailed
from nsqtx.client.events import OnEvent, PublishRetried
from nsqtx.client.pool import Pool
from nsqtx.client.publishing import Publishing
from nsqtx.connections import cancel

__all__ = ["Outstanding"]

log = Logger(namespace="nsqtx.client")

Queue = OrderedDict[Publishing, None]


class Outstanding:
    """Brings publishes to the nsqds of a pool, and each to one result."""

    def __init__(self, pool: Pool, config: WriterConfig, clock: IReactorTime, tell: OnEvent):
        self.config = config
        #: Messages, and publishes that were tried again.
        self.published = 0
        self.failed = 0
        self.retried = 0
        #: Publishes that are written, and the bytes of their commands.
        self.written = 0
        self.bytes = 0
        self._pool = pool
        self._clock = clock
        self._tell = tell
        self._timeout = config.publish_timeout
        self._most = config.max_outstanding
        self._most_bytes = config.max_outstanding_bytes
        #: All that have no result, in the order of their calls and so of their deadlines.
        self._live: dict[Publishing, None] = {}
        self._again: Queue = OrderedDict()
        self._waiting: Queue = OrderedDict()
        #: Those that only some nsqds may take. They do not keep others from being written.
        self._constrained: Queue = OrderedDict()
        self._waiting_bytes = 0
        self._waking = False
        self._timer: IDelayedCall | None = None
        self._drained: Deferred[None] | None = None

    @property
    def waiting(self) -> int:
        """How many publishes wait."""
        return len(self._waiting) + len(self._again) + len(self._constrained)

    def publish(self, publishing: Publishing) -> Deferred[bytes]:
        """Its result."""
        self._live[publishing] = None
        if self._timeout:
            publishing.deadline = self._clock.seconds() + self._timeout
            if self._timer is None:
                self._timer = self._clock.callLater(self._timeout, self._expire)
        if publishing.constrained:
            result = self._wait(publishing)
            self.wake()
            return result
        if not self._waiting and not self._again and self._has_room(publishing.size):
            nsqd = self._pool.pick(publishing.key)
            if nsqd is not None:
                self.written += 1
                self.bytes += publishing.size
                return publishing.write(nsqd)
        if self.config.when_full == "fail" and self._is_full(publishing.size):
            del self._live[publishing]
            self.failed += publishing.count
            reason = "too many publishes wait for nsqd's answer"
            return fail(PublishFailed(Outcome.NOT_EXECUTED, reason))
        return self._wait(publishing)

    def _has_room(self, size: int) -> bool:
        # What is larger than the limit goes alone.
        return self.written < self._most and (
            self.bytes + size <= self._most_bytes or not self.written
        )

    def _is_full(self, size: int) -> bool:
        """Whether it is the limits that one must wait for, and not a connection."""
        held = self.bytes + self._waiting_bytes
        return (
            len(self._live) > self._most
            or bool(held and held + size > self._most_bytes)
            or self._pool.is_full
        )

    def _queue(self, publishing: Publishing) -> Queue:
        if publishing.constrained:
            return self._constrained
        return self._again if publishing.attempts else self._waiting

    def _wait(self, publishing: Publishing) -> Deferred[bytes]:
        self._queue(publishing)[publishing] = None
        self._waiting_bytes += publishing.size
        return publishing.wait()

    def withdraw(self, publishing: Publishing) -> None:
        """It waits no longer."""
        del self._queue(publishing)[publishing]
        self._waiting_bytes -= publishing.size
        publishing.waiting = None

    def answered(self, publishing: Publishing) -> None:
        """It is no longer written: there is an answer, or none will come."""
        self.written -= 1
        self.bytes -= publishing.size
        publishing.turn = None

    def retry(self, publishing: Publishing, reason: str) -> Deferred[bytes]:
        """Try it again, elsewhere if possible."""
        assert publishing.nsqd is not None
        address = publishing.nsqd.address
        log.debug("nsqd {address}: a publish is retried: {reason}", address=address, reason=reason)
        self._tell(PublishRetried(address, reason))
        publishing.constrained = bool(publishing.siblings)
        result = self._wait(publishing)
        self.wake()
        return result

    def settle(self, publishing: Publishing) -> None:
        """It has a result."""
        del self._live[publishing]
        if self._waiting or self._again or self._constrained:
            self.wake()
        elif not self._live and self._drained is not None:
            drained, self._drained = self._drained, None
            drained.callback(None)

    def wake(self) -> None:
        """There may be room: write those that wait, as long as there is."""
        if self._waking:
            return
        self._waking = True
        try:
            self._write_from(self._constrained)
            if self._write_from(self._again):
                self._write_from(self._waiting)
        finally:
            self._waking = False

    def _write_from(self, queue: Queue) -> bool:
        """Whether nothing is left of it."""
        while queue:
            publishing = next(iter(queue))
            if not self._has_room(publishing.size):
                return False
            taken = publishing.taken() if publishing.siblings else ()
            nsqd = self._pool.pick(publishing.key, publishing.tried, taken)
            if nsqd is None:
                return False
            waiting = publishing.waiting
            assert waiting is not None
            self.withdraw(publishing)
            self.written += 1
            self.bytes += publishing.size
            waiting.callback(nsqd)
        return True

    # -- time ----------------------------------------------------------------------------------

    def _expire(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        late = []
        for publishing in self._live:
            if publishing.deadline > now:
                self._timer = self._clock.callLater(publishing.deadline - now, self._expire)
                break
            late.append(publishing)
        self._give_up(late, self._too_late)

    def _give_up(self, those: list[Publishing], why: Callable[[Publishing], str]) -> None:
        # Those that wait first: they would be written when others make room.
        for publishing in sorted(those, key=lambda each: each.waiting is None):
            if publishing in self._live:
                publishing.give_up(why(publishing))

    def _too_late(self, publishing: Publishing) -> str:
        if publishing.turn is not None:
            assert publishing.nsqd is not None
            publishing.nsqd.stalled()
            return f"no answer in {self._timeout:g} s"
        return f"not written in {self._timeout:g} s: {self._pool.trouble()}"

    def drain(self, patience: float) -> Deferred[None]:
        """Fires when all have a result; those that have none after ``patience`` seconds fail."""
        if not self._live:
            cancel(self._timer)
            return succeed(None)
        drained: Deferred[None] = Deferred()
        self._drained = drained
        cut = self._clock.callLater(patience, self._cut)

        def end(_: None) -> None:
            cancel(cut)
            cancel(self._timer)

        return drained.addCallback(end)

    def _cut(self) -> None:
        self._give_up(list(self._live), lambda _: "the Writer was stopped")
