"""TCP in memory: a reactor on a clock, whose connections lead to what listens on it.

Nothing happens within a call: what is written, closed or dialled reaches the other side in the
next turn, which is to say in the next `MemoryReactor.advance`, as it would with a real reactor.
"""

from __future__ import annotations

from typing import Any, TypeVar

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    AlreadyCalled,
    AlreadyCancelled,
    ConnectionRefusedError,
    TimeoutError,
    UserError,
)
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IHostnameResolver,
    IHostResolution,
    IListeningPort,
    IResolutionReceiver,
)
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from zope.interface import implementer

from nsqtx.testing.transport import MemoryTransport

__all__ = ["MemoryReactor"]

T = TypeVar("T")


class MemoryReactor(MemoryReactorClock):
    """A reactor for tests: time passes by `advance`, and connections stay in memory.

    Fakes listen on it by `listenTCP`, and so may any factory of yours, a `Site` for example. A
    connection to an address where nobody listens is refused; one to an address in ``silent``, a
    set of ``host:port``, finds nobody, and times out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.silent: set[str] = set()
        #: How many turns may follow each other without any time passing.
        self.endless = 100_000
        #: Each address that was dialled, in order.
        self.dialled: list[str] = []
        #: The clients' ends of all connections that stand.
        self.transports: list[MemoryTransport] = []
        self.nameResolver = _Names()
        self._listening: dict[tuple[str, int], Any] = {}
        self._last_port = 49151

    # -- time ----------------------------------------------------------------------------------

    def advance(self, amount: float) -> None:
        """Let time pass, in seconds; every call is made at its own time.

        :raises AssertionError: something calls itself again and again without a delay.
        """
        end = self.rightNow + amount
        turns, turn = 0, self.rightNow
        while (first := self._first_due()) is not None and first <= end:
            due = max(self.rightNow, first)
            turns = turns + 1 if due == turn else 0
            assert turns < self.endless, f"{self.calls[0]} comes again and again"
            self.rightNow = turn = due
            call = self.calls.pop(0)
            call.called = 1
            call.func(*call.args, **call.kw)
        self.rightNow = max(self.rightNow, end)

    def _first_due(self) -> float | None:
        # A call may have been put off since.
        self._sortCalls()
        return self.calls[0].getTime() if self.calls else None

    def settle(self) -> None:
        """Let everything happen that takes no time."""
        self.advance(0)

    def wait_for(self, waiting: Deferred[T], timeout: float = 60.0) -> T:
        """Let time pass until ``waiting`` has a result: that, or what it failed with.

        :raises AssertionError: there was none in ``timeout`` seconds of the clock.
        """
        results: list[Any] = []
        waiting.addBoth(results.append)
        end = self.rightNow + timeout
        self.advance(0)
        while not results and (first := self._first_due()) is not None and first <= end:
            self.advance(max(0.0, first - self.rightNow))
        assert results, f"there was no result within {timeout:g} s"
        (result,) = results
        if isinstance(result, Failure):
            result.raiseException()
        value: T = result
        return value

    # -- the network ---------------------------------------------------------------------------

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """Take connections: with an ``interface`` only those to that host, else to any."""
        self._listening[interface, port] = factory
        factory.doStart()
        return _Port(self, interface, port)

    def stop_listening(self, interface: str, port: int) -> None:
        """Refuse connections again."""
        factory = self._listening.pop((interface, port), None)
        if factory is not None:
            factory.doStop()

    def listening(self, host: str, port: int) -> Any:
        """The factory that takes connections there, or None."""
        return self._listening.get((host, port)) or self._listening.get(("", port))

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: tuple[str, int] | None = None,
    ) -> IConnector:
        """Dial, as the real one."""
        self.dialled.append(_text(host, port))
        self._last_port += 1
        here = _address(bindAddress[0] if bindAddress else "127.0.0.1", self._last_port)
        connector = _Connector(self, here, _address(host, port), factory, timeout)
        connector.connect()
        return connector


def _text(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _address(host: str, port: int) -> IAddress:
    kind = IPv6Address if ":" in host else IPv4Address
    address: IAddress = kind("TCP", host, port)
    return address


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """It is over already."""


@implementer(IHostnameResolver)
class _Names:
    """Every name is an address of its own, so that fakes can listen at names."""

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        resolutionReceiver.resolutionBegan(_Resolution(hostName))
        resolutionReceiver.addressResolved(_address(hostName, portNumber))
        resolutionReceiver.resolutionComplete()
        return resolutionReceiver


@implementer(IListeningPort)
class _Port:
    def __init__(self, reactor: MemoryReactor, interface: str, port: int) -> None:
        self._reactor = reactor
        self._place = interface, port

    def startListening(self) -> None:
        """It does already."""

    def stopListening(self) -> None:
        self._reactor.stop_listening(*self._place)

    def getHost(self) -> IAddress:
        interface, port = self._place
        return _address(interface or "127.0.0.1", port)


@implementer(IConnector)
class _Connector:
    """One attempt to connect."""

    def __init__(
        self, reactor: MemoryReactor, here: Any, there: Any, factory: Any, timeout: float
    ) -> None:
        self._reactor = reactor
        self._here = here
        self._there = there
        self._factory = factory
        self._timeout = timeout
        self._waiting: Any = None
        self._transport: MemoryTransport | None = None

    def connect(self) -> None:
        self._factory.doStart()
        self._factory.startedConnecting(self)
        if _text(self._there.host, self._there.port) in self._reactor.silent:
            later, error = self._timeout, TimeoutError()
            self._waiting = self._reactor.callLater(later, self._failed, error)
        else:
            self._waiting = self._reactor.callLater(0, self._arrived)

    def _arrived(self) -> None:
        there = self._there
        listening = self._reactor.listening(there.host, there.port)
        server = listening.buildProtocol(self._here) if listening is not None else None
        if server is None:
            self._failed(ConnectionRefusedError())
            return
        client = self._factory.buildProtocol(there)
        if client is None:
            self._factory.doStop()
            return
        ours = MemoryTransport(self._reactor, client, self._here, there, self._gone)
        theirs = MemoryTransport(self._reactor, server, there, self._here)
        ours.peer, theirs.peer = theirs, ours
        self._transport = ours
        self._reactor.transports.append(ours)
        server.makeConnection(theirs)
        client.makeConnection(ours)

    def _failed(self, error: Exception) -> None:
        self._factory.clientConnectionFailed(self, Failure(error))
        self._factory.doStop()

    def _gone(self, reason: Failure) -> None:
        if self._transport is not None:
            self._reactor.transports.remove(self._transport)
        self._factory.clientConnectionLost(self, reason)
        self._factory.doStop()

    def stopConnecting(self) -> None:
        try:
            self._waiting.cancel()
        except (AlreadyCalled, AlreadyCancelled):
            return
        self._failed(UserError())

    def disconnect(self) -> None:
        if self._transport is None:
            self.stopConnecting()
        else:
            self._transport.loseConnection()

    def getDestination(self) -> IAddress:
        address: IAddress = self._there
        return address
