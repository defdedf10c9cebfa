"""``python -m tests.simulation.scale``: a large cluster, and how soon everybody knows everybody.

Real nsqlookupd, and of each nsqd the real part that talks to them (`nsqtx.nsqd.lookup_peer`), on
the simulated network. Readers are as light as can be: they ask each nsqlookupd as often as a Reader
of `nsqtx.client` that has no long polls, and look it up in the registry itself. Time is simulated,
and processors are infinitely fast: what is found is the effect of intervals, pauses and jitter.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from random import Random
from typing import Any

import attrs
from twisted.internet.endpoints import HostnameEndpoint
from twisted.logger import globalLogBeginner

from nsqtx.nsqd.lookup_peer import LookupPeer
from tests.simulation.network import Host, Network
from tests.simulation.nodes import LookupdNode
from tests.simulation.reactor import SimulatedReactor
from tests.simulation.world import START, World

__all__ = ["LargeCluster"]

#: As the client has them (seconds, share of it).
POLL_INTERVAL, POLL_JITTER = 60.0, 0.3


@attrs.define(eq=False)
class LightNsqd:
    """An nsqd that only registers."""

    host: Host
    registrations: list[tuple[str, str]]
    lookupds: list[str]
    reactor: SimulatedReactor | None = None
    peers: list[LookupPeer] = attrs.Factory(list)

    def start(self) -> None:
        """Connect to all nsqlookupd."""
        reactor = self.reactor = SimulatedReactor(self.host)
        random = Random(self.host.network.world.random.getrandbits(64))
        for name in self.lookupds:
            endpoint = HostnameEndpoint(reactor, name, 4160, 1.0)
            peer = LookupPeer(
                name, endpoint, reactor, self._identity, lambda: self.registrations, 10**6, random
            )
            self.peers.append(peer)
            peer.start()

    def _identity(self) -> dict[str, Any]:
        return {
            "broadcast_address": self.host.name,
            "hostname": self.host.name,
            "http_port": 4151,
            "tcp_port": 4150,
            "version": "1.3.0",
        }


@attrs.define(eq=False)
class LightReader:
    """Asks who has its topic."""

    topic: str
    expected: int
    known: set[str] = attrs.Factory(set)


class LargeCluster:
    """``nsqds`` register ``each`` channels of topics at ``lookupds``; ``readers`` ask for them."""

    def __init__(self, seed: int, nsqds: int, lookupds: int, readers: int, each: int) -> None:
        world = self.world = World(seed, most_events=10**9)
        self.network = Network(world)
        self.lookupds = [
            LookupdNode(self.network.add_host(f"lookupd{i}"), lambda node, how: None)
            for i in range(lookupds)
        ]
        names = [node.name for node in self.lookupds]
        topics = [f"topic{i}" for i in range(max(1, nsqds * each // 200))]
        having: Counter[str] = Counter()
        self.nsqds = []
        for i in range(nsqds):
            mine = [topics[(i + k * 7) % len(topics)] for k in range(each // 2)]
            mine = list(dict.fromkeys(mine))
            having.update(mine)
            pairs = [(topic, channel) for topic in mine for channel in ("a", "b")]
            self.nsqds.append(LightNsqd(self.network.add_host(f"nsqd{i}"), pairs, names))
        self.registered = sum(len(nsqd.registrations) for nsqd in self.nsqds)
        self._wanted = self.registered + sum(having.values())
        used = list(having)
        self.readers = [
            LightReader(used[i % len(used)], having[used[i % len(used)]]) for i in range(readers)
        ]
        #: Requests of Readers, and connections, at each nsqlookupd in each second.
        self.asked: Counter[tuple[str, int]] = Counter()
        self.connected: Counter[tuple[str, int]] = Counter()

    def start(self) -> None:
        """Everybody starts within a second."""
        world = self.world
        for lookupd in self.lookupds:
            lookupd.start()
            self._count_connections(lookupd)
        for nsqd in self.nsqds:
            world.after(world.random.random(), nsqd.start)
        for reader in self.readers:
            world.after(world.random.random(), self._poll, reader)

    def _count_connections(self, lookupd: LookupdNode) -> None:
        factory = lookupd.service._factory
        opened = factory.opened

        def counted(connection: Any) -> None:
            self.connected[lookupd.name, int(self.world.elapsed)] += 1
            opened(connection)

        factory.opened = counted  # type: ignore[method-assign]

    def _poll(self, reader: LightReader) -> None:
        world = self.world
        for lookupd in self.lookupds:
            if lookupd.running:
                self.asked[lookupd.name, int(world.elapsed)] += 1
                registry = lookupd.service.node.registry
                live = registry.live(registry.find(reader.topic))
                reader.known.update(producer.info.broadcast_address for producer in live)
        spread = POLL_INTERVAL * (1 + POLL_JITTER * world.random.random())
        world.after(spread, self._poll, reader)

    # Questions.

    def knows_all(self, lookupd: LookupdNode) -> bool:
        """Whether a nsqlookupd has every registration of every nsqd that runs."""
        if not lookupd.running:
            return False
        producers = lookupd.service.node.registry.producers
        found = sum(producer.registrations for producer in producers)
        return found >= self._wanted

    def until(self, what: Any, limit: float) -> float:
        """Run until that is so; the seconds it took, or infinity."""
        began = self.world.now
        while not what():
            if self.world.now - began > limit:
                return float("inf")
            self.world.run(self.world.now + 0.25)
        return self.world.now - began

    def shown(self, names: set[str]) -> int:
        """How many of these nsqd some nsqlookupd still shows."""
        return max(
            sum(
                producer.info.broadcast_address in names
                for producer in lookupd.service.node.registry.nodes()
            )
            for lookupd in self.lookupds
        )


def measure(cluster: LargeCluster, patience: float = 400.0) -> dict[str, float]:
    """A cold start, a nsqlookupd that is lost and comes back, a rack that is lost."""
    found: dict[str, float] = {}
    cluster.start()
    found["registrations"] = cluster.registered
    found["all nsqlookupd know all after (s)"] = cluster.until(
        lambda: all(map(cluster.knows_all, cluster.lookupds)), patience
    )
    found["all Readers know all after (s)"] = found[
        "all nsqlookupd know all after (s)"
    ] + cluster.until(lambda: all(len(r.known) == r.expected for r in cluster.readers), patience)
    found["connections to one in its busiest second, cold start"] = max(cluster.connected.values())
    lost = cluster.lookupds[0]
    lost.kill()
    cluster.world.run(cluster.world.now + 60.0)
    cluster.connected.clear()
    lost.start()
    cluster._count_connections(lost)
    found["a nsqlookupd that is back knows all after (s)"] = cluster.until(
        lambda: cluster.knows_all(lost), patience
    )
    found["connections to it in its busiest second"] = max(cluster.connected.values())
    steady = [n for (_, at), n in cluster.asked.items() if at > POLL_INTERVAL]
    found["requests of Readers to one in its busiest second, later"] = max(steady, default=0)
    first = [n for (_, at), n in cluster.asked.items() if at <= 1]
    found["requests of Readers to one in the first second"] = max(first, default=0)
    rack = cluster.nsqds[: max(1, len(cluster.nsqds) // 10)]
    for nsqd in rack:
        nsqd.host.power_off()
        assert nsqd.reactor is not None
        nsqd.reactor.die()
    names = {nsqd.host.name for nsqd in rack}
    found["a lost rack is shown no more after (s)"] = cluster.until(
        lambda: not cluster.shown(names), patience
    )
    return found


def main() -> int:
    """Measure one cluster."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.scale", description=__doc__)
    for name, default in (("nsqds", 1000), ("lookupds", 5), ("readers", 10000), ("each", 100)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    cluster = LargeCluster(**vars(arguments))
    began = time.process_time()
    for name, value in measure(cluster).items():
        print(f"{value:>12,.1f} {name}")
    print(f"{cluster.world.now - START:,.0f} s simulated, {cluster.world.events:,} events")
    print(f"{time.process_time() - began:.1f} s of CPU")
    return 0


if __name__ == "__main__":
    sys.exit(main())
