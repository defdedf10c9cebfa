"""The figures of many nsqd as those of one (nsqadmin section 6). Nothing here asks anybody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from nsqtx.cluster.nodes import Node
from nsqtx.cluster.stats import ChannelStats, ClientStats, Latency, Percentile, Stats, TopicStats

__all__ = ["located", "merge_channels", "merge_latencies", "merge_topics", "overview"]

SECOND = 10**9

_TOPIC_SUMS = (
    "depth",
    "backend_depth",
    "message_count",
    "message_bytes",
    "zone_local_msg_count",
    "region_local_msg_count",
    "global_msg_count",
)
_CHANNEL_SUMS = (
    "depth",
    "backend_depth",
    "in_flight_count",
    "deferred_count",
    "requeue_count",
    "timeout_count",
    "message_count",
    "zone_local_msg_count",
    "region_local_msg_count",
    "global_msg_count",
    "client_count",
    "dead_letter_count",
)


def located(stats: Stats, node: Node, now: float, topic: str = "") -> list[TopicStats]:
    """The topics of a node, with its place filled in; only ``topic``, if one is given.

    ``now`` is in seconds since 1970.
    """
    topics = [each for each in stats.topics if not topic or each.topic_name == topic]
    address = node.http_address
    for each in topics:
        each.node, each.hostname = address, node.hostname
        each.e2e_processing_latency = _of_one_node(each.e2e_processing_latency)
        for channel in each.channels:
            channel.node, channel.hostname = address, node.hostname
            channel.topic_name = each.topic_name
            channel.e2e_processing_latency = _of_one_node(channel.e2e_processing_latency)
            for client in channel.clients:
                client.node = address
                client.node_topology_region = node.topology_region
                client.node_topology_zone = node.topology_zone
                client.connected = max(0, int(now) - client.connect_ts) * SECOND
    return topics


def _of_one_node(latency: Latency | None) -> Latency:
    if latency is None:
        return Latency()
    for percentile in latency.percentiles:
        percentile.min = percentile.max = percentile.average = percentile.value
        percentile.count = latency.count
    return latency


def merge_channels(channels: Sequence[ChannelStats]) -> ChannelStats:
    """One channel, from what it is on some nodes (at least one)."""
    first = channels[0]
    merged = ChannelStats(
        channel_name=first.channel_name,
        paused=any(channel.paused for channel in channels),
        max_attempts=max(channel.max_attempts for channel in channels),
        dead_letter_topic=next((c.dead_letter_topic for c in channels if c.max_attempts), ""),
    )
    _add_up(merged, channels, _CHANNEL_SUMS)
    merged.node, merged.topic_name = "*", first.topic_name
    merged.nodes = sorted(channels, key=_place)
    merged.clients = sorted(
        (client for channel in channels for client in channel.clients), key=_nearness
    )
    latencies = [channel.e2e_processing_latency for channel in channels]
    merged.e2e_processing_latency = merge_latencies(latencies, first.topic_name, first.channel_name)
    return merged


def merge_topics(name: str, topics: Sequence[TopicStats]) -> TopicStats:
    """One topic with its channels, from what it is on some nodes.

    Channels that only one node has are that node's own.
    """
    merged = TopicStats(topic_name=name, paused=any(topic.paused for topic in topics))
    _add_up(merged, topics, _TOPIC_SUMS)
    merged.node = "*"
    merged.nodes = sorted(topics, key=_place)
    channels: dict[str, list[ChannelStats]] = {}
    for topic in merged.nodes:
        for channel in topic.channels:
            channels.setdefault(channel.channel_name, []).append(channel)
    merged.channels = [
        merge_channels(found) if len(found) > 1 else found[0]
        for _, found in sorted(channels.items())
    ]
    latencies = [topic.e2e_processing_latency for topic in topics]
    merged.e2e_processing_latency = merge_latencies(latencies, name)
    return merged


def overview(topics: Iterable[TopicStats]) -> list[TopicStats]:
    """All topics of all nodes, each one once, by name."""
    by_name: dict[str, list[TopicStats]] = {}
    for topic in topics:
        by_name.setdefault(topic.topic_name, []).append(topic)
    return [merge_topics(name, found) for name, found in sorted(by_name.items())]


def merge_latencies(
    latencies: Iterable[Latency | None], topic: str = "", channel: str = ""
) -> Latency:
    """The latencies of some nodes together.

    The average is weighted by how many messages each node counts. ``min`` is the least of all,
    where the original has 0.
    """
    merged = Latency()
    merged.topic, merged.channel, merged.host = topic, channel, "*"
    by_quantile: dict[float, Percentile] = {}
    for latency in latencies:
        if latency is None:
            continue
        merged.count += latency.count
        for percentile in latency.percentiles:
            sum_ = by_quantile.get(percentile.quantile)
            if sum_ is None:
                sum_ = by_quantile[percentile.quantile] = attrs.evolve(percentile, value=0.0)
                sum_.min, sum_.max = percentile.min, percentile.max
                sum_.measured = False
            sum_.min = min(sum_.min, percentile.min)
            sum_.max = max(sum_.max, percentile.max)
            sum_.count += percentile.count
            if sum_.count:
                share = percentile.count / sum_.count
                sum_.average += (percentile.average - sum_.average) * share
    merged.percentiles = list(by_quantile.values())
    return merged


def _add_up(merged: object, parts: Iterable[object], names: Iterable[str]) -> None:
    parts = list(parts)
    for name in names:
        setattr(merged, name, sum(getattr(part, name) for part in parts))


def _place(stats: TopicStats | ChannelStats) -> tuple[str, str]:
    return stats.hostname, stats.node


def _nearness(client: ClientStats) -> tuple[str, int, str, str]:
    """By node; of each first who is in its zone, then who is in its region (nsqadmin 5.5)."""
    near = client.topology_region == client.node_topology_region
    nearest = near and client.topology_zone == client.node_topology_zone
    rank = 0 if nearest else 1 if near else 2
    return client.node, rank, client.topology_region, client.topology_zone
