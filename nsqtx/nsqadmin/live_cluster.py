"""The cluster as the pages see it: the one place where `nsqtx.cluster` becomes rows."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import TypeVar

from twisted.internet.defer import Deferred, gatherResults

from nsqtx.cluster.errors import ApiError
from nsqtx.cluster.gathering import ClusterError, Gathered
from nsqtx.cluster.nodes import Node, node_of
from nsqtx.cluster.peeked import PeekedMessage
from nsqtx.cluster.reasons import reason_text
from nsqtx.cluster.stats import ChannelStats, ClientStats, Stats, TopicStats
from nsqtx.cluster.stats import Latency as LatencyStats
from nsqtx.cluster.view import ClusterView, NoSuch
from nsqtx.nsqadmin.deeds import Deeds
from nsqtx.nsqadmin.poller import InSlices
from nsqtx.nsqadmin.rows import (
    ChannelRow,
    ClientRow,
    Figures,
    Latency,
    NodeRow,
    Snapshot,
    TopicRow,
)
from nsqtx.nsqadmin.source import (
    Action,
    Consumers,
    Done,
    Inactive,
    Peeked,
    PeekedNode,
    Refused,
)
from nsqtx.web.site import ApiRequest

__all__ = ["LiveCluster"]

T = TypeVar("T")
#: A node, what it has, and why that is not known.
_Heard = tuple[Node, "Stats | None", str]


class LiveCluster:
    """A `nsqtx.nsqadmin.source.ClusterSource` that asks daemons.

    :param in_slices: works an iterator off, a little at a time.
    """

    def __init__(self, view: ClusterView, deeds: Deeds, in_slices: InSlices) -> None:
        self._view = view
        self._deeds = deeds
        self._in_slices = in_slices

    @property
    def lookups(self) -> list[str]:
        """The nsqlookupd that are asked now."""
        return self._view.lookupds

    # All of it.

    def gather(self) -> Deferred[Snapshot]:
        """A snapshot; its rates and sums are not made yet. Fails with `ClusterError`."""
        return Deferred.fromCoroutine(self._gather())

    async def _gather(self) -> Snapshot:
        view = self._view
        if view.lookupds:
            nodes = await view.nodes()
            heard = (await view.gathering.tell_all(nodes.value, self._stats_of)).value
            names = await self._names()
            warnings = [*nodes.warnings, *names.warnings]
        else:
            found = await view.gathering.ask_all("nsqd", view.nsqds, self._stats_at)
            heard, warnings = found.value, found.warnings
            names = Gathered([])
        warnings += [f"{node.http_address}: {error}" for node, _, error in heard if error]
        snapshot = Snapshot(view.clock.seconds(), warnings=list(dict.fromkeys(warnings)))
        for node, _, error in heard:
            snapshot.nodes[node.http_address] = _node_row(node, error)
        for node, stats, _ in heard:
            if stats is not None:
                await self._in_slices(_add_stats(snapshot, node.http_address, stats))
        for name in names.value:
            snapshot.topics.setdefault(name, TopicRow(name))
        return snapshot

    async def _names(self) -> Gathered[list[str]]:
        """Also topics that no nsqd has. That nsqlookupd does not say leaves the rest."""
        try:
            return await self._view.topics()
        except ClusterError as error:
            return Gathered([], [str(error)])

    def _stats_of(self, node: Node) -> Deferred[_Heard]:
        async def ask() -> _Heard:
            try:
                nsqd = self._view.nsqd(node.http_address)
                stats = await nsqd.stats(include_clients=False, include_mem=False)
            except ApiError as error:
                return node, None, reason_text(error)
            return node, stats, ""

        return Deferred.fromCoroutine(ask())

    def _stats_at(self, address: str) -> Deferred[_Heard]:
        """Those of an nsqd of the list, at the address that it gives itself."""

        async def ask() -> _Heard:
            nsqd = self._view.nsqd(address)
            node = node_of(await nsqd.info(), nsqd.url.host, nsqd.url.port, [])
            return await self._stats_of(node)

        return Deferred.fromCoroutine(ask())

    # What single pages need.

    def consumers_of_channel(self, topic: str, channel: str) -> Deferred[Consumers]:
        """The clients of a channel on all nodes."""

        async def ask() -> Consumers:
            found = await self._view.channel(topic, channel)
            rows = [_client_row(topic, channel, each) for each in found.value.clients]
            return Consumers(rows, found.warnings)

        return _asked(ask())

    def consumers_of_node(self, node: str) -> Deferred[Consumers]:
        """All clients of a node."""

        async def ask() -> Consumers:
            found = await self._view.node(node)
            rows = [
                _client_row(topic.topic_name, channel.channel_name, client)
                for topic in found.value[1]
                for channel in topic.channels
                for client in channel.clients
            ]
            return Consumers(rows, found.warnings)

        return _asked(ask())

    def inactive(self, topics: list[str]) -> Deferred[Inactive]:
        """These topics, with their channels."""

        async def ask() -> Inactive:
            asking = [Deferred.fromCoroutine(self._channels(topic)) for topic in topics]
            found = await gatherResults(asking, consumeErrors=True)
            warnings = {text: None for each in found for text in each.warnings}
            channels = [each.value for each in found]
            return Inactive(dict(zip(topics, channels, strict=True)), list(warnings))

        return _asked(ask())

    async def _channels(self, topic: str) -> Gathered[list[str]]:
        try:
            return await self._view.channels(topic)
        except ClusterError as error:
            return Gathered([], [str(error)])

    def peek(
        self, topic: str, channel: str, nodes: list[str], state: str, limit: int, size: int
    ) -> Deferred[list[PeekedNode]]:
        """Messages of each node."""

        async def ask(node: str) -> PeekedNode:
            try:
                nsqd = self._view.nsqd(node)
                found = await nsqd.peek(topic, channel, state=state, limit=limit, size=size)
            except ApiError as error:
                return PeekedNode(node, error=_peek_error(error))
            return PeekedNode(node, [_peeked(each) for each in found])

        async def ask_all() -> list[PeekedNode]:
            asked = await self._view.gathering.tell_all(
                nodes, lambda node: Deferred.fromCoroutine(ask(node))
            )
            return asked.value

        return _asked(ask_all())

    def act(self, request: ApiRequest, action: Action) -> Deferred[Done]:
        """Do it."""
        return _asked(self._act(request, action))

    async def _act(self, request: ApiRequest, action: Action) -> Done:
        do, topic, channel = action.do, action.topic, action.channel
        deeds = self._deeds
        if do == "redrive":
            redriven = await deeds.redrive(request, topic, channel, action.limit)
            return Done(redriven.warnings, redriven.value)
        if do == "tombstone":
            done = await deeds.tombstone(request, topic, action.node)
        elif do == "create":
            done = await deeds.create(request, topic, channel)
        elif do == "delete":
            done = await deeds.delete(request, topic, channel)
        else:
            done = await deeds.act(request, do, topic, channel)
        return Done(done.warnings)


def _asked(asking: Awaitable[T]) -> Deferred[T]:
    """What the cluster answers, or `Refused`. Anything else is a bug."""

    async def answer() -> T:
        try:
            return await asking
        except (ClusterError, NoSuch) as error:
            raise Refused(str(error)) from error
        except ApiError as error:
            raise Refused(reason_text(error)) from error

    return Deferred.fromCoroutine(answer())


def _peek_error(error: ApiError) -> str:
    if error.status == 404:
        if error.code == "NOT_FOUND":
            return "This nsqd cannot show messages: it is one of the original's."
        return "This nsqd does not have it."
    return reason_text(error)


def _node_row(node: Node, error: str) -> NodeRow:
    return NodeRow(
        address=node.http_address,
        hostname=node.hostname,
        broadcast_address=node.broadcast_address,
        tcp_port=node.tcp_port,
        http_port=node.http_port,
        version=node.version,
        zone=node.topology_zone,
        region=node.topology_region,
        lookups=list(node.remote_addresses or []),
        topics={each.topic: each.tombstoned for each in node.topics},
        out_of_date=node.out_of_date,
        error=error,
    )


def _add_stats(snapshot: Snapshot, address: str, stats: Stats) -> Iterator[None]:
    """Enter what a node has. Of many topics this is work for a while, done at the end."""
    of_node = snapshot.nodes[address].topics
    for topic in stats.topics:
        name = topic.topic_name
        of_node.setdefault(name, False)
        row = snapshot.topics.get(name)
        if row is None:
            row = snapshot.topics[name] = TopicRow(name)
        row.nodes[address] = _topic_figures(topic)
        for channel in topic.channels:
            entry = row.channels.get(channel.channel_name)
            if entry is None:
                entry = ChannelRow(name, channel.channel_name)
                row.channels[channel.channel_name] = entry
            entry.nodes[address] = _channel_figures(channel)
        yield


def _topic_figures(topic: TopicStats) -> Figures:
    return Figures(
        depth=topic.depth,
        backend_depth=topic.backend_depth,
        messages=topic.message_count,
        paused=topic.paused,
        latencies=_latencies(topic.e2e_processing_latency),
    )


def _channel_figures(channel: ChannelStats) -> Figures:
    return Figures(
        depth=channel.depth,
        backend_depth=channel.backend_depth,
        in_flight=channel.in_flight_count,
        deferred=channel.deferred_count,
        requeued=channel.requeue_count,
        timed_out=channel.timeout_count,
        messages=channel.message_count,
        clients=channel.client_count,
        paused=channel.paused,
        zone_local=channel.zone_local_msg_count,
        region_local=channel.region_local_msg_count,
        elsewhere=channel.global_msg_count,
        latencies=_latencies(channel.e2e_processing_latency),
        max_attempts=channel.max_attempts,
        dead_letter_topic=channel.dead_letter_topic,
        dead_letters=channel.dead_letter_count,
    )


def _latencies(latency: LatencyStats | None) -> list[Latency]:
    if latency is None:
        return []
    return [
        Latency(each.quantile, each.value, each.value, each.value, latency.count)
        for each in latency.percentiles
    ]


def _client_row(topic: str, channel: str, client: ClientStats) -> ClientRow:
    same_region = client.topology_region == client.node_topology_region
    same_zone = same_region and client.topology_zone == client.node_topology_zone
    near = "zone" if client.topology_zone and same_zone else ""
    if not near and client.topology_region and same_region:
        near = "region"
    negotiated = [client.tls_version, client.tls_cipher_suite, client.tls_negotiated_protocol]
    if client.tls_negotiated_protocol_is_mutual:
        negotiated.append("mutual")
    return ClientRow(
        node=client.node,
        topic=topic,
        channel=channel,
        client_id=client.client_id,
        hostname=client.hostname,
        remote_address=client.remote_address,
        user_agent=client.user_agent,
        connect_ts=client.connect_ts,
        in_flight=client.in_flight_count,
        ready=client.ready_count,
        finished=client.finish_count,
        requeued=client.requeue_count,
        messages=client.message_count,
        sample_rate=client.sample_rate,
        deflate=client.deflate,
        snappy=client.snappy,
        tls=client.tls,
        tls_text=" ".join(each for each in negotiated if each),
        authed=client.authed,
        auth_identity=client.auth_identity,
        auth_identity_url=client.auth_identity_url,
        region=client.topology_region,
        zone=client.topology_zone,
        near=near,
    )


def _peeked(message: PeekedMessage) -> Peeked:
    holder = message.client
    client = ""
    if holder is not None:
        client = f"{holder.hostname or holder.client_id} {holder.remote_address}".strip()
    return Peeked(
        id=message.id,
        timestamp=message.timestamp,
        age=message.age,
        attempts=message.attempts,
        size=message.size,
        body=message.body,
        is_base64=message.base64,
        due=message.due,
        deadline=message.deadline,
        client=client,
    )
