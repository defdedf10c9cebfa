"""A directory for tests of nsqlookupd, its clock, and nsqd that introduce themselves."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from nsqtx.nsqlookupd.entries import Limits, Producer
from nsqtx.nsqlookupd.registry import Registry
from nsqtx.wire.lookup import PeerInfo

__all__ = ["SECOND", "Directory", "peer"]

SECOND = 10**9


def peer(**changes: Any) -> PeerInfo:
    """What an nsqd says of itself."""
    fields = {
        "hostname": "h",
        "broadcast_address": "host",
        "tcp_port": 4150,
        "http_port": 4151,
        "version": "1.3.0",
    }
    return PeerInfo(**{**fields, **changes})


class Directory:
    """A registry and the names of topics that it said have changed."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.changed: list[str] = []
        self.made = 0
        self.registry = Registry(self.now, limits, self.changed.append)

    def now(self) -> int:
        """The time in ns, without the errors of a sum of floats."""
        return round(self.clock.seconds() * 1e6) * 1000

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    def back(self, producer: Producer, seconds: float) -> None:
        """Hear of a producer after that time."""
        self.advance(seconds)
        self.registry.touch(producer)

    def producer(self, id: str, **changes: Any) -> Producer:
        """A producer that has introduced itself; its address is ``host-<id>``."""
        self.made += 1
        fields = {"broadcast_address": f"host-{id}", **changes}
        producer = Producer(id, peer(**fields), self.now())
        self.registry.add(producer)
        return producer

    def live(self, topic: str) -> list[str]:
        """The ids of who is shown for a topic."""
        return [p.id for p in self.registry.live(self.registry.find(topic))]
