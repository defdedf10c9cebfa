"""One nsqlookupd, as its TCP sessions and its HTTP API see it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from nsqtx.nsqlookupd.entries import Limits
from nsqtx.nsqlookupd.metrics import lookup_exposition
from nsqtx.nsqlookupd.options import NsqlookupdOptions
from nsqtx.nsqlookupd.registry import Registry
from nsqtx.nsqlookupd.waiters import Waiters
from nsqtx.web.lag import ReactorLag

if TYPE_CHECKING:
    from nsqtx.nsqlookupd.session import Session

__all__ = ["Node"]


class Node:
    """The parts of a running nsqlookupd. Ports are those bound."""

    def __init__(self, options: NsqlookupdOptions, clock: IReactorTime) -> None:
        self.options = options
        self.clock = clock
        self.hostname = socket.gethostname()
        self.start_time = clock.seconds()
        self.tcp_port = 0
        self.http_port = 0
        self.waiters = Waiters(clock, options.max_waiting)
        limits = Limits(
            **{field.name: getattr(options, field.name) for field in attrs.fields(Limits)}
        )
        self.registry = Registry(self.now, limits, self.waiters.changed)
        #: Every connection of an nsqd.
        self.sessions: dict[Session, None] = {}
        self.lag = ReactorLag(clock)
        self.exposition = lookup_exposition(self)
        self._working: dict[Iterator[object], IDelayedCall] = {}

    def now(self) -> int:
        """The time in ns."""
        return int(self.clock.seconds() * 1e9)

    def work_off(self, steps: Iterator[object], done: Callable[[], None]) -> None:
        """Go through all steps, one a turn of the reactor so that nobody waits for long; the first

        is taken now. Then call ``done``.
        """
        self._working.pop(steps, None)
        try:
            next(steps)
        except StopIteration:
            done()
        else:
            self._working[steps] = self.clock.callLater(0, self.work_off, steps, done)

    def stop(self) -> None:
        """Answer who waits, and give up what is being worked off."""
        self.waiters.stop()
        for call in self._working.values():
            call.cancel()
        self._working.clear()
