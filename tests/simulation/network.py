"""The simulated network: hosts, links between them, and what may go wrong on the way.

Packets arrive after a latency of their own, but those of one connection in their order. A link that
is cut holds packets back until it is whole again, as TCP does that sends them again and again; a
link may also be slow. A host without power answers nothing; one that runs answers packets to
connections that it does not know with a reset, so that half-open connections end as they really do.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from tests.simulation.sockets import SimulatedSocket
from tests.simulation.world import World

if TYPE_CHECKING:
    from tests.simulation.reactor import SimulatedReactor

__all__ = ["Host", "Network"]


@attrs.define(eq=False)
class Host:
    """A machine: an address, a clock, and at most one process of ours.

    ``offset`` is what its clock is ahead of the world's, in seconds; ``offsets`` has all values it
    has had, with the times from which on.
    """

    name: str
    address: str
    network: Network
    up: bool = True
    offset: float = 0.0
    offsets: list[tuple[float, float]] = attrs.Factory(lambda: [(0.0, 0.0)])
    listeners: dict[int, SimulatedSocket] = attrs.Factory(dict)
    #: The open sockets.
    sockets: dict[SimulatedSocket, None] = attrs.Factory(dict)
    process: SimulatedReactor | None = None

    def jump(self, seconds: float) -> None:
        """Set the clock forward, or back."""
        self.offset += seconds
        self.offsets.append((self.network.world.now, self.offset))
        if self.process is not None:
            self.process.clock_jumped()

    def offsets_since(self, time: float) -> list[float]:
        """All offsets that the clock has had since then."""
        before = [offset for when, offset in self.offsets if when <= time][-1:]
        return before + [offset for when, offset in self.offsets if when > time]

    def power_off(self) -> None:
        """Vanish without a word to anybody."""
        self.up = False
        for each in list(self.sockets):
            each.vanish()
        self.listeners.clear()


@attrs.define(eq=False)
class Network:
    """All hosts. ``latency`` is the usual one, in seconds."""

    world: World
    latency: float = 0.0005
    hosts: dict[str, Host] = attrs.Factory(dict)
    names: dict[str, Host] = attrs.Factory(dict)
    #: Every connection, by the socket that connected.
    connections: dict[SimulatedSocket, None] = attrs.Factory(dict)
    #: Bytes a second on links that are slow; the key has the names of both hosts.
    slow: dict[tuple[str, str], float] = attrs.Factory(dict)
    #: What is held back on links that are cut, in both directions.
    _cut: dict[tuple[str, str], list[tuple[Callable[..., None], tuple[Any, ...]]]] = attrs.Factory(
        dict
    )
    _busy_until: dict[tuple[str, str], float] = attrs.Factory(dict)
    _port: int = 32768

    def add_host(self, name: str) -> Host:
        """One more host, with an address of its own."""
        address = f"10.0.{len(self.hosts) // 200}.{1 + len(self.hosts) % 200}"
        host = self.hosts[address] = self.names[name] = Host(name, address, self)
        return host

    def next_port(self) -> int:
        """A port for a socket that connects."""
        self._port += 1
        return self._port

    # Packets.

    def send(
        self, sender: SimulatedSocket | None, source: Host, target: Host, size: int,
        arrive: Callable[..., None], *args: Any,
    ) -> None:  # fmt: skip
        """Let a packet arrive. Those of one sender keep their order."""
        world = self.world
        delay = self.latency * (0.5 + world.random.random())
        when = world.now + delay
        if self.slow:
            link = (source.name, target.name)
            speed = self.slow.get(link)
            if speed is not None:
                begin = max(world.now, self._busy_until.get(link, 0.0))
                self._busy_until[link] = begin + (size + 60) / speed
                when = self._busy_until[link] + delay
        if sender is not None:
            when = max(when, sender.last_arrival)
            sender.last_arrival = when
        world.at(when, self._arrive, source, target, arrive, args)

    def _arrive(
        self, source: Host, target: Host, arrive: Callable[..., None], args: tuple[Any, ...]
    ) -> None:
        held = self._cut.get((source.name, target.name)) if self._cut else None
        if held is not None:
            held.append((arrive, args))
        elif target.up:
            arrive(*args)

    def cut(self, one: Host, other: Host) -> None:
        """Cut a link from one host to another, in that direction."""
        self._cut.setdefault((one.name, other.name), [])

    def mend(self, one: Host, other: Host) -> None:
        """Make it whole again: what was sent meanwhile arrives now, before what comes later."""
        for arrive, args in self._cut.pop((one.name, other.name), []):
            self._arrive(one, other, arrive, args)

    def mend_all(self) -> None:
        """Make all links whole and fast."""
        self.slow.clear()
        for one, other in list(self._cut):
            self.mend(self.names[one], self.names[other])

    def reset(self, socket: SimulatedSocket) -> None:
        """Something in the middle ends a connection for both of its ends."""
        for end in (socket, socket.peer):
            if end is not None and not end.closed:
                end.fail(errno.ECONNRESET)
