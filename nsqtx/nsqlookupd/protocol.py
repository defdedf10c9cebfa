"""The TCP side of nsqlookupd: a Twisted protocol per connection, its timers, its factory."""

from __future__ import annotations

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    ITransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from nsqtx.connections import ClosingFactory, cancel
from nsqtx.link import Link, remote_address
from nsqtx.nsqlookupd.node import Node
from nsqtx.nsqlookupd.session import Session

__all__ = ["LookupFactory", "LookupProtocol"]

log = Logger(namespace="nsqlookupd.tcp")

#: Bytes that one read brings at most. Some thirty commands: an nsqd that registers everything it
#: has must not keep the others waiting.
READ_SIZE = 1024
#: How long a client may take to say the magic (seconds).
MAGIC_TIMEOUT = 60.0
#: After an error we send no more but read on for this long (seconds), so that the kernel does not
#: answer bytes under way with a reset, which can cost the client the error.
LINGER = 1.0


@implementer(IHalfCloseableProtocol)
class LookupProtocol(Protocol):
    """One connection of an nsqd."""

    session: Session
    link: Link

    def __init__(self, factory: LookupFactory) -> None:
        self._factory = factory
        self._timer: IDelayedCall | None = None
        self._read_closed = False
        self._closing = False

    def connectionMade(self) -> None:
        assert self.transport is not None
        transport: ITransport = self.transport
        _, address = remote_address(transport)
        log.info("TCP: new client({address})", address=address)
        self.link = Link(transport, lambda: None, lambda: None, buffer_size=READ_SIZE)
        self.link.open()
        self.session = Session(self._factory.node, self, address)
        self._factory.node.sessions[self.session] = None
        self._factory.opened(self)
        self._timer = self._factory.node.clock.callLater(MAGIC_TIMEOUT, self._no_magic)

    def _no_magic(self) -> None:
        if not self.session.opened:
            self.session.dropped()

    def dataReceived(self, data: bytes) -> None:
        if self.session.closed:
            return
        try:
            self.session.receive(data)
        except Exception:  # noqa: BLE001
            # A bug costs this connection, not the daemon.
            log.failure("[{address}] - connection closed", address=self.session.address)
            self.session.closed = True
            self.link.abort()

    def readConnectionLost(self) -> None:
        """The client closed its sending side."""
        self._read_closed = True
        if self._closing:
            self.link.close()  # it only lingered for this
        else:
            self.session.ended()

    def writeConnectionLost(self) -> None:
        """We closed our sending side, in `close`."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        cancel(self._timer)
        self._factory.node.sessions.pop(self.session, None)
        self.session.lost()
        self._factory.lost(self)

    # What the factory wants (nsqtx.connections.ServerConnection).

    def drop(self) -> None:
        self.session.dropped()

    def abort(self) -> None:
        self.link.abort()

    # What the session wants (nsqtx.nsqlookupd.session.Connection).

    def write(self, data: bytes) -> None:
        self.link.write(data)

    def close(self) -> None:
        self._closing = True
        cancel(self._timer)
        lingers = self._factory.lingers and not self._read_closed
        if lingers and hasattr(self.transport, "loseWriteConnection"):
            self.link.close_sending()
            self._timer = self._factory.node.clock.callLater(LINGER, self.link.finish)
        else:
            self.link.close()


class LookupFactory(ClosingFactory):
    """Makes a protocol per connection."""

    def __init__(self, node: Node) -> None:
        super().__init__(node.clock)
        self.node = node

    def buildProtocol(self, addr: IAddress | None) -> LookupProtocol:
        return LookupProtocol(self)
