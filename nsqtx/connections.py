"""All connections of a daemon over TCP: known as long as they are open, closed in order."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory

__all__ = ["ClosingFactory", "ServerConnection", "cancel"]


class ServerConnection(Protocol):
    """What a factory wants of the protocols that it makes."""

    def drop(self) -> None:
        """Close without a word, when all is sent."""

    def abort(self) -> None:
        """Close now."""


class ClosingFactory(Factory):
    """Knows the connections that are open: each calls `opened`, and `lost` in the end."""

    noisy = False

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        #: In the order of connecting.
        self.connections: dict[ServerConnection, None] = {}
        #: Whether to linger after an error; not when the daemon stops.
        self.lingers = True
        self._all_lost: Deferred[None] | None = None

    def opened(self, connection: ServerConnection) -> None:
        """There is one more."""
        self.connections[connection] = None

    def lost(self, connection: ServerConnection) -> None:
        """It is gone, with all that was to be done about it."""
        self.connections.pop(connection, None)
        if self._all_lost is not None and not self.connections:
            done, self._all_lost = self._all_lost, None
            done.callback(None)

    def stop(self, patience: float) -> Deferred[None]:
        """Close all, without a frame; after ``patience`` seconds without mercy."""
        self.lingers = False
        if not self.connections:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._all_lost = done
        for connection in list(self.connections):
            connection.drop()
        cut = self._clock.callLater(patience, self._cut)
        return done.addCallback(lambda _: cancel(cut))

    def _cut(self) -> None:
        for connection in list(self.connections):
            connection.abort()


def cancel(call: IDelayedCall | None) -> None:
    """Cancel a call if there is one, and its time has not come."""
    if call is not None and call.active():
        call.cancel()
