"""How late the reactor is: the time that others wait because of what it does just now."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from nsqtx.histogram import Histogram

__all__ = ["ReactorLag"]

#: How often it is looked at, in seconds.
INTERVAL = 0.5
BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class ReactorLag:
    """Measures by how much a call comes later than it was asked for. In seconds.

    What a call that hangs costs is seen once it is over; `last` is what the last look found.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock
        self._due = 0.0
        self.last = 0.0
        self.seen = Histogram(BOUNDS)

    def start(self) -> None:
        """Look from now on."""
        self._due = self._clock.seconds() + INTERVAL
        self._loop.start(INTERVAL, now=False)

    def stop(self) -> None:
        """Look no more; harmless when it has not begun."""
        if self._loop.running:
            self._loop.stop()

    def _look(self) -> None:
        now = self._clock.seconds()
        self.last = max(0.0, now - self._due)
        self.seen.add(self.last)
        # Where LoopingCall will be next: it skips what it has missed.
        self._due += INTERVAL * (1 + int(self.last / INTERVAL))
