"""One topic of nsq_to_file: from messages to lines that are safe (apps section 2.7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nsqtx.durations import SECOND
from nsqtx.tools.nsq_to_file.options import NsqToFileOptions
from nsqtx.tools.nsq_to_file.output import Output, OutputError

__all__ = ["Archive", "ArchivedMessage", "Consumer", "InThread"]

log = Logger(namespace="nsqtx.tools.nsq_to_file")

#: Seconds between two log lines about syncs.
TELL_EVERY = 1.0

#: Seconds between two syncs, if nsqd's message timeout asks for less.
SHORTEST_INTERVAL = 0.25

#: Calls a function in a thread.
InThread = Callable[[Callable[[], None]], Deferred[None]]


class ArchivedMessage(Protocol):
    """What is needed of a message of the client library."""

    body: bytes
    #: Whether the client has answered it already: given it back, when the time for a stop was up.
    answered: bool

    @property
    def time_left(self) -> float:
        """Seconds until nsqd delivers it again."""

    def finish(self) -> None:
        """FIN."""

    def requeue(self) -> None:
        """REQ, after a while, and consume slower."""


class Consumer(Protocol):
    """What is needed of a Reader."""

    @property
    def starved(self) -> bool:
        """Whether a connection waits for messages to be finished before it gets more."""


class Archive:
    """A topic's messages on their way into its `Output`.

    It is a handler for a Reader that collects (`nsqtx.client.handling.Collector`).

    They are gathered, and one step after the other runs in a thread: write, and where it is due,
    rotate and sync. What a sync covers is finished. What cannot be written is requeued: nsqd keeps
    it, and the client's backoff sees to it that the disk is tried ever more seldom.
    """

    def __init__(
        self,
        options: NsqToFileOptions,
        output: Output,
        said: str,
        clock: IReactorTime,
        in_thread: InThread,
    ) -> None:
        self._options = options
        self._output = output
        self._said = said
        self._clock = clock
        self._in_thread = in_thread
        #: Set before the first message.
        self.consumer: Consumer | None = None
        #: Received, not yet written.
        self._arrived: list[ArchivedMessage] = []
        #: Written, not yet finished.
        self._written: deque[ArchivedMessage] = deque()
        #: How many were finished so far: as many as the output calls synced.
        self._finished = 0
        self._tick_due = self._close_due = self._stopping = False
        #: A step is under way.
        self._running = False
        #: Messages that were synced since that was last said, and when that was.
        self._untold = 0
        self._told_at = float("-inf")
        self._idle: list[Deferred[None]] = []
        self._ticks = LoopingCall(self._tick)
        self._ticks.clock = clock
        self._interval_checked = False

    def start(self) -> None:
        """Begin to tick."""
        self._ticks.start(self._options.sync_interval / SECOND, now=False)

    def __call__(self, message: ArchivedMessage) -> None:
        """A message has come."""
        self._arrived.append(message)

    def read_done(self) -> None:
        """That was the last message of a read."""
        self._run()

    def hang_up(self) -> None:
        """Close the file; the next message or tick opens another."""
        self._close_due = True
        self._run()

    def stop(self) -> None:
        """From now on sync at once: the consumer stops when all it has is finished."""
        self._stopping = True
        self._run()

    def abandon(self) -> None:
        """Time is up: the Reader gives back what is not finished."""

    def close(self) -> Deferred[None]:
        """The consumer has stopped: sync, close; fires when that is done."""
        if self._ticks.running:
            self._ticks.stop()
        self._stopping = self._close_due = True
        closed: Deferred[None] = Deferred()
        self._idle.append(closed)
        self._run()
        return closed

    def _tick(self) -> None:
        self._tick_due = True
        self._run()

    # -- one step after the other --------------------------------------------------------------

    def _run(self) -> None:
        if not self._running:
            self._running = True
            running = Deferred.fromCoroutine(self._steps())
            running.addErrback(lambda failure: log.failure("a bug", failure))

    async def _steps(self) -> None:
        try:
            while self._arrived or self._tick_due or self._close_due or self._sync_due():
                await self._step()
        finally:
            self._running = False
            idle, self._idle = self._idle, []
            for waiting in idle:
                waiting.callback(None)

    def _sync_due(self) -> bool:
        if not self._written:
            return False
        return (
            self._stopping
            or len(self._written) >= self._options.max_in_flight
            or (self.consumer is not None and self.consumer.starved)
        )

    async def _step(self) -> None:
        arrived, self._arrived = self._arrived, []
        tick, self._tick_due = self._tick_due, False
        close, self._close_due = self._close_due, False
        if arrived and not self._interval_checked:
            self._check_interval(arrived[0].time_left)
        self._written.extend(arrived)
        bodies = [message.body for message in arrived]
        sync = self._sync_due()
        output = self._output

        def work() -> None:
            output.take(bodies, sync)
            if tick:
                output.tick()
            if close:
                output.close()

        try:
            await self._in_thread(work)
        except OutputError as error:
            self._finish()
            self._failed(error.strerror or str(error))
        except Exception as error:  # noqa: BLE001  # a bug, by which no message may be lost
            log.failure("{said}a bug", said=self._said)
            self._finish()
            self._failed(repr(error))
        else:
            self._finish()

    def _check_interval(self, time_left: float) -> None:
        """Sync before nsqd takes what is not finished for lost, and delivers it again."""
        self._interval_checked = True
        longest = max(time_left / 2, SHORTEST_INTERVAL)
        # Not by a little: the defaults are half a minute and a minute, of which some is over.
        if self._ticks.running and self._options.sync_interval / SECOND > 1.2 * longest:
            log.warn(
                "{said}--sync-interval is too long for nsqd's message timeout: "
                "syncing every {longest:.1f} s",
                said=self._said,
                longest=longest,
            )
            self._ticks.stop()
            self._ticks.start(longest, now=False)

    def _finish(self) -> None:
        """FIN what is safe."""
        count = self._output.synced - self._finished
        self._finished = self._output.synced
        if not count:
            return
        self._tell(count)
        written = self._written
        for _ in range(count):
            message = written.popleft()
            if not message.answered:
                message.finish()

    def _tell(self, count: int) -> None:
        """Say how much was synced; when it is many times a second, all of it together."""
        self._untold += count
        now = self._clock.seconds()
        if now - self._told_at >= TELL_EVERY or self._stopping:
            log.info("{said}syncing {count} records to disk", said=self._said, count=self._untold)
            self._untold, self._told_at = 0, now

    def _failed(self, why: str) -> None:
        """Nothing that is not safe will become so: give it back."""
        waiting, self._written = self._written, deque()
        log.error(
            "{said}could not write: {error}; requeueing {count} messages",
            said=self._said,
            error=why,
            count=len(waiting),
        )
        for message in waiting:
            if not message.answered:
                message.requeue()
