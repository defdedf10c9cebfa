"""The faults: what is done to the cluster, and how it is healed."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from tests.simulation.nodes import Node, NsqdNode
from tests.simulation.reactor import SLOWNESS

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster

__all__ = ["Faults"]

_WRITES = ("write_at", "truncate", "open", "unlink", "rename")


class Faults:
    """Chooses faults by the weights of a profile, until it is told to heal."""

    def __init__(self, cluster: Cluster, weights: dict[str, int], every: float) -> None:
        self._cluster = cluster
        self._world = cluster.world
        self._random = cluster.world.random
        self._kinds = list(weights)
        self._weights = list(weights.values())
        self._every = every
        self._active = True
        self._next()

    def _next(self) -> None:
        self._world.after(self._random.expovariate(1 / self._every), self._strike)

    def _strike(self) -> None:
        if not self._active:
            return
        (kind,) = self._random.choices(self._kinds, self._weights)
        self._cluster.history.counts.faults += 1
        self._world.note("fault", kind)
        getattr(self, f"_{kind}")()
        self._next()

    def _nsqd(self) -> NsqdNode:
        return self._random.choice(self._cluster.nsqds)

    def _hinder(self, node: Node, seconds: float) -> None:
        """Checkpoints may come later, for so long and a little."""
        hindered = self._cluster.history.hindered
        until = self._world.now + seconds + 2.5
        hindered[node.name] = max(until, hindered.get(node.name, 0.0))

    def _later(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    # The network.

    def _reset(self) -> None:
        connections = list(self._cluster.network.connections)
        if connections:
            self._cluster.network.reset(self._random.choice(connections))

    def _cut(self, both: bool = True) -> None:
        network = self._cluster.network
        one, other = self._random.sample(list(network.hosts.values()), 2)
        pairs = [(one, other), (other, one)] if both else [(one, other)]
        delay = self._later(0.1, 6.0)
        for pair in pairs:
            network.cut(*pair)
            self._world.after(delay, network.mend, *pair)

    def _cut_one_way(self) -> None:
        self._cut(both=False)

    def _slow_link(self) -> None:
        network = self._cluster.network
        one, other = self._random.sample([host.name for host in network.hosts.values()], 2)
        network.slow[one, other] = self._random.choice((500.0, 5000.0))
        self._world.after(self._later(0.5, 4.0), network.slow.pop, (one, other), None)

    def _lookupd(self) -> None:
        if self._cluster.lookupds:
            self._down_for(self._random.choice(self._cluster.lookupds), "kill")

    def _stopped(self) -> None:
        node = self._nsqd()
        if node.reactor is not None:
            seconds = self._later(0.1, 3.0)
            node.reactor.stopped_until = self._world.now + seconds
            self._hinder(node, seconds)

    # Processes and hosts.

    def _down_for(self, node: Node, how: str) -> None:
        if how == "cut":
            node.cut_power()
            self._world.after(self._later(0.1, 4.0), self._power_on, node)
        elif how == "kill":
            node.kill()
            self._world.after(self._later(0.0, 2.0), node.start)
        else:
            node.stop()
            self._start_when_stopped(node)

    def _power_on(self, node: Node) -> None:
        node.power_on()
        node.start()

    def _start_when_stopped(self, node: Node) -> None:
        if node.running:
            self._world.after(0.2, self._start_when_stopped, node)
        else:
            node.start()

    def _kill(self) -> None:
        self._down_for(self._nsqd(), "kill")

    def _restart(self) -> None:
        self._down_for(self._nsqd(), "stop")

    def _cut_power(self) -> None:
        self._down_for(self._nsqd(), "cut")

    def _kill_inside(self, then: str = "kill") -> None:
        """Kill at one of the next operations of the disk, maybe in the middle of a write."""
        node = self._nsqd()
        if node.running:
            node.disk.operations_left = self._random.randint(0, 12)
            node.disk.tear = self._random.choice((0.0, 0.1, 0.5, 0.9, 1.0))
            node.dies_by = then

    def _cut_inside(self) -> None:
        self._kill_inside("cut")

    # Disks and clocks.

    def _fail(self, low: float, high: float, *operations: str) -> None:
        node = self._nsqd()
        seconds = self._later(low, high)
        part = self._random.choice(("", "checkpoint", ".log"))
        wanted = [f"{operation} {part}" for operation in operations]
        for each in wanted:
            node.disk.failures[each] = errno.EIO
        self._hinder(node, seconds)
        for each in wanted:
            self._world.after(seconds, node.disk.failures.pop, each, None)

    def _write_fails(self) -> None:
        self._fail(0.1, 3.0, self._random.choice(_WRITES))

    def _sync_fails(self) -> None:
        for node in self._cluster.nsqds:
            self._cluster.history.spoilt[node.name] = None
        self._fail(0.1, 2.0, self._random.choice(("datasync", "sync_directory")))

    def _read_fails(self) -> None:
        self._fail(0.1, 2.0, "read_at")

    def _no_space(self) -> None:
        node = self._nsqd()
        disk, seconds = node.disk, self._later(0.2, 3.0)
        disk.capacity = disk.used() + self._random.choice((0, 100, 3000))
        self._hinder(node, seconds)
        self._world.after(seconds, setattr, disk, "capacity", None)

    def _slow_disk(self) -> None:
        node = self._nsqd()
        if node.reactor is not None:
            threads = node.reactor.threads
            threads.slowness = self._later(0.05, 1.5)
            self._hinder(node, threads.slowness)
            self._world.after(self._later(0.5, 3.0), setattr, threads, "slowness", SLOWNESS)

    def _jump(self) -> None:
        node = self._nsqd()
        seconds = self._random.choice((-5.0, -0.5, 0.5, 5.0, 30.0))
        self._hinder(node, abs(seconds))
        node.host.jump(seconds)

    def _flip(self) -> None:
        """For a while, some reads have a wrong bit."""
        disk = self._nsqd().disk

        def flipped(path: str, data: bytes) -> bytes:
            if not data or self._random.random() > 0.3:
                return data
            bad = bytearray(data)
            at = self._random.randrange(len(bad))
            bad[at] ^= 1 << self._random.randrange(8)
            return bytes(bad)

        disk.on_read = flipped
        self._world.after(self._later(0.5, 2.0), setattr, disk, "on_read", _as_it_is)

    # The end.

    def heal(self) -> None:
        """No more faults, and those that are there end."""
        self._active = False
        self._world.note("healed")
        self._cluster.network.mend_all()
        for node in self._cluster.nsqds:
            disk = node.disk
            disk.failures.clear()
            disk.capacity = disk.operations_left = None
            disk.on_read = _as_it_is
            if node.reactor is not None:
                node.reactor.threads.slowness = SLOWNESS
                node.reactor.stopped_until = 0.0
        for each in (*self._cluster.lookupds, *self._cluster.nsqds):
            each.power_on()
            self._start_when_stopped_or_running(each)

    def _start_when_stopped_or_running(self, node: Node) -> None:
        if node.running and not node.stopping:
            return
        self._start_when_stopped(node)


def _as_it_is(path: str, data: bytes) -> bytes:
    return data
