"""A simulated process: Twisted's own TCP transports over simulated sockets, timers on a heap.

One reactor is one process; when it dies, so do its timers, threads and sockets. Its clock is that
of its host, which may jump. The transports are those of `twisted.internet.tcp`, so what the code
under test sees of a connection is what it sees in production.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet import tcp
from twisted.internet.address import IPv4Address
from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorFDSet,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IResolutionReceiver,
)
from twisted.internet.posixbase import _DisconnectSelectableMixin
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from nsqtx.interfaces import ITurns
from tests.simulation.sockets import SimulatedSocket
from tests.support.disk import Killed

if TYPE_CHECKING:
    from tests.simulation.network import Host

__all__ = ["LAZINESS", "SLOWNESS", "SimulatedReactor", "SimulatedThreads", "TurningReactor"]

log = Logger(namespace="simulation")

#: How long it takes at most until a turn begins, as a rule (seconds).
LAZINESS = 1e-4
#: The longest that work in a thread takes, as a rule (seconds).
SLOWNESS = 0.005


class _Port(tcp.Port):
    reactor: Any

    def createInternetSocket(self) -> Any:
        return SimulatedSocket(self.reactor)


class _Client(tcp.Client):
    connector: Any

    def createInternetSocket(self) -> Any:
        return SimulatedSocket(self.connector.reactor)


class _Connector(tcp.Connector):
    def _makeTransport(self) -> _Client:
        return _Client(self.host, self.port, self.bindAddress, self, self.reactor)


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """It is over at once."""


@implementer(IHostnameResolver)
class _Names:
    """Knows the hosts of the network by name, and addresses."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        network = self._host.network
        host = network.names.get(hostName) or network.hosts.get(hostName)
        if host is not None:
            address = IPv4Address("TCP", host.address, portNumber)
            resolutionReceiver.addressResolved(address)
        resolutionReceiver.resolutionComplete()
        return resolution


class SimulatedThreads:
    """A thread pool: what is given to it is done after a while, and told after another.

    ``slowness`` is the longest that each may take, in seconds.
    """

    def __init__(self, reactor: SimulatedReactor) -> None:
        self._reactor = reactor
        self.slowness = SLOWNESS

    def callInThreadWithCallback(
        self, done: Callable[[bool, Any], None], work: Callable[..., Any], *args: Any, **kw: Any
    ) -> None:
        """See `twisted.python.threadpool.ThreadPool.callInThreadWithCallback`."""
        self._later(self._work, done, work, args, kw)

    def _later(self, call: Callable[..., None], *args: Any) -> None:
        world = self._reactor.world
        world.after(world.random.random() * self.slowness, self._reactor.guarded, call, *args)

    def _work(
        self,
        done: Callable[[bool, Any], None],
        work: Callable[..., Any],
        args: Sequence[Any],
        kw: Mapping[str, Any],
    ) -> None:
        try:
            result = work(*args, **kw)
        except Exception:
            self._later(done, False, Failure())
        else:
            self._later(done, True, result)


