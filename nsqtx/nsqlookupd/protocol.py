"""The TCP side of nsqlookupd: a Twisted protocol per connection, its timers, its factory."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

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
        self._factory.connections[self] = None
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
        _cancel(self._timer)
        self._factory.connections.pop(self, None)
        self.session.lost()
        self._factory.connection_gone()

    # What the session wants (nsqtx.nsqlookupd.session.Connection).

    def write(self, data: bytes) -> None:
        self.link.write(data)

    def close(self) -> None:
        self._closing = True
        _cancel(self._timer)
        lingers = self._factory.lingers and not self._read_closed
        if lingers and hasattr(self.transport, "loseWriteConnection"):
            self.link.close_sending()
            self._timer = self._factory.node.clock.callLater(LINGER, self.link.finish)
        else:
            self.link.close()


def _cancel(call: IDelayedCall | None) -> None:
    if call is not None and call.active():
        call.cancel()


@attrs.define(eq=False, slots=False)
class LookupFactory(Factory):
    """Makes a protocol per connection and knows all that are open."""

    node: Node
    #: Whether to linger after an error; not when nsqlookupd stops.
    lingers: bool = True
    connections: dict[LookupProtocol, None] = attrs.Factory(dict)
    _all_gone: Deferred[None] | None = None

    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> LookupProtocol:
        return LookupProtocol(self)

    def stop(self, patience: float) -> Deferred[None]:
        """Close all connections, without a word; after ``patience`` seconds without mercy."""
        self.lingers = False
        if not self.connections:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._all_gone = done
        for protocol in list(self.connections):
            protocol.session.dropped()
        cut = self.node.clock.callLater(patience, self._cut)
        done.addCallback(lambda _: _cancel(cut))
        return done

    def _cut(self) -> None:
        for protocol in list(self.connections):
            protocol.link.abort()

    def connection_gone(self) -> None:
        """A connection was lost."""
        if self._all_gone is not None and not self.connections:
            done, self._all_gone = self._all_gone, None
            done.callback(None)
