"""What the pages show, in plain objects: a snapshot of the cluster, and the rows of its tables.

Sums are made here, once for each poll, and not in the templates. A row of a topic or channel has
the figures of all nodes together, and those of each node beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from nsqtx.cluster.urls import place_text

__all__ = [
    "ChannelRow",
    "ClientRow",
    "Figures",
    "Latency",
    "NodeRow",
    "Snapshot",
    "TopicRow",
]


@attrs.define
class Latency:
    """One percentile of the time between publish and finish, in ns."""

    quantile: float
    average: float
    least: float
    most: float
    count: int

    def add(self, other: Latency) -> None:
        """Take in another node's, weighted by how many messages it is about."""
        self.least = min(self.least, other.least)
        self.most = max(self.most, other.most)
        self.count += other.count
        if self.count:
            self.average += (other.average - self.average) * other.count / self.count


@attrs.define
class Figures:
    """The figures of a topic or channel, on one node or on all."""

    depth: int = 0
    backend_depth: int = 0
    in_flight: int = 0
    deferred: int = 0
    requeued: int = 0
    timed_out: int = 0
    messages: int = 0
    clients: int = 0
    paused: bool = False
    #: Messages delivered to consumers in the zone, the region, elsewhere.
    zone_local: int = 0
    region_local: int = 0
    elsewhere: int = 0
    #: Messages a second since the snapshot before; None: there is nothing to compare with.
    rate: float | None = None
    latencies: list[Latency] = attrs.field(factory=list)
    #: Of our nsqd: after how many attempts messages go to another topic (0: never), and how many
    #: were moved there since its start.
    max_attempts: int = 0
    dead_letter_topic: str = ""
    dead_letters: int = 0

    @property
    def memory_depth(self) -> int:
        """How much of the depth is in memory."""
        return self.depth - self.backend_depth

    @property
    def delivered(self) -> int:
        """Deliveries of which it is known how far they went."""
        return self.zone_local + self.region_local + self.elsewhere

    def add(self, other: Figures) -> None:
        """Take in another node's."""
        self.depth += other.depth
        self.backend_depth += other.backend_depth
        self.in_flight += other.in_flight
        self.deferred += other.deferred
        self.requeued += other.requeued
        self.timed_out += other.timed_out
        self.messages += other.messages
        self.clients += other.clients
        self.paused = self.paused or other.paused
        self.zone_local += other.zone_local
        self.region_local += other.region_local
        self.elsewhere += other.elsewhere
        if not self.dead_letter_topic or (other.max_attempts and not self.max_attempts):
            # That of a node with a limit comes before one where there is none any more.
            self.dead_letter_topic = other.dead_letter_topic
        self.max_attempts = max(self.max_attempts, other.max_attempts)
        self.dead_letters += other.dead_letters
        if other.rate is not None:
            self.rate = (self.rate or 0.0) + other.rate
        for each in other.latencies:
            for mine in self.latencies:
                if mine.quantile == each.quantile:
                    mine.add(each)
                    break
            else:
                self.latencies.append(attrs.evolve(each))


@attrs.define
class ChannelRow:
    """A channel: all nodes together, and each."""

    topic: str
    name: str
    all: Figures = attrs.field(factory=Figures)
    #: By the HTTP address of the node.
    nodes: dict[str, Figures] = attrs.field(factory=dict)


@attrs.define
class TopicRow:
    """A topic: all nodes together, and each; and its channels."""

    name: str
    all: Figures = attrs.field(factory=Figures)
    nodes: dict[str, Figures] = attrs.field(factory=dict)
    channels: dict[str, ChannelRow] = attrs.field(factory=dict)

    @property
    def backlog(self) -> int:
        """What waits in the channels, all taken together."""
        return sum(channel.all.depth for channel in self.channels.values())

    @property
    def in_flight(self) -> int:
        """What consumers have and have not finished."""
        return sum(channel.all.in_flight for channel in self.channels.values())

    @property
    def deferred(self) -> int:
        """What waits for its time."""
        return sum(channel.all.deferred for channel in self.channels.values())

    @property
    def clients(self) -> int:
        """Consumers."""
        return sum(channel.all.clients for channel in self.channels.values())


