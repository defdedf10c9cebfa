"""Keeps one address connected: dial, handshake, stay until the end, again after a delay.

`nsqtx.client.redial` says how long each delay is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from nsqtx.client.connection import NsqdConnection
from nsqtx.client.errors import ConnectError, NsqError
from nsqtx.client.events import Connected, ConnectFailed, Disconnected, OnEvent
from nsqtx.client.redial import Redial

__all__ = ["Keeper"]

T = TypeVar("T")

log = Logger(namespace="nsqtx.client")


class Keeper:
    """Keeps ``address`` connected from `start` until `stop`.

    ``dial`` makes a connection that can be used, ``up`` gets it, and ``down`` gets it when it is
    lost. Without ``again`` it ends with the first failure or loss, and calls ``ended``: whoever
    named the address may name it again.
    """

    def __init__(
        self,
        address: str,
        clock: IReactorTime,
        dial: Callable[[], Deferred[NsqdConnection]],
        up: Callable[[NsqdConnection], None],
        down: Callable[[NsqdConnection, NsqError], None],
        tell: OnEvent,
        redial: Redial,
        again: bool = True,
        ended: Callable[[], None] | None = None,
    ) -> None:
        self.address = address
        self.connection: NsqdConnection | None = None
        self.again = again
        self._clock = clock
        self._dial = dial
        self._up = up
        self._down = down
        self._tell = tell
        self._redial = redial
        self._ended = ended
        self.stopped = False
        #: What is waited for, but for the end of a connection.
        self._pending: Deferred[Any] | None = None

    def start(self) -> None:
        """Dial, now."""
        Deferred.fromCoroutine(self._run()).addErrback(self._broken)

    def stop(self) -> None:
        """Dial no more. A connection that is open is left to who uses it, who closes it."""
        self.stopped = True
        self.again = False
        # Not the coroutine, which is perhaps running: it may be who told the one that stops us.
        if self._pending is not None:
            self._pending.cancel()

    def _broken(self, failure: Failure) -> None:
        log.failure("nsqd {address}: no longer kept", failure=failure, address=self.address)

    async def _run(self) -> None:
        delay = 0.0
        while True:
            try:
                delay = await self._once()
                if not self.again:
                    break
                await self._wait_for(deferLater(self._clock, delay))
            except CancelledError:
                if self.stopped:
                    break
                raise
        if self._ended is not None:
            self._ended()

    async def _wait_for(self, pending: Deferred[T]) -> T:
        self._pending = pending
        try:
            return await pending
        finally:
            self._pending = None

    async def _once(self) -> float:
        """One connection, from dial to end; how long to wait before the next."""
        try:
            connection = await self._wait_for(self._dial())
        except NsqError as error:
            delay = self._redial.failed()
            reason = error.reason if isinstance(error, ConnectError) else str(error)
            log.warn("nsqd {address}: {reason}", address=self.address, reason=reason)
            self._tell(ConnectFailed(self.address, reason, delay if self.again else None))
            return delay
        self._redial.connected()
        self.connection = connection
        log.info("nsqd {address}: connected", address=self.address)
        self._tell(Connected(self.address))
        self._up(connection)
        gone = await connection.when_closed()
        self.connection = None
        log.info("nsqd {address}: {reason}", address=self.address, reason=str(gone))
        self._tell(Disconnected(self.address, str(gone)))
        self._down(connection, gone)
        return self._redial.failed()
