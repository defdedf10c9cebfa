"""Real daemons on simulated hosts: started, stopped, killed, and without power."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import maybeDeferred
from twisted.python.failure import Failure

from nsqtx.nsqd.machine import Machine
from nsqtx.nsqd.options import NsqdOptions
from nsqtx.nsqd.service import NsqdService
from nsqtx.nsqlookupd.options import NsqlookupdOptions
from nsqtx.nsqlookupd.service import NsqlookupdService
from nsqtx.run import StartError
from nsqtx.storage.dirlock import LockError
from tests.simulation.network import Host
from tests.simulation.reactor import LAZINESS, SimulatedReactor, TurningReactor
from tests.support.descriptors import FakeDescriptors
from tests.support.disk import SimulatedDisk

__all__ = ["LookupdNode", "Node", "NsqdNode"]


@attrs.define(eq=False)
class _Lock:
    """The lock of a data path: one process has it at a time, and no longer than it lives."""

    path: str
    node: Node
    held: bool = False

    def acquire(self) -> None:
        if self.node.locked:
            raise LockError("in use")
        self.node.locked = self.held = True

    def release(self) -> None:
        if self.held:
            self.node.locked = self.held = False


class Node(ABC):
    """A daemon on a host of its own. ``ended(node, how)`` is told of every end of its process:

    ``stop``, ``kill`` or ``cut`` (a power cut).
    """

    def __init__(self, host: Host, ended: Callable[[Node, str], None]) -> None:
        self.host = host
        self.name = host.name
        self.world = host.network.world
        self.reactor: SimulatedReactor | None = None
        self.service: Any = None
        self.locked = False
        self.starts = 0
        self._ended = ended
        self.stopping = False
        #: What its reactor is like.
        self.turns = False
        self.laziness = LAZINESS
        #: What it dies of when the disk says that it does: ``kill``, or ``cut`` with its host.
        self.dies_by = "kill"

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self.reactor is not None

    @abstractmethod
    def make_service(self, reactor: SimulatedReactor) -> Any:
        """A new service on that reactor."""

    def start(self) -> None:
        """Start a process, unless there is one. One that cannot start ends as if killed."""
        if self.reactor is not None or not self.host.up:
            return
        self.starts += 1
        self.stopping = False
        kind = TurningReactor if self.turns else SimulatedReactor
        reactor = self.reactor = kind(self.host, self.stop)
        reactor.laziness = self.laziness
        reactor.after_turn = self._look
        self.world.note(self.name, "starts")
        reactor.guarded(self._start, reactor)

    def _start(self, reactor: SimulatedReactor) -> None:
        self.service = self.make_service(reactor)
        try:
            self.service.startService()
        except StartError as error:
            self.world.note(self.name, "cannot start:", error)
            self._end("kill")

    def _look(self) -> None:
        if self.reactor is not None and self.reactor.frozen:
            how, self.dies_by = self.dies_by, "kill"
            self._end(how)

    def stop(self) -> None:
        """Stop in order (SIGTERM)."""
        if self.reactor is not None and not self.stopping:
            self.stopping = True
            self.world.note(self.name, "is told to stop")
            self.reactor.guarded(self._stop, self.reactor)

    def _stop(self, reactor: SimulatedReactor) -> None:
        stopping = maybeDeferred(self.service.stopService)
        stopping.addCallbacks(self._stopped, self._failed, callbackArgs=(reactor,))

    def _stopped(self, _: object, reactor: SimulatedReactor) -> None:
        if self.reactor is reactor and not reactor.frozen:
            self._end("stop")

    def _failed(self, failure: Failure) -> Failure | None:
        if self.reactor is not None and self.reactor.frozen:
            return None
        return failure

    def kill(self) -> None:
        """SIGKILL."""
        if self.reactor is not None:
            self._end("kill")

    def cut_power(self) -> None:
        """The host is off, until `power_on`."""
        self.host.power_off()
        if self.reactor is not None:
            self._end("cut")

    def power_on(self) -> None:
        """The host is there again; the daemon is started by others."""
        self.host.up = True

    def _end(self, how: str) -> None:
        assert self.reactor is not None
        self.world.note(self.name, "ends by", how)
        self.reactor.die()
        self.world.graveyard.append(self.service)
        self.reactor = None
        self.locked = False
        self._ended(self, how)


#: How many segments an nsqd may have open.
SEGMENTS = (1, 2, 4, 256)


@attrs.frozen
class SmallMachine(Machine):
    """One on which few segments may be open."""

    segments: int = 256

    def open_segments(self) -> int:
        """See `nsqtx.nsqd.machine.Machine`."""
        return self.segments


class NsqdNode(Node):
    """An nsqd with a disk of its own."""

    service: NsqdService

    def __init__(
        self, host: Host, ended: Callable[[Node, str], None], number: int, **options: Any
    ) -> None:
        super().__init__(host, ended)
        self.disk = SimulatedDisk()
        self.disk.on_kill = self._freeze
        #: Called when a process has loaded what was there.
        self.on_started: Callable[[], None] = lambda: None
        self._number = number
        self._options = options

    def _freeze(self) -> None:
        if self.reactor is not None:
            self.reactor.frozen = True

    def _start(self, reactor: SimulatedReactor) -> None:
        super()._start(reactor)
        if self.reactor is reactor and not reactor.frozen:
            self.on_started()

    def make_service(self, reactor: SimulatedReactor) -> NsqdService:
        address = self.host.address
        options = NsqdOptions(
            tcp_address=f"tcp:4150:interface={address}",
            http_address=f"tcp:4151:interface={address}",
            https_address="",
            broadcast_address=self.name,
            node_id=self._number,
            data_path="/data",
            **self._options,
        )
        seed = self.world.random.getrandbits(64)
        machine = SmallMachine(
            self.name,
            lambda path: _Lock(path, self),
            lambda _: self.disk,
            Random(seed),
            FakeDescriptors(1024),
            # With one or two, files are closed and opened all the time, and one topic is synced
            # while others wait.
            SEGMENTS[seed % len(SEGMENTS)],
        )
        return NsqdService(options, reactor, None, machine)

    def _end(self, how: str) -> None:
        if how == "cut":
            self.disk.power_cut(self.world.random)
        self.disk.restart()
        super()._end(how)


class LookupdNode(Node):
    """A nsqlookupd."""

    service: NsqlookupdService

    def make_service(self, reactor: SimulatedReactor) -> NsqlookupdService:
        address = self.host.address
        options = NsqlookupdOptions(
            tcp_address=f"tcp:4160:interface={address}",
            http_address=f"tcp:4161:interface={address}",
            broadcast_address=self.name,
        )
        service = NsqlookupdService(options, reactor)
        service.node.hostname = self.name
        return service
