"""One end of a connection in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHandshakeListener, ITCPTransport, ITLSTransport
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from nsqtx.testing.reactor import MemoryReactor

__all__ = ["CAPACITY", "MemoryTransport"]

#: How much the network takes of what nobody reads (bytes).
CAPACITY = 65536


@implementer(ITCPTransport, ITLSTransport)
class MemoryTransport:
    """One end of a connection. ``peer`` is the other; ``protocol`` is what reads from this one.

    TLS is an agreement only: when both ends have called `startTLS`, both are told that the
    handshake is over, and bytes go on as before. ``tls`` has the options that were given.
    """

    peer: MemoryTransport

    def __init__(
        self,
        reactor: MemoryReactor,
        protocol: Any,
        here: Any,
        there: Any,
        gone: Any = None,
    ) -> None:
        self.protocol = protocol
        self.connected = True
        self.disconnecting = False
        #: The most bytes that come in one read.
        self.read_size = CAPACITY
        self.tls: Any = None
        self._reactor = reactor
        self._here = here
        self._there = there
        self._gone = gone
        self._inbox = bytearray()
        self._reading = True
        self._due = False
        #: Why the other side is gone, to be told behind what it sent.
        self._end: Exception | None = None
        self._producer: Any = None
        self._paused = False

    # -- writing -------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        if self.connected and not self.disconnecting:
            self.peer._inbox += data
            self.peer._wake()
            self._look_at_room()

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if not self.connected:
            producer.stopProducing()
            return
        self._producer = producer
        self._look_at_room()

    def unregisterProducer(self) -> None:
        self._producer = None
        self._close_if_sent()

    def _look_at_room(self) -> None:
        full = len(self.peer._inbox) > CAPACITY
        if self._producer is not None and full != self._paused:
            self._paused = full
            (self._producer.pauseProducing if full else self._producer.resumeProducing)()

    # -- reading -------------------------------------------------------------------------------

    def pauseProducing(self) -> None:
        self._reading = False

    def resumeProducing(self) -> None:
        self._reading = True
        self._wake()

    def stopProducing(self) -> None:
        self.loseConnection()

    def _wake(self) -> None:
        if not self._due and self.connected:
            self._due = True
            self._reactor.callLater(0, self._deliver)

    def _deliver(self) -> None:
        self._due = False
        if not self.connected or not self._reading:
            return
        if self._inbox:
            data = bytes(self._inbox[: self.read_size])
            del self._inbox[: self.read_size]
            if not self.disconnecting:
                self.protocol.dataReceived(data)
            if self.peer.connected:
                self.peer._look_at_room()
            self.peer._close_if_sent()
            if self._inbox or self._end is not None:
                self._wake()
        elif self._end is not None:
            self._lost(self._end)

    # -- the end -------------------------------------------------------------------------------

    def loseConnection(self) -> None:
        """Close when all is sent, and no producer is registered."""
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._close_if_sent()

    def _close_if_sent(self) -> None:
        sent = len(self.peer._inbox) <= CAPACITY and self._producer is None
        if self.disconnecting and self.connected and sent:
            self._reactor.callLater(0, self._closed, ConnectionDone())

    def abortConnection(self) -> None:
        """Close now; what is under way to the other side does not arrive."""
        if self.connected:
            self.disconnecting = True
            self._reactor.callLater(0, self._closed, ConnectionAborted())

    def _closed(self, reason: Exception) -> None:
        if not self.connected:
            return
        if isinstance(reason, ConnectionAborted):
            self.peer._inbox.clear()
            self.peer._reading = True
            self.peer._end = ConnectionLost()
        else:
            self.peer._end = reason
        self.peer._wake()
        self._lost(reason)

    def _lost(self, reason: Exception) -> None:
        if not self.connected:
            return
        self.connected = False
        if self._producer is not None:
            self._producer.stopProducing()
        if self.peer.connected and self.peer._end is None:
            self.peer._end = reason
            self.peer._wake()
        failure = Failure(reason)
        self.protocol.connectionLost(failure)
        if self._gone is not None:
            self._gone(failure)

    def loseWriteConnection(self) -> None:
        self.loseConnection()

    # -- the rest ------------------------------------------------------------------------------

    def startTLS(self, contextFactory: Any, normal: bool = True) -> None:
        self.tls = contextFactory
        if self.peer.tls is not None:
            for end in (self, self.peer):
                if IHandshakeListener.providedBy(end.protocol):
                    self._reactor.callLater(0, end.protocol.handshakeCompleted)

    def getPeer(self) -> Any:
        return self._there

    def getHost(self) -> Any:
        return self._here

    def setTcpNoDelay(self, enabled: bool) -> None:
        """There is nothing to delay."""

    def getTcpNoDelay(self) -> bool:
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """It is kept anyway."""

    def getTcpKeepAlive(self) -> bool:
        return True
