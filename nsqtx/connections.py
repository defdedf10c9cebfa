"""All connections of a daemon over TCP: known as long as they are open, closed in order."""

from __future__ import annotations

from typing import Protocol

from twisted.internet import protocol
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IReactorTime
from twisted.internet.protocol import Factory
from zope.interface import implementer

from nsqtx.link import Link

__all__ = ["LINGER", "ClosingFactory", "ServerProtocol", "cancel"]

#: After an error we send no more but read on for this long (seconds), so that the kernel does not
#: answer bytes under way with a reset, which can cost the client the error.
LINGER = 1.0


class Sending(Protocol):
    """What the end of a connection is said to: a `Link`, or what lies above it."""

    def close(self) -> None:
        """Close when what is buffered has been sent."""

    def close_sending(self) -> None:
        """Close our side then, and read on."""


class ServerSession(Protocol):
    """What a connection tells its session."""

    def ended(self) -> None:
        """The client sends no more."""

    def dropped(self) -> None:
        """Close without a word, when all is sent."""


@implementer(IHalfCloseableProtocol)
class ServerProtocol(protocol.Protocol):
    """A connection to a daemon, and how it ends."""

    link: Link
    session: ServerSession

    def __init__(self, factory: ClosingFactory) -> None:
        self._lingers = lambda: factory.lingers
        self._clock = factory.clock
        self._linger: IDelayedCall | None = None
        self._read_closed = False
        #: We have sent all that we will.
        self._closing = False

    def drop(self) -> None:
        """Close without a word, when all is sent."""
        self.session.dropped()

    def abort(self) -> None:
        """Close now."""
        self.link.abort()

    def readConnectionLost(self) -> None:
        """The client closed its sending side."""
        self._read_closed = True
        self._input_ended()

    def _input_ended(self) -> None:
        """The client sends no more, and all that it sent was done."""
        if self._closing:
            self.link.close()  # it only lingered for this
        else:
            self.session.ended()  # which closes, maybe after a commit

    def writeConnectionLost(self) -> None:
        """We closed our sending side, in `_end`."""

    def _let_go(self) -> None:
        """The connection is gone, and all was done about it.

        The session, the link and calls that were made refer to us. As long as we refer to them,
        too, nothing but the garbage collector, which is run seldom, would free all of it.
        """
        self.link.lost()
        self._linger = None
        del self.session

    def _end(self, top: Sending) -> None:
        """Send what is buffered, then close; linger, unless the client has closed its side."""
        self._closing = True
        can_linger = hasattr(self.transport, "loseWriteConnection")
        if can_linger and self._lingers() and not self._read_closed:
            top.close_sending()
            if self._linger is None:
                self._linger = self._clock.callLater(LINGER, self.link.finish)
        else:
            top.close()


class ClosingFactory(Factory):
    """Knows the connections that are open: each calls `opened`, and `lost` in the end."""

    noisy = False

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock
        #: In the order of connecting.
        self.connections: dict[ServerProtocol, None] = {}
        #: Whether to linger after an error; not when the daemon stops.
        self.lingers = True
        self._all_lost: Deferred[None] | None = None

    def opened(self, connection: ServerProtocol) -> None:
        """There is one more."""
        self.connections[connection] = None

    def lost(self, connection: ServerProtocol) -> None:
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
        cut = self.clock.callLater(patience, self._cut)
        return done.addCallback(lambda _: cancel(cut))

    def _cut(self) -> None:
        for connection in list(self.connections):
            connection.abort()


def cancel(call: IDelayedCall | None) -> None:
    """Cancel a call if there is one, and its time has not come."""
    if call is not None and call.active():
        call.cancel()
