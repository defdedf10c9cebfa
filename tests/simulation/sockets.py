"""Sockets of the simulated network, with what Twisted's TCP transports need of a socket."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.network import Host
    from tests.simulation.reactor import SimulatedReactor

__all__ = ["SimulatedSocket"]


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class SimulatedSocket:
    """One end of a connection, or one that listens.

    What was sent and not yet read at the other end is bounded by ``window`` bytes.
    """

    def __init__(self, reactor: SimulatedReactor) -> None:
        self.reactor = reactor
        self.host: Host = reactor.host
        self.network = reactor.host.network
        #: The descriptor of Twisted's that is on it.
        self.descriptor: Any = None
        self.peer: SimulatedSocket | None = None
        self.connected = False
        self.closed = False
        self.error = 0
        self.last_arrival = 0.0
        self.window = self.network.world.random.choice((4096, 65536, 262144))
        self._address = (self.host.address, 0)
        self._peer_address = ("", 0)
        self._inbox = bytearray()
        self._eof = False
        self._sent_eof = False
        #: Sent and not yet read.
        self._outstanding = 0
        #: The sender waits until something was read.
        self._starved = False
        self._connecting = False
        self._abort = False
        self._accepting: list[SimulatedSocket] | None = None
        self.host.sockets[self] = None

    # What the reactor asks.

    def readable(self) -> bool:
        """Whether a read would not block."""
        return bool(self._inbox or self._eof or self.error or self._accepting)

    def writable(self) -> bool:
        """Whether a write would not block."""
        if self.error:
            return True
        return self.connected and self._outstanding < self.window

    # What Twisted calls.

    def setblocking(self, flag: bool) -> None:
        """It never blocks."""

    def fileno(self) -> int:
        """Not a descriptor of the system."""
        return -1 if self.closed else 1

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        """Of all options only a linger of no time matters: it makes `close` a reset."""
        if level == socket.SOL_SOCKET and option == socket.SO_LINGER:
            self._abort = True

    def getsockopt(self, level: int, option: int) -> int:
        """The error, once."""
        if option != socket.SO_ERROR:
            return 0
        error, self.error = self.error, 0
        return error

    def getsockname(self) -> tuple[str, int]:
        """This end."""
        return self._address

    def getpeername(self) -> tuple[str, int]:
        """The other end."""
        return self._peer_address

    def bind(self, address: tuple[str, int]) -> None:
        """Choose a port to listen on."""
        port = address[1] or self.network.next_port()
        if port in self.host.listeners:
            raise _error(errno.EADDRINUSE)
        self._address = (self.host.address, port)

    def listen(self, backlog: int) -> None:
        """Wait for others to connect."""
        self._accepting = []
        self.host.listeners[self._address[1]] = self

    def accept(self) -> tuple[SimulatedSocket, tuple[str, int]]:
        """The next who has connected."""
        if not self._accepting:
            raise _error(errno.EWOULDBLOCK)
        accepted = self._accepting.pop(0)
        return accepted, accepted.getpeername()

    def connect_ex(self, address: tuple[str, int]) -> int:
        """Connect, or see how that went."""
        if self.connected:
            return errno.EISCONN
        if self._connecting:
            return errno.EALREADY
        self._connecting = True
        self._address = (self.host.address, self.network.next_port())
        self._peer_address = address
        target = self.network.hosts.get(address[0])
        if target is None:
            return errno.EHOSTUNREACH
        self.network.send(self, self.host, target, 0, self._asked, target, address[1])
        return errno.EINPROGRESS

    def recv(self, size: int) -> bytes:
        """What has come, or by chance only a part of it."""
        if self.error:
            raise _error(self.error)
        inbox = self._inbox
        if not inbox:
            if self._eof:
                return b""
            raise _error(errno.EWOULDBLOCK)
        count = min(size, len(inbox))
        random = self.network.world.random
        if count > 1 and random.random() < 0.1:
            count = random.randrange(1, count)
        data = bytes(inbox[:count])
        del inbox[:count]
        self._tell_read(count)
        return data

    def send(self, data: Any) -> int:
        """Take as much as there is room for."""
        if self.error:
            raise _error(self.error)
        if self._sent_eof or self.peer is None or self.reactor.frozen:
            raise _error(errno.EPIPE)
        room = self.window - self._outstanding
        if room <= 0:
            self._starved = True
            raise _error(errno.EWOULDBLOCK)
        taken = bytes(data[:room])
        self._starved = len(taken) == room
        self._outstanding += len(taken)
        self._transmit(len(taken), self.peer._received, taken)
        return len(taken)

    def shutdown(self, how: int) -> None:
        """Send no more."""
        if not self.connected:
            raise _error(errno.ENOTCONN)
        self._end()

    def close(self) -> None:
        """Close; with a reset if that is wanted, or if something was not read."""
        if self.closed:
            return
        if self.connected and not self.error:
            if (self._abort or self._inbox) and self.peer is not None:
                self._transmit(0, self.peer.fail, errno.ECONNRESET)
            else:
                self._end()
        self._gone()

    # What happens in the network.

    def vanish(self) -> None:
        """The host lost its power."""
        self._accepting = None
        self._gone()

    def _gone(self) -> None:
        self.closed = True
        self.connected = False
        self.host.sockets.pop(self, None)
        self.network.connections.pop(self, None)
        self.reactor.hot.pop(self, None)
        if self._accepting is not None:
            if self.host.listeners.get(self._address[1]) is self:
                del self.host.listeners[self._address[1]]
            for each in self._accepting:
                each._abort = True
                each.close()

    def _transmit(self, size: int, arrive: Any, *args: Any) -> None:
        assert self.peer is not None
        self.network.send(self, self.host, self.peer.host, size, arrive, *args)

    def _end(self) -> None:
        if not self._sent_eof and self.peer is not None and not self.reactor.frozen:
            self._sent_eof = True
            self._transmit(0, self.peer._ended)

    def _asked(self, target: Host, port: int) -> None:
        """Somebody connects; this is at the target, whose socket does not exist yet."""
        listener = target.listeners.get(port)
        if listener is None or listener._accepting is None:
            self.network.send(None, target, self.host, 0, self.fail, errno.ECONNREFUSED)
            return
        peer = SimulatedSocket(listener.reactor)
        peer.peer = self
        peer.connected = True
        peer._address = (target.address, port)
        peer._peer_address = self._address
        listener._accepting.append(peer)
        listener.reactor.heat(listener)
        peer._transmit(0, self._accepted, peer)

    def _accepted(self, peer: SimulatedSocket) -> None:
        if self.closed:
            self.network.send(None, self.host, peer.host, 0, peer.fail, errno.ECONNRESET)
            return
        self.peer = peer
        self.connected = True
        self._connecting = False
        self.network.connections[self] = None
        self.reactor.heat(self)

    def _received(self, data: bytes) -> None:
        if self.closed:
            if self.peer is not None:  # else it was told already
                peer = self.peer
                self.network.send(None, self.host, peer.host, 0, peer.fail, errno.ECONNRESET)
            return
        if not self.error:
            self._inbox += data
            self.reactor.heat(self)

    def _ended(self) -> None:
        if not self.closed:
            self._eof = True
            self.reactor.heat(self)

    def fail(self, number: int) -> None:
        """The connection is reset, or refused."""
        if not self.closed and not self.error:
            self.error = number
            self._inbox.clear()
            self.connected = self._connecting = False
            self.reactor.heat(self)

    def _tell_read(self, count: int) -> None:
        """The other end may send so many bytes more; if it waits for that, it is told."""
        peer = self.peer
        assert peer is not None
        if peer._starved:
            self._transmit(0, peer._was_read, count)
        else:
            peer._outstanding -= count

    def _was_read(self, count: int) -> None:
        self._outstanding -= count
        self._starved = False
        if not self.closed:
            self.reactor.heat(self)
