"""The TCP side of nsqd: a Twisted protocol per connection, its timers, its factory."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IAddress, IDelayedCall, ITransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from nsqtx.connections import ClosingFactory, ServerProtocol, cancel
from nsqtx.link import Link
from nsqtx.listen import remote_address
from nsqtx.nsqd.layers import Layers
from nsqtx.nsqd.node import Node
from nsqtx.nsqd.session import Session
from nsqtx.nsqd.upgrade import Upgrade, Upgrades

__all__ = ["NsqdFactory", "NsqdProtocol"]

log = Logger(namespace="nsqd.tcp")

#: The deadline is this much later (seconds) than the heartbeat that is due at the same moment.
GRACE = 0.05


class NsqdProtocol(ServerProtocol):
    """One client's connection."""

    session: Session
    #: What the session writes to: the link, or layers above it.
    _top: Link | Layers
    _receive: Callable[[bytes], None]

    def __init__(self, factory: NsqdFactory) -> None:
        super().__init__(factory)
        self._factory = factory
        self._heartbeat: IDelayedCall | None = None
        self._deadline: IDelayedCall | None = None
        self._upgrades: Upgrades | None = None
        self._blocked_since: float | None = None

    def connectionMade(self) -> None:
        assert self.transport is not None
        transport: ITransport = self.transport
        host, address = remote_address(transport.getPeer())
        log.info("TCP: new client({address})", address=address)
        self.link = Link(transport, self._blocked, self._unblocked)
        self.link.open()
        self._top = self.link
        self.session = Session(self._factory.node, self, host, address)
        self._receive = self.session.receive
        self._factory.node.sessions[self.session] = None
        self._factory.opened(self)
        self._start_heartbeat()
        self._arm_deadline()

    def dataReceived(self, data: bytes) -> None:
        if self.session.closed:
            return
        try:
            self._receive(data)
        except Exception:  # noqa: BLE001
            self._failed()

    def _failed(self) -> None:
        """There is a bug: it costs this connection, not the daemon."""
        self._break(Failure())

    def _break(self, failure: Failure) -> None:
        log.failure("[{address}] - connection closed", failure, address=self.session.address)
        self.session.closed = True
        self.link.abort()

    def readConnectionLost(self) -> None:
        """The client closed its sending side."""
        if self._upgrades is None or self._closing:
            super().readConnectionLost()
        else:
            self._read_closed = True
            self._upgrades.layers.end()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        for call in (self._heartbeat, self._deadline, self._linger):
            cancel(call)
        if self._upgrades is not None:
            self._upgrades.lost()
        self._factory.node.sessions.pop(self.session, None)
        self.session.lost()
        log.info("PROTOCOL(V2): [{address}] exiting ioloop", address=self.session.address)
        self._factory.lost(self)
        self._upgrades = self._heartbeat = self._deadline = None
        del self._receive
        self._let_go()

    # What the session wants (nsqtx.nsqd.session.Connection).

    def write(self, data: bytes) -> None:
        self._top.write(data)

    def close(self) -> None:
        cancel(self._heartbeat)
        cancel(self._deadline)
        if self._upgrades is not None:
            self._upgrades.stop()
        self._end(self._top)

    def hold(self, on: bool, reason: str = "held") -> None:
        self.link.hold(reason, on)

    def upgrade(self, upgrade: Upgrade) -> None:
        if self._upgrades is None:
            self._upgrades = Upgrades(self.session, self.link, self._input_ended)
            self.link.on_released = self._released
            self._top = self._upgrades.layers
            self._receive = self._upgrades.layers.receive
        self._upgrades.add(upgrade)

    def upgraded(self) -> None:
        self._arm_deadline()

    def broken(self, error: Exception) -> None:
        self._break(Failure(error))

    def _released(self) -> None:
        """Nothing keeps us from reading any more; the layers may have something left."""
        assert self._upgrades is not None
        try:
            self._upgrades.layers.go_on()
        except Exception:  # noqa: BLE001
            self._failed()

    def negotiated(self, first: bool) -> None:
        if first:
            self._start_heartbeat()
        self._arm_deadline()

    # Timers.

    def _beat(self, interval: float) -> None:
        self._heartbeat = self._clock.callLater(interval, self._beat, interval)
        since = self._blocked_since
        if since is not None and self._clock.seconds() - since >= interval:
            log.error(
                "[{address}] - client has not read for {interval} s, closing",
                address=self.session.address,
                interval=interval,
            )
            self.link.abort()
            return
        if not self._shaking_hands():
            self.session.heartbeat()

    def _shaking_hands(self) -> bool:
        """Whether a TLS handshake is under way, which has its own deadline and allows no frame."""
        return self._upgrades is not None and self._upgrades.shaking_hands

    def _start_heartbeat(self) -> None:
        cancel(self._heartbeat)
        self._heartbeat = None
        interval = self.session.delivery.heartbeat_interval / 1000
        if interval > 0:
            self._heartbeat = self._clock.callLater(interval, self._beat, interval)

    def _arm_deadline(self) -> None:
        """Close two heartbeat intervals after the last complete command (nsqd-tcp section 6)."""
        cancel(self._deadline)
        self._deadline = None
        limit = 2 * self.session.settings.heartbeat_interval / 1000
        if limit > 0:
            left = self.session.last_command + limit + GRACE - self._clock.seconds()
            self._deadline = self._clock.callLater(max(left, 0.0), self._check_deadline)

    def _check_deadline(self) -> None:
        limit = 2 * self.session.settings.heartbeat_interval / 1000
        if limit <= 0 or self._shaking_hands():
            return
        if self.session.waits_for is not None:
            # It is not the client who keeps us waiting.
            self.session.last_command = self._clock.seconds()
        if self.session.last_command + limit <= self._clock.seconds():
            self.session.ended()
        else:
            self._arm_deadline()

    def _blocked(self) -> None:
        self._blocked_since = self._clock.seconds()
        self.session.set_blocked(True)

    def _unblocked(self) -> None:
        self._blocked_since = None
        self.session.set_blocked(False)


class NsqdFactory(ClosingFactory):
    """Makes a protocol per connection."""

    def __init__(self, node: Node) -> None:
        super().__init__(node.clock)
        self.node = node

    def buildProtocol(self, addr: IAddress | IPv4Address | None) -> NsqdProtocol:
        return NsqdProtocol(self)
