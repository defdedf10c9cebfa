"""A whole cluster in one simulation: daemons, clients, faults, then healing; and the verdict."""

from __future__ import annotations

import gc
from functools import partial
from typing import Any

from nsqtx.broker.backlog import READ_AHEAD
from nsqtx.broker.topic import Topic
from tests.simulation.clients import Consumer, HttpPublisher, Publisher
from tests.simulation.faults import Faults
from tests.simulation.history import History
from tests.simulation.ledger import Place
from tests.simulation.network import Network
from tests.simulation.nodes import LookupdNode, Node, NsqdNode
from tests.simulation.operators import CAREFUL, CARELESS, Operated, Operator
from tests.simulation.profiles import PROFILES, Profile
from tests.simulation.programs import ReaderProgram, WriterProgram
from tests.simulation.reactor import LAZINESS, SimulatedReactor
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
        #: How often a message may be delivered; in most simulations any number of times.
        self._most = random.choice((0, 0, 0, 1, 2, 3))
        options: dict[str, Any] = {
            "max_attempts": self._most,
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
        for each in self.nsqds:
            each.turns = random.random() < 0.7
            each.laziness = random.choice((LAZINESS, LAZINESS, 0.005))
        self.publishers: list[Publisher] = []
        self.consumers: list[Consumer | ReaderProgram] = []
        self.operators: list[Operator] = []
        self.history.exists = self._exists

    def _node(self, name: str) -> NsqdNode:
        return next(node for node in self.nsqds if node.name == name)

    def _topic(self, place: Place) -> Topic | None:
        node = self._node(place.node)
        found: Topic | None = None
        if node.running:
            found = node.service._broker.topics.get(place.topic)
        return found

    def _exists(self, place: Place) -> bool:
        """Whether there is that channel now."""
        topic = self._topic(place)
        return topic is not None and place.channel in topic.channels

    def _is_paused(self, place: Place) -> bool | None:
        """Whether a topic or channel is paused now; None: it is not there."""
        topic = self._topic(place)
        found = topic.channels.get(place.channel) if topic and place.channel else topic
        return None if found is None else found.paused

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
            node.on_started = partial(self.history.started, node.name, self._is_paused)
            node.start()
        clients = [SimulatedReactor(self.network.add_host(f"client{i}")) for i in range(2)]
        operated: list[Operated] = []
        for topic in ("t", "u")[: random.randint(1, 2)]:
            channels = ("c", "d")[: random.randint(1, 2)]
            deeds = random.choice(({}, {}, CAREFUL, CARELESS))
            operated.append(Operated(topic, channels, deeds))
            for channel in channels:
                self._consume(topic, channel, random.choice(clients))
            for number, node in enumerate(self.nsqds):
                kinds = (Publisher, HttpPublisher, WriterProgram)
                for kind in random.sample(kinds, random.randint(1, 2)):
                    name = f"{kind.__name__[0]}{number}{topic}"
                    reactor = random.choice(clients)
                    self.publishers.append(kind(name, reactor, node.host, self.history, topic))

        if self._most or any(each.deeds for each in operated):
            for node in self.nsqds:
                name, reactor = f"O{node.name}", random.choice(clients)
                self.operators.append(
                    Operator(name, reactor, node.host, self.history, operated, bool(self._most))
                )

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
            for each in (*self.consumers, *self.operators):
                each.calm_down()
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
                letters = channel.dead_letters.waiting
                dead = len(letters) - letters.spilled
                if fresh > most or max(waiting, dead) > most + 256:
                    text = f"{channel.name}: {fresh} + {waiting} + {dead} in memory, limit {most}"
                    self.history.fail("S8", text)

    def _unsettled(self) -> str | None:
        """What is not as it should be when there was no fault for long."""
        for node in self.nsqds:
            if not node.running:
                return f"{node.name} does not run"
            if node.service.node.health != "OK":
                return f"{node.name} is not healthy: {node.service.node.health}"
        for operator in self.operators:
            if not operator.settled:
                return f"{operator.name} is not told of {operator.left}"
        for topic in self._topics():
            left = _held(topic)
            if topic.name.endswith(".dlq") and left:
                return f"{topic.name} still has {left} dead letters"
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
            wrong = self._known_too_well(lookupd, node)
            if wrong:
                return wrong
        return None

    def _known_too_well(self, lookupd: LookupdNode, node: NsqdNode) -> str | None:
        """What a nsqlookupd says that an nsqd has, and it has not."""
        registry = lookupd.service.node.registry
        topics = node.service._broker.topics
        # Connections of earlier processes may be half-open.
        producer = max(
            (each for each in registry.producers if each.info.broadcast_address == node.name),
            key=lambda each: each.last_update,
            default=None,
        )
        if producer is None:
            return f"{lookupd.name} has not heard of {node.name}"
        for name, topic in registry.topics.items():
            if producer in topic.producers and name not in topics:
                return f"{lookupd.name} says that {node.name} has topic {name}"
            for channel, producers in topic.channels.items():
                if producer in producers and channel not in topics[name].channels:
                    return f"{lookupd.name} says that {node.name} has {name} {channel}"
        return None

    def _check_nodes(self) -> None:
        wrong = self._unsettled()
        if wrong is not None:
            self.history.fail("L1", wrong)


def _held(topic: Topic) -> int:
    """How many messages a topic holds; after a power cut its depth may count some that are lost."""
    if not topic.depth or topic.log is None:
        return topic.depth
    return sum(
        len(batch.records[: stop - batch.first])
        for start, stop in topic.held.unread()
        for batch in topic.log.replay(start)
        if batch.first < stop
    )


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
