"""A whole cluster in one simulation: daemons, clients, faults, then healing; and the verdict."""

from __future__ import annotations

import gc
from typing import Any

from nsqtx.broker.backlog import READ_AHEAD
from tests.simulation.clients import Consumer, HttpPublisher, Publisher
from tests.simulation.faults import Faults
from tests.simulation.history import History, Place
from tests.simulation.network import Network
from tests.simulation.nodes import LookupdNode, Node, NsqdNode
from tests.simulation.profiles import PROFILES, Profile
from tests.simulation.programs import ReaderProgram, WriterProgram
from tests.simulation.reactor import SimulatedReactor
from tests.simulation.watch import watch_disk, watched
from tests.simulation.world import World

__all__ = ["Cluster", "profile_of", "simulate"]

#: How long there are faults, and how long everything may then take to come right (seconds).
TROUBLE = 10.0
PATIENCE = 90.0
#: How often it is looked at whether it has.
LOOK = 0.5


def profile_of(seed: int) -> str:
    """The profile of a seed that none is named for."""
    return list(PROFILES)[seed % len(PROFILES)]


class Cluster:
    """Everything in one simulation. `run` it, then look at ``history``."""

    def __init__(self, seed: int, profile: Profile, keep_trace: bool = False) -> None:
        world = self.world = World(seed, keep_trace)
        random = world.random
        self.network = Network(world, random.choice((0.0002, 0.002, 0.02)))
        self.history = History(world, profile.durability, profile.rotten)
        self._profile = profile
        self.lookupds = [
            LookupdNode(self.network.add_host(f"lookupd{i}"), self._lookupd_ended)
            for i in range(random.randint(0, 2))
        ]
        options: dict[str, Any] = {
            "durability": profile.durability,
            "lookupd_tcp_address": [f"{each.name}:4160" for each in self.lookupds],
            "mem_queue_size": random.choice((3, 20, 1000)),
            "max_bytes_per_file": random.choice((3000, 20000, 10**6)),
            "sync_every": random.choice((5, 100)),
        }
        self.nsqds = [
            NsqdNode(self.network.add_host(f"nsqd{i}"), self._nsqd_ended, i, **options)
            for i in range(random.randint(1, 2))
        ]
        self.publishers: list[Publisher] = []
        self.consumers: list[Consumer | ReaderProgram] = []

    def _lookupd_ended(self, node: Node, how: str) -> None:
        """Nothing depends on it."""

    def _nsqd_ended(self, node: Node, how: str) -> None:
        self.history.ended(node.name, how)
        if how == "cut" and node.host.up:
            # Cut off in the middle of an operation; somebody sees to it.
            node.host.power_off()
            self.world.after(self.world.random.uniform(0.1, 3.0), self._back, node)
        elif how == "kill":
            self.world.after(self.world.random.uniform(0.5, 2.0), node.start)

    def _back(self, node: Node) -> None:
        node.power_on()
        node.start()

    def _start(self) -> None:
        random = self.world.random
        for each in self.lookupds:
            each.start()
        for node in self.nsqds:
            watch_disk(node, self.history)
            node.start()
        clients = [SimulatedReactor(self.network.add_host(f"client{i}")) for i in range(2)]
        for topic in ("t", "u")[: random.randint(1, 2)]:
            for channel in ("c", "d")[: random.randint(1, 2)]:
                self._consume(topic, channel, random.choice(clients))
            for number, node in enumerate(self.nsqds):
                kinds = (Publisher, HttpPublisher, WriterProgram)
                for kind in random.sample(kinds, random.randint(1, 2)):
                    name = f"{kind.__name__[0]}{number}{topic}"
                    reactor = random.choice(clients)
                    self.publishers.append(kind(name, reactor, node.host, self.history, topic))

    def _consume(self, topic: str, channel: str, reactor: SimulatedReactor) -> None:
        """Consume a channel of every nsqd: by one Reader, or by consumers of each."""
        random, history = self.world.random, self.history
        if random.random() < 0.4:
            nsqds = [node.host for node in self.nsqds]
            lookupds = [node.host for node in self.lookupds]
            self.consumers.append(ReaderProgram(reactor, history, topic, channel, nsqds, lookupds))
            return
        for node in self.nsqds:
            place = Place(node.name, topic, channel)
            for i in range(random.randint(1, 2)):
                name = f"{node.name}.{topic}.{channel}.{i}"
                self.consumers.append(Consumer(name, reactor, node.host, history, place))

    def run(self) -> None:
        """Trouble, then healing; ends early when a promise was broken, or all is well again."""
        world, history = self.world, self.history
        with watched(history):
            self._start()
            every = world.random.choice((0.3, 1.0, 3.0))
            faults = Faults(self, self._profile.faults, every)
            end = world.now + TROUBLE
            while world.now < end and not history.violations:
                world.run(world.now + LOOK)
                self._look()
            faults.heal()
            for consumer in self.consumers:
                consumer.calm_down()
            self._recover()
            if not history.violations:
                history.check_end()
                self._check_nodes()
        world.note("end", world.events, world.random.getrandbits(64))
        history.counts.events = world.events
        history.counts.seconds = world.elapsed

    def _recover(self) -> None:
        world, history = self.world, self.history
        world.run(world.now + 2.0)
        for publisher in self.publishers:
            publisher.busy = False
        end = world.now + PATIENCE
        while world.now < end and not history.violations:
            world.run(world.now + LOOK)
            self._look()
            if not history.owed() and not self._unsettled():
                break

    # What is looked at from inside.

    def _topics(self) -> list[Any]:
        return [
            topic
            for node in self.nsqds
            if node.running
            for topic in node.service._broker.topics.values()
        ]

    def _look(self) -> None:
        """Nothing grows beyond its limit (S8)."""
        for topic in self._topics():
            most = topic.settings.mem_queue_size
            for channel in topic.channels.values():
                backlog = channel.backlog
                # What one read of the log brings may be more than the limit.
                read = backlog.fresh_size <= READ_AHEAD + 65536
                fresh = 0 if read else len(backlog.fresh)
                waiting = len(channel.requeued) - channel.requeued.spilled
                if fresh > most or waiting > most + 256:
                    text = f"{channel.name}: {fresh} + {waiting} in memory, limit {most}"
                    self.history.fail("S8", text)

    def _unsettled(self) -> str | None:
        """What is not as it should be when there was no fault for long."""
        for node in self.nsqds:
            if not node.running:
                return f"{node.name} does not run"
            if node.service.node.health != "OK":
                return f"{node.name} is not healthy: {node.service.node.health}"
        for topic in self._topics():
            for channel in topic.channels.values():
                left = channel.depth + channel.in_flight_count + channel.deferred_count
                if left and channel.subscriptions:
                    return f"{topic.name} {channel.name} still has {left} messages"
        for lookupd in self.lookupds:
            if not lookupd.running:
                return f"{lookupd.name} does not run"
            wrong = self._unknown(lookupd)
            if wrong:
                return wrong
        return None

    def _unknown(self, lookupd: LookupdNode) -> str | None:
        registry = lookupd.service.node.registry
        for node in self.nsqds:
            for topic in node.service._broker.topics.values():
                found = registry.topics.get(topic.name)
                known = [] if found is None else [
                    producer.info.broadcast_address for producer in found.producers
                ]  # fmt: skip
                if node.name not in known:
                    return f"{lookupd.name} knows {topic.name} of {known}, not of {node.name}"
                for channel in topic.channels:
                    if found is None or channel not in found.channels:
                        return f"{lookupd.name} does not know {topic.name} {channel}"
        return None

    def _check_nodes(self) -> None:
        wrong = self._unsettled()
        if wrong is not None:
            self.history.fail("L1", wrong)


def simulate(seed: int, profile: str | None = None, keep_trace: bool = False) -> Cluster:
    """Run one simulation; by the seed alone unless a profile is named."""
    cluster = Cluster(seed, PROFILES[profile or profile_of(seed)], keep_trace)
    # When garbage is collected depends on all that the process did before, and it may run code.
    gc.disable()
    try:
        cluster.run()
    finally:
        gc.enable()
    return cluster