@implementer(IReactorTime, IReactorTCP, IReactorFDSet, IReactorPluggableNameResolver)
class SimulatedReactor(_DisconnectSelectableMixin):
    """The reactor of one process on ``host``. ``ended`` is called when the code calls `stop`."""

    def __init__(self, host: Host, ended: Callable[[], None] = lambda: None) -> None:
        self.host = host
        self.world = host.network.world
        self.threads = SimulatedThreads(self)
        self.nameResolver = _Names(host)
        self.running = True
        #: It was killed in the middle of an event: nothing that it still does has any effect.
        self.frozen = False
        #: Until then it does not get the processor (SIGSTOP), in the world's time.
        self.stopped_until = 0.0
        #: Sockets that may be readable or writable.
        self.hot: dict[SimulatedSocket, None] = {}
        #: How long it may take at most until a turn begins (seconds).
        self.laziness = LAZINESS
        #: Called after each turn.
        self.after_turn: Callable[[], None] = lambda: None
        self._ended = ended
        self._readers: dict[Any, None] = {}
        self._writers: dict[Any, None] = {}
        self._timers: list[tuple[float, int, DelayedCall]] = []
        self._made = 0
        self._wake_at = float("inf")
        self._turn_comes = False
        self._called: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []
        host.process = self

    # IReactorTime.

    def seconds(self) -> float:
        """The time by the host's clock."""
        return self.world.now + self.host.offset

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kw: object
    ) -> DelayedCall:
        """See IReactorTime."""
        assert delay >= 0, f"a negative delay: {delay}"
        call = DelayedCall(
            self.seconds() + delay, callable, args, kw, _ignore, self._push, self.seconds
        )
        self._push(call)
        return call

    def getDelayedCalls(self) -> Sequence[DelayedCall]:
        """See IReactorTime."""
        return [call for _, _, call in self._timers if call.active()]

    def _push(self, call: DelayedCall) -> None:
        self._made += 1
        heapq.heappush(self._timers, (call.time, self._made, call))
        self._arm()

    def _arm(self) -> None:
        """See to a turn when the first timer is due."""
        timers = self._timers
        if timers and self.running:
            at = timers[0][0] - self.host.offset
            if at < self._wake_at:
                now = self.world.now
                if at < now:
                    if self._wake_at <= now:
                        return
                    at = now
                self._wake_at = at
                # A little later, as in life; it must not be earlier by what a float is inexact.
                self.world.at(at + 1e-6, self._wake, at)

    def _wake(self, at: float) -> None:
        if self.running and at == self._wake_at:
            self._wake_at = float("inf")
            self._turn()

    def clock_jumped(self) -> None:
        """The host's clock was set."""
        self._wake_at = float("inf")
        self._arm()

    # The rest of what services ask of a reactor.

    def getThreadPool(self) -> SimulatedThreads:
        """Where blocking work goes."""
        return self.threads

    def callFromThread(self, callable: Callable[..., Any], *args: Any, **kw: Any) -> None:
        """Call in the next turn."""
        self._called.append((callable, args, kw))
        self._poke()

    def stop(self) -> None:
        """The process wants to end."""
        self._ended()

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> tcp.Port:
        """See IReactorTCP."""
        listening = _Port(port, factory, backlog, interface, self)
        listening.startListening()
        return listening

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> tcp.Connector:
        """See IReactorTCP."""
        connector = _Connector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        """See IReactorPluggableNameResolver."""
        before, self.nameResolver = self.nameResolver, resolver  # type: ignore[assignment]
        return before

    # IReactorFDSet.

    def addReader(self, reader: Any) -> None:
        """See IReactorFDSet."""
        self._readers[reader] = None
        self._watch(reader)

    def addWriter(self, writer: Any) -> None:
        """See IReactorFDSet."""
        self._writers[writer] = None
        self._watch(writer)

    def _watch(self, descriptor: Any) -> None:
        socket = descriptor.socket
        socket.descriptor = descriptor
        self.heat(socket)

    def removeReader(self, reader: Any) -> None:
        """See IReactorFDSet."""
        self._readers.pop(reader, None)

    def removeWriter(self, writer: Any) -> None:
        """See IReactorFDSet."""
        self._writers.pop(writer, None)

    def removeAll(self) -> list[Any]:
        """See IReactorFDSet."""
        every = list({**self._readers, **self._writers})
        self._readers.clear()
        self._writers.clear()
        return every

    def getReaders(self) -> list[Any]:
        """See IReactorFDSet."""
        return list(self._readers)

    def getWriters(self) -> list[Any]:
        """See IReactorFDSet."""
        return list(self._writers)

    # Turns.

    def heat(self, socket: SimulatedSocket) -> None:
        """Something may have happened to a socket."""
        self.hot[socket] = None
        if not self._turn_comes:
            self._poke()

    def _poke(self) -> None:
        """See to a turn soon."""
        if self.running and not self._turn_comes:
            self._turn_comes = True
            self.world.after(1e-5 + self.world.random.random() * self.laziness, self._poked)

    def _poked(self) -> None:
        self._turn_comes = False
        self._turn()

    def guarded(self, call: Callable[..., None], *args: Any) -> None:
        """Do something as a part of this process, unless it has ended."""
        if not self.running or self.frozen:
            return
        self.world.working = self.host
        try:
            call(*args)
            self.end_turn()
        except Killed:
            self.frozen = True
        self.world.working = None
        self.after_turn()

    def _turn(self) -> None:
        if not self.running:
            return
        if self.world.now < self.stopped_until:
            self.world.at(self.stopped_until, self._turn)
            return
        self.guarded(self._work)
        self._arm()

    def _work(self) -> None:
        called, self._called = self._called, []
        for call, args, kw in called:
            self._run(call, args, kw)
        self._run_timers()
        self.end_turn()
        hot, self.hot = self.hot, {}
        for socket in hot:
            self._serve(socket)

    def _run_timers(self) -> None:
        timers = self._timers
        if not timers:
            return
        now = self.seconds()
        if timers[0][0] > now:
            return
        due = []
        while timers and timers[0][0] <= now:
            due.append(heapq.heappop(timers)[2])
        for call in due:
            if call.cancelled:
                continue
            if call.delayed_time:
                call.activate_delay()
                self._push(call)
                continue
            call.called = 1
            self._run(call.func, call.args, call.kw)

    def _run(self, call: Callable[..., Any], args: Sequence[Any], kw: dict[str, Any]) -> None:
        if self.frozen:
            return
        try:
            call(*args, **kw)
        except Exception:
            log.failure("while a call was made")

    def _serve(self, socket: SimulatedSocket) -> None:
        descriptor = socket.descriptor
        readers, writers = self._readers, self._writers
        if descriptor in readers and socket.readable():
            self._do(descriptor, descriptor.doRead, True)
        if descriptor in writers and not socket.closed and socket.writable():
            self._do(descriptor, descriptor.doWrite, False)
        if socket.closed:
            return
        if (descriptor in readers and socket.readable()) or (
            descriptor in writers and socket.writable()
        ):
            self.heat(socket)

    def _do(self, descriptor: Any, work: Callable[[], Any], reading: bool) -> None:
        if self.frozen:
            return
        try:
            why = work()
        except Exception as error:
            log.failure("while a socket was served")
            why = error
        if why:
            self._disconnectSelectable(descriptor, why, reading)

    def end_turn(self) -> None:
        """Do what was put off until all is read."""

    def die(self) -> None:
        """The process ends here and now; the system closes its sockets."""
        self.running = False
        # What it leaves behind is kept: a coroutine that is thrown away does what is in its
        # `finally`, which a process that was killed does not.
        self.world.graveyard.append(self)
        self.frozen = False
        for socket in list(self.host.sockets):
            if socket.reactor is self:
                socket.close()
        self.frozen = True
        if self.host.process is self:
            self.host.process = None


@implementer(ITurns)
class TurningReactor(SimulatedReactor):
    """One that nsqd may put work off with, like `nsqtx.reactor.ShortReactor`."""

    def __init__(self, host: Host, ended: Callable[[], None] = lambda: None) -> None:
        super().__init__(host, ended)
        self._at_turn_end: list[Callable[[], None]] = []

    def at_turn_end(self, work: Callable[[], None]) -> None:
        """See ITurns."""
        self._at_turn_end.append(work)

    def end_turn(self) -> None:
        while self._at_turn_end:
            works, self._at_turn_end = self._at_turn_end, []
            for work in works:
                self._run(work, (), {})


def _ignore(_: DelayedCall) -> None:
    """A cancelled call stays on the heap until its time comes."""
