"""A reactor for UDP without sockets: datagrams are kept with the time they were sent at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock

__all__ = ["FakeUdpReactor"]


class FakeUdpReactor(Clock):
    """A clock that also sends datagrams and looks up names.

    ``names`` maps a name to its address. A name in ``slow`` is answered by `answer`.
    """

    def __init__(self, **names: str) -> None:
        super().__init__()
        self.advance(1_700_000_000)
        self.began = self.seconds()
        self.names = names
        self.slow: dict[str, Any] = {}
        #: Seconds since the start, place, data.
        self.sent: list[tuple[float, tuple[str, int], bytes]] = []
        self.lookups: list[str] = []
        self.interfaces: list[str] = []
        #: How long was waited, each time.
        self.delays: list[float] = []
        self.open_ports = 0
        self.refuse_to_listen: Exception | None = None
        self.refuse_to_send: Exception | None = None

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> IDelayedCall:
        """Note that somebody waits."""
        self.delays.append(delay)
        return super().callLater(delay, callable, *args, **kw)

    @property
    def nameResolver(self) -> FakeUdpReactor:
        """This is the resolver too."""
        return self

    def resolveHostName(self, receiver: Any, name: str, transportSemantics: str) -> None:
        """Answer at once, or later if the name is slow."""
        assert transportSemantics == "UDP"
        self.lookups.append(name)
        receiver.resolutionBegan(None)
        if name in self.slow:
            self.slow[name] = receiver
        else:
            self._resolved(receiver, name)

    def _resolved(self, receiver: Any, name: str) -> None:
        if name in self.names:
            for host in (self.names[name], "192.0.2.99"):
                receiver.addressResolved(IPv4Address("UDP", host, 0))
        receiver.resolutionComplete()

    def answer(self, name: str) -> None:
        """Answer a slow lookup."""
        self._resolved(self.slow[name], name)

    def listenUDP(self, port: int, protocol: Any, interface: str = "") -> FakeUdpPort:
        """Open a port."""
        if self.refuse_to_listen is not None:
            raise self.refuse_to_listen
        self.interfaces.append(interface)
        opened = FakeUdpPort(self)
        protocol.transport = opened
        return opened


class FakeUdpPort:
    """A socket of `FakeUdpReactor`."""

    def __init__(self, reactor: FakeUdpReactor) -> None:
        self._reactor = reactor
        self._place = ("", 0)
        reactor.open_ports += 1

    def connect(self, host: str, port: int) -> None:
        """Where datagrams go."""
        self._place = (host, port)

    def write(self, data: bytes) -> None:
        """Send, or refuse."""
        if self._reactor.refuse_to_send is not None:
            raise self._reactor.refuse_to_send
        now = self._reactor.seconds() - self._reactor.began
        self._reactor.sent.append((now, self._place, data))

    def stopListening(self) -> Deferred[None]:
        """Close."""
        self._reactor.open_ports -= 1
        return succeed(None)
