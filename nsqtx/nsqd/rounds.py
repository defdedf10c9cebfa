"""What nsqd does by the clock for its topics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nsqtx.broker.broker import Broker
from nsqtx.storage.store import Store

__all__ = ["Rounds"]

log = Logger(namespace="nsqd")

#: How often deadlines and due times are looked at (seconds): the accuracy that NSQ promises.
SCAN_INTERVAL = 0.1
#: How often checkpoints are written (seconds): what a crash may deliver again.
TICK_INTERVAL = 1.0


class Rounds:
    """Looks after deadlines, checkpoints and logs, while connections are served in between."""

    def __init__(self, broker: Broker, store: Store, reactor: Any) -> None:
        self._broker = broker
        self._store = store
        self._reactor = reactor
        self._loops: list[LoopingCall] = []
        #: When the rest of a round comes.
        self._rest: IDelayedCall | None = None

    def start(self) -> None:
        """Begin."""
        for interval, run in ((SCAN_INTERVAL, self._broker.scan), (TICK_INTERVAL, self._tick)):
            loop = LoopingCall(self._guarded, run)
            loop.clock = self._reactor
            loop.start(interval, now=False).addErrback(self._broken)
            self._loops.append(loop)

    def stop(self) -> None:
        """Do no more."""
        for loop in self._loops:
            loop.stop()
        self._loops = []
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    def _tick(self) -> None:
        self._store.tick()
        if self._rest is None:
            self._go_on()

    def _go_on(self) -> None:
        self._rest = None
        if self._broker.tick():
            self._rest = self._reactor.callLater(0, self._guarded, self._go_on)

    def _guarded(self, run: Callable[[], None]) -> None:
        """A bug in one round must not end all rounds."""
        try:
            run()
        except Exception:  # noqa: BLE001
            log.failure("periodic work")

    def _broken(self, failure: Failure) -> None:
        log.failure("periodic work ended", failure)
