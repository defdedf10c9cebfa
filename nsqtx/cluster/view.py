"""A cluster as one: what its daemons have, added up, asked for at this moment (nsqadmin section 4).

Nothing is kept between calls. Where nsqlookupd are known, they say which nsqd there are; else these
are a fixed list. Either way an nsqd is then asked at the address that it gives itself.
"""

from __future__ import annotations

from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IAgent

from nsqtx.cluster.daemon import DaemonClient
from nsqtx.cluster.errors import ApiError
from nsqtx.cluster.gathering import ClusterError, Gathered, Gathering
from nsqtx.cluster.lookupd import LookupdClient
from nsqtx.cluster.merging import located, merge_channels, merge_topics, overview
from nsqtx.cluster.nodes import Node, merge_nodes, merge_producers, node_of
from nsqtx.cluster.nsqd import NsqdClient
from nsqtx.cluster.producers import Lookup
from nsqtx.cluster.stats import ChannelStats, Stats, TopicStats
from nsqtx.wire.errors import quote
from nsqtx.wire.names import valid_name

__all__ = ["ClusterView", "NoSuch", "Overview"]

C = TypeVar("C", bound=DaemonClient)

#: Requests that are under way at the same time, for everybody who looks at the cluster.
PARALLEL = 32


class NoSuch(Exception):
    """No node that answered has such a channel, or is at such an address; the text says which."""


@attrs.frozen
class Overview:
    """Everything there is: the nodes, and each topic with its channels, added up."""

    nodes: list[Node]
    topics: list[TopicStats]


