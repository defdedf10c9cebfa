"""Requests that wait until the producers of a topic change."""

from __future__ import annotations

from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from nsqtx.nsqlookupd.entries import ANY

__all__ = ["Waiters"]


class Waiters:
    """Who waits, by topic. At most ``most`` at a time."""

    def __init__(self, clock: IReactorTime, most: int) -> None:
        self._clock = clock
        self._most = most
        #: Those who wait, with the end of their time.
        self._waiting: dict[str, dict[Deferred[None], IDelayedCall]] = {}
        #: Topics that have changed, with the call that tells.
        self._telling: dict[str, IDelayedCall] = {}
        self._stopped = False
        self.count = 0

    @property
    def full(self) -> bool:
        """Whether nobody else can wait now."""
        return self.count >= self._most

    def wait(self, topic: str, seconds: float) -> Deferred[None]:
        """Fires after the next change of that topic (`ANY`: of any), or when the time is over.

        Cancel it to wait no more.
        """
        waiter: Deferred[None] = Deferred(partial(self._forget, topic))
        if self._stopped:
            waiter.callback(None)
            return waiter
        end = self._clock.callLater(seconds, self._over, topic, waiter)
        self._waiting.setdefault(topic, {})[waiter] = end
        self.count += 1
        return waiter

    def _forget(self, topic: str, waiter: Deferred[None]) -> None:
        waiters = self._waiting[topic]
        end = waiters.pop(waiter)
        if end.active():
            end.cancel()
        if not waiters:
            del self._waiting[topic]
        self.count -= 1

    def _over(self, topic: str, waiter: Deferred[None]) -> None:
        self._forget(topic, waiter)
        waiter.callback(None)

    def changed(self, topic: str) -> None:
        """There is news of a topic. Those who wait for it are told in the reactor's next turn:

        it may change many times in this one.
        """
        for each in (topic, ANY):
            if each in self._waiting and each not in self._telling:
                self._telling[each] = self._clock.callLater(0, self._tell, each)

    def _tell(self, topic: str) -> None:
        self._telling.pop(topic, None)
        for waiter in list(self._waiting.get(topic, ())):
            self._over(topic, waiter)

    def stop(self) -> None:
        """Tell everybody, now; nobody waits any more."""
        self._stopped = True
        for call in self._telling.values():
            call.cancel()
        self._telling.clear()
        for topic in list(self._waiting):
            self._tell(topic)
