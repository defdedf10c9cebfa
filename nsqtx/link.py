"""How bytes leave nsqd: at once when the connection has room, else by Twisted's buffer."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

__all__ = ["BUFFER_SIZE", "Link", "prepare", "send_now", "sends_now"]

#: What one read brings at most, and what may wait in the write buffer before a consumer is
#: blocked. Twisted's 64 KiB cost a turn of the reactor for every 300 messages.
BUFFER_SIZE = 256 * 1024
#: What one write hands to the kernel at most.
SEND_SIZE = 1024 * 1024
#: Replies that a client may leave unread before we stop reading its commands.
REPLY_LIMIT = 1024 * 1024


def sends_now(transport: Any) -> bool:
    """Whether `send_now` knows this transport: a socket of Twisted's, without TLS."""
    # Of the class: what wraps a transport, as TLS over a connection does, has all that it has.
    return hasattr(type(transport), "SEND_LIMIT") and not getattr(transport, "TLS", False)


def prepare(transport: Any, read_size: int = BUFFER_SIZE) -> bool:
    """Set the options of TCP, and what one read brings at most; whether it `sends_now`."""
    if isinstance(transport.getPeer(), (IPv4Address, IPv6Address)):
        transport.setTcpNoDelay(True)
        transport.setTcpKeepAlive(True)
    direct = sends_now(transport)
    if direct:
        transport.bufferSize = read_size
    return direct


def send_now(transport: Any, data: bytes) -> bytes:
    """Send in this turn of the reactor, if nothing is buffered; what is left for `write`."""
    if transport.dataBuffer or transport._tempDataBuffer:
        return data
    if transport.disconnecting or not transport.connected:
        return b""
    try:
        sent = transport.socket.send(data)
    except OSError:
        # The kernel has no room; or the write that follows meets the same error, where Twisted
        # deals with it.
        return data
    return b"" if sent == len(data) else data[sent:]


@implementer(IPushProducer)
@attrs.define(eq=False, slots=False)
class Link:
    """The writing side of one connection. ``blocked`` while the peer does not read.

    Twisted's `write` waits for the reactor's next turn. With nothing buffered, `send_now` sends in
    this turn, which is a third of the price of a PUB that waits for its OK.
    """

    transport: Any
    on_blocked: Any
    on_unblocked: Any
    #: Called when the last reason not to read is gone; by default, read on.
    on_released: Any = None
    #: What one read brings at most, and what may wait in the write buffer.
    buffer_size: int = BUFFER_SIZE
    blocked: bool = False
    _direct: bool = False
    _registered: bool = False
    _unread: int = 0
    #: Why we do not read: ``unread`` answers, ``held`` by the session, a command that ``waits``.
    _reasons: set[str] = attrs.Factory(set)

    def open(self) -> None:
        """Take the transport over: options, buffer sizes, back-pressure."""
        transport = self.transport
        if self.on_released is None:
            self.on_released = transport.resumeProducing
        self._direct = prepare(transport, self.buffer_size)
        if self._direct:
            transport.SEND_LIMIT = SEND_SIZE
        transport.registerProducer(self, True)
        self._registered = True

    def write(self, data: bytes) -> None:
        """Send, or buffer what the kernel does not take now."""
        transport = self.transport
        if self._direct:
            data = send_now(transport, data)
            if not data:
                return
        if self.blocked:
            self._unread += len(data)
            if self._unread > REPLY_LIMIT:
                self.hold("unread", True)
        transport.write(data)

    def hold(self, reason: str, on: bool) -> None:
        """Do not read while there is a reason not to."""
        reasons = self._reasons
        if on == (reason in reasons):
            return
        if on:
            if not reasons:
                self.transport.pauseProducing()
            reasons.add(reason)
        else:
            reasons.remove(reason)
            if not reasons:
                self.on_released()

    @property
    def held(self) -> bool:
        """Whether there is a reason not to read."""
        return bool(self._reasons)

    def close(self) -> None:
        """Close when what is buffered has been sent."""
        self._unregister()
        self.transport.loseConnection()

    def close_sending(self) -> None:
        """Close our side when what is buffered has been sent, and read on."""
        self._unregister()
        self._reasons.clear()
        self.transport.resumeProducing()
        self.transport.loseWriteConnection()

    def _unregister(self) -> None:
        # A transport whose producer is paused would wait for it and never close.
        if self._registered:
            self._registered = False
            self.transport.unregisterProducer()

    def finish(self) -> None:
        """Close now, politely if everything was sent."""
        self.transport.loseConnection()
        self.transport.abortConnection()

    def abort(self) -> None:
        """Close now."""
        self.transport.abortConnection()

    def pauseProducing(self) -> None:
        """Twisted's buffer is full."""
        self.blocked = True
        self.on_blocked()

    def resumeProducing(self) -> None:
        """Twisted's buffer is empty again."""
        self.blocked = False
        self._unread = 0
        self.hold("unread", False)
        self.on_unblocked()

    def stopProducing(self) -> None:
        """The connection is gone; `connectionLost` does what there is to do."""

    def lost(self) -> None:
        """The connection is gone: forget whom to tell."""
        self.on_blocked = self.on_unblocked = self.on_released = _nobody


def _nobody() -> None:
    """Nobody has to be told."""