class ClusterView:
    """Looks at a cluster.

    ``lookupds`` and ``nsqds`` are HTTP addresses, and may be replaced at any time; without
    nsqlookupd the nsqd are those of the list. What is asked is answered with what is known and
    with warnings about who did not answer, as `Gathered`.

    :param options: for each request: ``timeout`` in seconds, ``token``, ``max_size`` in bytes.
    """

    def __init__(
        self,
        agent: IAgent,
        clock: IReactorTime,
        lookupds: list[str],
        nsqds: list[str],
        *,
        parallel: int = PARALLEL,
        **options: Any,
    ) -> None:
        self.lookupds = lookupds
        self.nsqds = nsqds
        self.gathering = Gathering(parallel)
        self.clock = clock
        self._agent = agent
        self._options = options

    def lookupd(self, address: str) -> LookupdClient:
        """Asks one nsqlookupd. :raises ApiError: its address is none."""
        return self._client(LookupdClient, address)

    def nsqd(self, address: str) -> NsqdClient:
        """Asks one nsqd. :raises ApiError: its address, which it may have made up, is none."""
        return self._client(NsqdClient, address)

    def _client(self, cls: type[C], address: str) -> C:
        try:
            return cls(address, self._agent, self.clock, **self._options)
        except ValueError as error:
            raise ApiError(str(error)) from error

    # Who is there. ClusterError: nobody has answered.

    async def topics(self) -> Gathered[list[str]]:
        """The names of all topics, in order."""
        if self.lookupds:
            found = await self._ask_lookupds(lambda lookupd: lookupd.topics())
            names = {name for answer in found.value for name in answer}
        else:
            stats = await self._ask_nsqds(_stats_without_clients)
            names = {topic.topic_name for answer in stats.value for topic in answer.topics}
            found = Gathered([], stats.warnings)
        return Gathered(sorted(names), found.warnings)

    async def channels(self, topic: str) -> Gathered[list[str]]:
        """The names of the channels that the nsqlookupd know, in order."""
        found = await self._ask_lookupds(lambda lookupd: lookupd.channels(topic))
        return Gathered(sorted({name for each in found.value for name in each}), found.warnings)

    async def nodes(self) -> Gathered[list[Node]]:
        """All nsqd, by host name."""
        if not self.lookupds:
            return await self._nodes_at(self.nsqds)

        def ask(lookupd: LookupdClient) -> Deferred[Any]:
            return lookupd.nodes().addCallback(lambda entries: (lookupd.address, entries))

        found = await self._ask_lookupds(ask)
        return Gathered(merge_nodes(found.value), found.warnings)

    async def producers(self, topic: str) -> Gathered[list[Node]]:
        """The nsqd that have a topic."""
        if not valid_name(topic):
            kind = "nsqlookupd" if self.lookupds else "nsqd"
            raise ClusterError(f"failed to query any {kind}: no topic is called {quote(topic)}")
        if not self.lookupds:
            return await self._nodes_at(self.nsqds, topic)
        found: Gathered[list[Lookup]] = await self._ask_lookupds(
            lambda lookupd: lookupd.lookup(topic)
        )
        return Gathered(merge_producers(each.producers for each in found.value), found.warnings)

    async def inactive_topics(self) -> Gathered[dict[str, list[str]]]:
        """Topics that only nsqlookupd know, since no nsqd has them, with their channels."""
        found = await self.topics()
        if not self.lookupds:
            return Gathered({}, found.warnings)
        asking = [Deferred.fromCoroutine(self._channels_if_inactive(each)) for each in found.value]
        channels = await gatherResults(asking, consumeErrors=True)
        both = zip(found.value, channels, strict=True)
        return Gathered({topic: each for topic, each in both if each is not None}, found.warnings)

    async def _channels_if_inactive(self, topic: str) -> list[str] | None:
        try:
            if (await self.producers(topic)).value:
                return None
        except ClusterError:
            # As the original: who does not answer has no producers.
            pass
        try:
            return (await self.channels(topic)).value
        except ClusterError:
            return []

    async def node_at(self, address: str) -> Gathered[Node]:
        """An nsqd, as it says itself where it is asked."""
        found = await self._nodes_at([address])
        return Gathered(found.value[0], found.warnings)

    async def _nodes_at(self, addresses: list[str], topic: str = "") -> Gathered[list[Node]]:
        async def ask(address: str) -> Node | None:
            nsqd = self.nsqd(address)
            host, port = nsqd.url.host, nsqd.url.port
            if not topic:
                info = await nsqd.info()
                stats = await nsqd.stats(include_clients=False, include_mem=False)
            else:
                stats = await nsqd.stats(topic, include_clients=False, include_mem=False)
                if topic not in [each.topic_name for each in stats.topics]:
                    return None
                info = await nsqd.info()
            return node_of(info, host, port, [each.topic_name for each in stats.topics])

        found = await self.gathering.ask_all(
            "nsqd", addresses, lambda address: Deferred.fromCoroutine(ask(address))
        )
        return Gathered([node for node in found.value if node is not None], found.warnings)

    # Figures.

    async def overview(self) -> Gathered[Overview]:
        """All nodes, topics and channels, without clients; of an empty cluster nothing."""
        nodes = await self.nodes()
        if not nodes.value:
            return Gathered(Overview([], []), nodes.warnings)
        stats = await self.stats(nodes.value)
        found = Overview(nodes.value, overview(stats.value))
        return Gathered(found, nodes.warnings + stats.warnings)

    async def topic(self, topic: str) -> Gathered[TopicStats]:
        """A topic and its channels, added up; one of nothing if no node has it any more."""
        nodes = await self.producers(topic)
        stats = await self.stats(nodes.value, topic)
        return Gathered(merge_topics(topic, stats.value), nodes.warnings + stats.warnings)

    async def channel(self, topic: str, channel: str) -> Gathered[ChannelStats]:
        """A channel with its clients, added up; `NoSuch` if no node has it."""
        nodes = await self.producers(topic)
        stats = await self.stats(nodes.value, topic, channel, clients=True)
        found = [
            each for one in stats.value for each in one.channels if each.channel_name == channel
        ]
        if not found:
            raise NoSuch(f"channel {topic}:{channel}")
        return Gathered(merge_channels(found), nodes.warnings + stats.warnings)

    async def node(self, address: str) -> Gathered[tuple[Node, list[TopicStats]]]:
        """A node by its HTTP address, and its topics with channels and clients; or `NoSuch`."""
        nodes = await self.nodes()
        node = next((each for each in nodes.value if each.http_address == address), None)
        if node is None:
            raise NoSuch(f"node {address}")
        stats = await self.stats([node], clients=True)
        return Gathered((node, stats.value), nodes.warnings + stats.warnings)

    async def stats(
        self, nodes: list[Node], topic: str = "", channel: str = "", *, clients: bool = False
    ) -> Gathered[list[TopicStats]]:
        """The topics of nodes, one after the other, not added up. All, or one topic or channel.

        :raises ClusterError: no node has answered, or there is none.
        """

        def ask(node: Node) -> Deferred[list[TopicStats]]:
            asking = self.nsqd(node.http_address).stats(
                topic, channel if topic else "", include_clients=clients, include_mem=False
            )

            def locate(stats: Stats) -> list[TopicStats]:
                return located(stats, node, self.clock.seconds(), topic)

            return asking.addCallback(locate)

        found = await self.gathering.ask_all("nsqd", nodes, ask)
        return Gathered([each for answer in found.value for each in answer], found.warnings)

    async def _ask_lookupds(self, request: Any) -> Gathered[Any]:
        return await self.gathering.ask_all(
            "nsqlookupd", self.lookupds, lambda address: request(self.lookupd(address))
        )

    async def _ask_nsqds(self, request: Any) -> Gathered[list[Stats]]:
        return await self.gathering.ask_all(
            "nsqd", self.nsqds, lambda address: request(self.nsqd(address))
        )


def _stats_without_clients(nsqd: NsqdClient) -> Deferred[Stats]:
    return nsqd.stats(include_clients=False, include_mem=False)
