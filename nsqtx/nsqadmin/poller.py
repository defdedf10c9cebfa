"""One poller for all who look: it asks the cluster at an interval, and everybody reads what it has.

So a page costs the nodes nothing, and twenty open browsers cost them as much as one. What only
some pages need (the clients of a channel, say) is asked for when they are looked at, and shared
for as long as an interval: `SharedAnswers`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from nsqtx.nsqadmin.history import History, Key, Values
from nsqtx.nsqadmin.rows import Snapshot

__all__ = ["InSlices", "Poller", "SharedAnswers"]

InSlices = Callable[[Iterator[None]], "Deferred[Any]"]

#: Answers that are kept at the same time.
MAX_SHARED = 1000
#: A part of the interval: what is older is asked for again at the next look.
SHARED_PART = 0.8

_log = Logger(namespace="nsqadmin.poller")


class Poller:
    """Keeps the latest snapshot.

    :param gather: asks the cluster; its rates and sums need not be made yet.
    :param interval: seconds between the end of one poll and the start of the next.
    :param in_slices: works an iterator off, a little at a time: `Cooperator.coiterate`.
    """

    def __init__(
        self,
        gather: Callable[[], Deferred[Snapshot]],
        clock: IReactorTime,
        interval: float,
        history: History,
        in_slices: InSlices,
    ) -> None:
        self.interval = interval
        self.history = history
        self.snapshot: Snapshot | None = None
        #: Why the last poll brought nothing; empty: it brought something.
        self.error = ""
        #: Counts the polls.
        self.round = 0
        self._gather = gather
        self._clock = clock
        self._in_slices = in_slices
        self._polling: Deferred[None] | None = None
        self._waiting: list[Deferred[None]] = []
        self._next: IDelayedCall | None = None
        self._running = False
        self._again = False
        self._listeners: list[Callable[[], None]] = []

    def start(self) -> None:
        """Poll from now on."""
        self._running = True
        self._poll()

    def stop(self) -> None:
        """Poll no more; who waits is let go."""
        self._running = False
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._polling is not None:
            self._polling.cancel()
        self._wake()

    def listen(self, call: Callable[[], None]) -> None:
        """Have ``call`` called after each poll."""
        self._listeners.append(call)

    def known(self) -> Deferred[None]:
        """Fires when there is a snapshot or a reason why there is none: at once, but at first."""
        if self.round or not self._running:
            return succeed(None)
        return self._wait()

    def refresh(self) -> Deferred[None]:
        """Ask again, because something was changed; fires when that is seen."""
        if not self._running:
            return succeed(None)
        if self._polling is not None:
            # What it has asked already may be from before the change.
            self._again = True
        elif self._next is not None:
            self._next.reset(0)
        return self._wait()

    def _wait(self) -> Deferred[None]:
        waiting: Deferred[None] = Deferred(self._left)
        self._waiting.append(waiting)
        return waiting

    def _left(self, waiting: Deferred[None]) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)

    def _poll(self) -> None:
        self._next = None
        self._polling = Deferred.fromCoroutine(self._look())
        self._polling.addErrback(self._failed).addCallback(self._polled)

    async def _look(self) -> None:
        snapshot = await self._gather()
        await self._in_slices(self._take_in(snapshot))
        self.snapshot, self.error = snapshot, ""

    def _take_in(self, snapshot: Snapshot) -> Iterator[None]:
        yield from snapshot.sum_up(self.snapshot)
        self.history.begin(snapshot.at)
        for key, values in _values(snapshot):
            self.history.add(key, values)
            yield

    def _failed(self, failure: Failure) -> None:
        if not self._running:
            return
        if not self.error:
            _log.warn("the cluster cannot be asked: {error}", error=failure.getErrorMessage())
        self.error = failure.getErrorMessage() or "no answer"

    def _polled(self, _: None) -> None:
        self._polling = None
        if not self._running:
            return
        if self._again:
            self._again = False
            self._poll()
            return
        self.round += 1
        self._next = self._clock.callLater(self.interval, self._poll)
        self._wake()
        for call in self._listeners:
            call()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)


def _values(snapshot: Snapshot) -> Iterator[tuple[Key, Values]]:
    for node in snapshot.nodes.values():
        yield ("node", node.address), (node.depth, node.in_flight, node.rate)
    for topic in snapshot.topics.values():
        all = topic.all
        yield ("topic", topic.name), (all.depth + topic.backlog, topic.in_flight, all.rate)
    # Last, because they are most: where there is no room for all, it is they who have no history.
    for channel in snapshot.channels():
        all = channel.all
        yield ("channel", channel.topic, channel.name), (all.depth, all.in_flight, all.rate)


class SharedAnswers:
    """Answers that all who ask for the same within some seconds get together."""

    def __init__(self, clock: IReactorTime, interval: float) -> None:
        self._clock = clock
        self._lasts = interval * SHARED_PART
        self._answers: dict[Hashable, tuple[float, Any]] = {}
        self._asking: dict[Hashable, list[Deferred[Any]]] = {}

    def get(self, key: Hashable, ask: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        """The answer for ``key``, which ``ask`` gets if it is not there yet. Errors are not
        kept, but everybody who waits for the answer gets them."""
        at, answer = self._answers.get(key, (-1e9, None))
        if self._clock.seconds() - at < self._lasts:
            return succeed(answer)
        waiting: Deferred[Any] = Deferred()
        if key in self._asking:
            self._asking[key].append(waiting)
            return waiting
        waiters = self._asking[key] = [waiting]
        ask().addCallback(self._keep, key, waiters).addBoth(self._tell, key, waiters)
        return waiting

    def forget(self) -> None:
        """Something was changed: ask again. What was asked before is for those who wait alone."""
        self._answers.clear()
        self._asking.clear()

    def _keep(self, answer: Any, key: Hashable, waiters: list[Deferred[Any]]) -> Any:
        if self._asking.get(key) is not waiters:
            return answer
        now = self._clock.seconds()
        self._answers.pop(key, None)
        self._answers[key] = (now, answer)
        while self._answers:
            oldest = next(iter(self._answers))
            if len(self._answers) <= MAX_SHARED and now - self._answers[oldest][0] < self._lasts:
                break
            del self._answers[oldest]
        return answer

    def _tell(self, result: Any, key: Hashable, waiters: list[Deferred[Any]]) -> None:
        if self._asking.get(key) is waiters:
            del self._asking[key]
        for each in waiters:
            each.callback(result) if not isinstance(result, Failure) else each.errback(result)