@attrs.define
class NodeRow:
    """An nsqd."""

    #: ``broadcast_address:http_port``, IPv6 in brackets.
    address: str
    hostname: str = ""
    broadcast_address: str = ""
    tcp_port: int = 0
    http_port: int = 0
    version: str = ""
    zone: str = ""
    region: str = ""
    #: The nsqlookupd that know it, each with the address from which it is connected.
    lookups: list[str] = attrs.field(factory=list)
    #: Its topics; true: a tombstone hides the node from those who look for the topic.
    topics: dict[str, bool] = attrs.field(factory=dict)
    out_of_date: bool = False
    #: Why it was not heard; empty: it was.
    error: str = ""
    depth: int = 0
    in_flight: int = 0
    clients: int = 0
    messages: int = 0
    rate: float | None = None

    @property
    def name(self) -> str:
        """``hostname:port``, as people know it."""
        return place_text(self.hostname or self.broadcast_address, self.http_port)

    @property
    def differs(self) -> bool:
        """Whether its address has another host than its name."""
        return bool(self.hostname) and self.hostname.lower() != self.broadcast_address.lower()


@attrs.define
class ClientRow:
    """A consumer's connection."""

    node: str
    topic: str
    channel: str
    client_id: str
    hostname: str
    remote_address: str
    user_agent: str
    #: Seconds since 1970.
    connect_ts: int
    in_flight: int = 0
    ready: int = 0
    finished: int = 0
    requeued: int = 0
    messages: int = 0
    sample_rate: int = 0
    deflate: bool = False
    snappy: bool = False
    tls: bool = False
    #: What was negotiated, for people.
    tls_text: str = ""
    authed: bool = False
    auth_identity: str = ""
    auth_identity_url: str = ""
    region: str = ""
    zone: str = ""
    #: ``zone`` or ``region``, where it is in that of its node; else empty.
    near: str = ""

    @property
    def host(self) -> str:
        """``hostname:port``, with the client id where that says more."""
        port = self.remote_address.rpartition(":")[2]
        text = f"{self.hostname}:{port}" if port else self.hostname
        if self.client_id and self.client_id not in (self.hostname, self.hostname.split(".")[0]):
            text += f" ({self.client_id})"
        return text


@attrs.define
class Snapshot:
    """The cluster at one moment."""

    #: Seconds since 1970.
    at: float
    topics: dict[str, TopicRow] = attrs.field(factory=dict)
    nodes: dict[str, NodeRow] = attrs.field(factory=dict)
    #: What went wrong while the rest went well.
    warnings: list[str] = attrs.field(factory=list)

    def sum_up(self, before: Snapshot | None) -> Iterator[None]:
        """Make rates, by what was ``before``, and the figures of all nodes together.

        Done when the iterator is at its end: of many topics this is work for a while.
        """
        seconds = self.at - before.at if before is not None else 0.0
        earlier = before.topics if before is not None and seconds > 0 else {}
        for topic in self.topics.values():
            was = earlier.get(topic.name)
            _sum_up(topic.all, topic.nodes, was.nodes if was else {}, seconds)
            for channel in topic.channels.values():
                had = was.channels.get(channel.name) if was else None
                _sum_up(channel.all, channel.nodes, had.nodes if had else {}, seconds)
            self._sum_up_nodes(topic)
            yield

    def _sum_up_nodes(self, topic: TopicRow) -> None:
        for address, figures in topic.nodes.items():
            node = self.nodes.get(address)
            if node is not None:
                node.depth += figures.depth
                node.messages += figures.messages
                if figures.rate is not None:
                    node.rate = (node.rate or 0.0) + figures.rate
        for channel in topic.channels.values():
            for address, figures in channel.nodes.items():
                node = self.nodes.get(address)
                if node is not None:
                    node.depth += figures.depth
                    node.in_flight += figures.in_flight
                    node.clients += figures.clients

    def inactive(self) -> list[str]:
        """Topics that nsqlookupd knows and no nsqd has: none shows them, and none that does not
        answer is registered with them."""
        registered = {topic for node in self.nodes.values() for topic in node.topics}
        return [
            topic.name
            for topic in self.topics.values()
            if not topic.nodes and topic.name not in registered
        ]

    @property
    def messages(self) -> int:
        """Messages that channels were given, all taken together: what the counter shows."""
        return sum(channel.all.messages for channel in self.channels())

    @property
    def rate(self) -> float | None:
        """The same a second."""
        rates = [each.all.rate for each in self.channels() if each.all.rate is not None]
        return sum(rates) if rates else None

    def channels(self) -> Iterable[ChannelRow]:
        """All channels of all topics."""
        for topic in self.topics.values():
            yield from topic.channels.values()


def _sum_up(
    all: Figures, nodes: dict[str, Figures], before: dict[str, Figures], seconds: float
) -> None:
    for address, figures in nodes.items():
        was = before.get(address)
        if was is not None:
            # An nsqd that was started anew counts from zero.
            more = figures.messages - was.messages
            figures.rate = (more if more >= 0 else figures.messages) / seconds
        all.add(figures)
