"""What the API answers: the original's objects, their keys in its order (nsqadmin section 5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nsqtx.cluster.nodes import Node
from nsqtx.cluster.stats import ChannelStats, ClientStats, Latency, Percentile, TopicStats

__all__ = ["channel_json", "counter_json", "node_json", "topic_json"]

_LOCAL_COUNTS = ("zone_local_msg_count", "region_local_msg_count", "global_msg_count")
_CLIENT_KEYS = (
    "node",
    "remote_address",
    "version",
    "client_id",
    "hostname",
    "user_agent",
    "connect_ts",
    "connected",
    "in_flight_count",
    "ready_count",
    "finish_count",
    "requeue_count",
    "message_count",
    "sample_rate",
    "deflate",
    "snappy",
    "authed",
    "auth_identity",
    "auth_identity_url",
    "node_topology_region",
    "node_topology_zone",
    "topology_region",
    "topology_zone",
    "tls",
    "tls_cipher_suite",
    "tls_version",
    "tls_negotiated_protocol",
    "tls_negotiated_protocol_is_mutual",
)
_CLIENT_OMITTED = frozenset(key for key in _CLIENT_KEYS if "topology" in key)


def node_json(node: Node) -> dict[str, Any]:
    """A node of ``/api/nodes``."""
    shown: dict[str, Any] = {
        "remote_addresses": node.remote_addresses,
        "remote_address": node.remote_address,
        "hostname": node.hostname,
        "broadcast_address": node.broadcast_address,
        "tcp_port": node.tcp_port,
        "http_port": node.http_port,
        "version": node.version,
    }
    if node.topology_zone:
        shown["topology_zone"] = node.topology_zone
    if node.topology_region:
        shown["topology_region"] = node.topology_region
    topics = [{"topic": each.topic, "tombstoned": each.tombstoned} for each in node.topics]
    return {**shown, "topics": topics or None, "out_of_date": node.out_of_date}


def topic_json(topic: TopicStats, clients: bool) -> dict[str, Any]:
    """A topic: of one node, or added up. ``clients``: whether there are any in it."""
    channels = [channel_json(each, clients) for each in topic.channels]
    return {
        "node": topic.node,
        "hostname": topic.hostname,
        "topic_name": topic.topic_name,
        "depth": topic.depth,
        "memory_depth": topic.memory_depth,
        "backend_depth": topic.backend_depth,
        "message_count": topic.message_count,
        "delivery_msg_count": topic.delivery_msg_count,
        **_local_counts(topic),
        "nodes": [topic_json(each, clients) for each in topic.nodes] or None,
        "channels": channels or (None if topic.node == "*" else []),
        "paused": topic.paused,
        "e2e_processing_latency": _latency_json(topic.e2e_processing_latency),
    }


def channel_json(channel: ChannelStats, clients: bool) -> dict[str, Any]:
    """A channel: of one node, or added up. ``clients``: whether they were asked for."""
    found = [_client_json(each) for each in channel.clients]
    delivered = channel.delivery_msg_count
    return {
        "node": channel.node,
        "hostname": channel.hostname,
        "topic_name": channel.topic_name,
        "channel_name": channel.channel_name,
        "depth": channel.depth,
        "memory_depth": channel.memory_depth,
        "backend_depth": channel.backend_depth,
        "in_flight_count": channel.in_flight_count,
        "deferred_count": channel.deferred_count,
        "requeue_count": channel.requeue_count,
        "timeout_count": channel.timeout_count,
        "message_count": channel.message_count,
        **({"delivery_msg_count": delivered} if delivered else {}),
        **_local_counts(channel),
        "client_count": channel.client_count,
        "nodes": [channel_json(each, clients) for each in channel.nodes] or None,
        "clients": found or ([] if clients and channel.node != "*" else None),
        "paused": channel.paused,
        "e2e_processing_latency": _latency_json(channel.e2e_processing_latency),
    }


def counter_json(topics: Iterable[TopicStats]) -> dict[str, Any]:
    """``stats`` of ``/api/counter``, from the topics of each node."""
    shown = {}
    for topic in topics:
        for channel in topic.channels:
            key = f"{topic.topic_name}:{channel.channel_name}:{channel.node}"
            shown[key] = {
                "node": channel.node,
                "topic_name": topic.topic_name,
                "channel_name": channel.channel_name,
                "message_count": channel.message_count,
            }
    return shown


def _local_counts(stats: TopicStats | ChannelStats) -> dict[str, int]:
    counts = {key: getattr(stats, key) for key in _LOCAL_COUNTS}
    return {key: count for key, count in counts.items() if count}


def _client_json(client: ClientStats) -> dict[str, Any]:
    values = {key: getattr(client, key) for key in _CLIENT_KEYS}
    return {key: value for key, value in values.items() if value or key not in _CLIENT_OMITTED}


def _latency_json(latency: Latency | None) -> dict[str, Any]:
    latency = latency or Latency()
    return {
        "count": latency.count,
        "percentiles": [_percentile_json(each) for each in latency.percentiles] or None,
        "topic": latency.topic,
        "channel": latency.channel,
        "host": latency.host,
    }


def _percentile_json(percentile: Percentile) -> dict[str, Any]:
    shown = {
        "average": _number(percentile.average),
        "count": percentile.count,
        "max": _number(percentile.max),
        "min": _number(percentile.min),
        "quantile": _number(percentile.quantile),
    }
    if percentile.measured:
        shown["value"] = _number(percentile.value)
    return shown


def _number(number: float) -> float | int:
    """As Go writes it: 1, not 1.0."""
    return int(number) if number.is_integer() else number
