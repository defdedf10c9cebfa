"""How a daemon keeps its memory: Python's garbage collector, set for long runs.

What a daemon holds is freed by reference counts: connections, requests and topics are no cycles of
objects. So the collector is asked seldom. Some cycles are Twisted's own, and small: work in a
thread (each sync of a log), a connection of an HTTP client, and of HTTPS. They are young when they
end, so they are looked for once a minute, and that takes a millisecond or two.
"""

from __future__ import annotations

import gc

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

__all__ = ["Heap"]

#: How often young garbage is collected, in seconds.
INTERVAL = 60.0


class Heap:
    """The objects of this process. ``clock`` is the reactor."""

    def __init__(self, clock: IReactorTime) -> None:
        self._loop = LoopingCall(gc.collect, 0)
        self._loop.clock = clock

    def settle(self) -> None:
        """Say that what there is will stay, and that there is seldom more to look for.

        Messages in flight are tuples, registrations are in dicts: the default thresholds would have
        the collector go through all of them again and again.
        """
        # This one comes before anybody is served, so it is not among the pauses that are shown.
        callbacks, gc.callbacks[:] = gc.callbacks[:], []
        gc.collect()
        gc.callbacks[:] = callbacks
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        self._loop.start(INTERVAL, now=False)

    def stop(self) -> None:
        """Collect no more by the clock."""
        if self._loop.running:
            self._loop.stop()
