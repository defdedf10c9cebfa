"""What nsqd does by the clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

__all__ = ["Rounds"]

log = Logger(namespace="nsqd")


class Rounds:
    """Work that comes again and again, in pieces, with connections served between them.

    :param interval: seconds from the begin of a round to that of the next one, if it has ended.
    :param work: does a piece; true: there is more of this round.
    """

    def __init__(self, reactor: Any, interval: float, work: Callable[[], bool | None]) -> None:
        self._reactor = reactor
        self._interval = interval
        self._work = work
        self._loop = LoopingCall(self._begin)
        self._loop.clock = reactor
        #: When the rest of this round comes.
        self._rest: IDelayedCall | None = None

    def start(self) -> None:
        """The first round comes after an interval."""
        self._loop.start(self._interval, now=False).addErrback(self._broken)

    def stop(self) -> None:
        """Do no more; harmless when it has not begun."""
        if self._loop.running:
            self._loop.stop()
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    def _begin(self) -> None:
        if self._rest is None:
            self._go_on()

    def _go_on(self) -> None:
        self._rest = None
        try:
            more = self._work()
        except Exception:  # noqa: BLE001  # A bug in one round must not end all rounds.
            log.failure("periodic work")
            return
        if more:
            self._rest = self._reactor.callLater(0, self._go_on)

    def _broken(self, failure: Failure) -> None:
        log.failure("periodic work ended", failure)
