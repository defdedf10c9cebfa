"""The TCP side of nsqlookupd: a Twisted protocol per connection, its timers, its factory."""

from __future__ import annotations

from twisted.internet.interfaces import IAddress, IDelayedCall, ITransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from nsqtx.connections import ClosingFactory, ServerProtocol, cancel
from nsqtx.link import Link
from nsqtx.listen import remote_address
from nsqtx.nsqlookupd.node import Node
from nsqtx.nsqlookupd.session import Session

__all__ = ["LookupFactory", "LookupProtocol"]

log = Logger(namespace="nsqlookupd.tcp")

#: Bytes that one read brings at most. Some thirty commands: an nsqd that registers everything it
#: has must not keep the others waiting.
READ_SIZE = 1024
#: How long a client may take to say the magic (seconds).
MAGIC_TIMEOUT = 60.0


class LookupProtocol(ServerProtocol):
    """One connection of an nsqd."""

    session: Session

    def __init__(self, factory: LookupFactory) -> None:
        super().__init__(factory)
        self._factory = factory
        self._no_magic_yet: IDelayedCall | None = None

    def connectionMade(self) -> None:
        assert self.transport is not None
        transport: ITransport = self.transport
        _, address = remote_address(transport.getPeer())
        log.info("TCP: new client({address})", address=address)
        self.link = Link(transport, lambda: None, lambda: None, buffer_size=READ_SIZE)
        self.link.open()
        self.session = Session(self._factory.node, self, address)
        self._factory.node.sessions[self.session] = None
        self._factory.opened(self)
        self._no_magic_yet = self._clock.callLater(MAGIC_TIMEOUT, self._no_magic)

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

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        for call in (self._no_magic_yet, self._linger):
            cancel(call)
        self._factory.node.sessions.pop(self.session, None)
        self.session.lost()
        self._factory.lost(self)
        self._no_magic_yet = None
        self._let_go()

    # What the session wants (nsqtx.nsqlookupd.session.Connection).

    def write(self, data: bytes) -> None:
        self.link.write(data)

    def close(self) -> None:
        cancel(self._no_magic_yet)
        self._end(self.link)


class LookupFactory(ClosingFactory):
    """Makes a protocol per connection."""

    def __init__(self, node: Node) -> None:
        super().__init__(node.clock)
        self.node = node

    def buildProtocol(self, addr: IAddress | None) -> LookupProtocol:
        return LookupProtocol(self)
