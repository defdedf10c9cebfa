"""What nsqd tells in ``/stats`` (nsqd-http section 8.1). Counts are since its start.

What is not in the JSON (`unread`: ``node``, ``hostname`` and so on), and the parts on each node,
`nsqtx.cluster.merging` fills in, where many nsqd are looked at as one.
"""

from __future__ import annotations

import attrs

from nsqtx.cluster.reading import part, parts, unread

__all__ = [
    "ChannelStats",
    "ClientStats",
    "Latency",
    "MemoryStats",
    "Percentile",
    "PubCount",
    "Stats",
    "TopicStats",
]


@attrs.define
class Percentile:
    """One percentile of the time from publish to FIN, in ns.

    Of many nodes there is no ``value`` but the least, the greatest and the average of theirs,
    weighted by how many messages each counts.
    """

    quantile: float = 0.0
    value: float = 0.0
    min: float = unread(0.0)
    max: float = unread(0.0)
    average: float = unread(0.0)
    count: int = unread(0)
    #: Whether ``value`` is one of nsqd's.
    measured: bool = unread(True)


@attrs.define
class Latency:
    """How long messages took from publish to FIN; without percentiles if nsqd keeps none."""

    count: int = 0
    percentiles: list[Percentile] = parts(Percentile)
    topic: str = unread("")
    channel: str = unread("")
    host: str = unread("")


@attrs.define
class PubCount:
    """How many messages a client published to a topic."""

    topic: str = ""
    count: int = 0


@attrs.define
class ClientStats:
    """A connection to nsqd that consumes or has published."""

    client_id: str = ""
    hostname: str = ""
    version: str = ""
    remote_address: str = ""
    state: int = 0
    ready_count: int = 0
    in_flight_count: int = 0
    message_count: int = 0
    finish_count: int = 0
    requeue_count: int = 0
    #: Seconds since 1970.
    connect_ts: int = 0
    sample_rate: int = 0
    deflate: bool = False
    snappy: bool = False
    user_agent: str = ""
    authed: bool = False
    auth_identity: str = ""
    auth_identity_url: str = ""
    topology_zone: str = ""
    topology_region: str = ""
    pub_counts: list[PubCount] = parts(PubCount)
    tls: bool = False
    tls_cipher_suite: str = ""
    tls_version: str = ""
    tls_negotiated_protocol: str = ""
    tls_negotiated_protocol_is_mutual: bool = False
    #: The HTTP address of its nsqd, and where that is.
    node: str = unread("")
    node_topology_region: str = unread("")
    node_topology_zone: str = unread("")
    #: How long it is connected, in ns.
    connected: int = unread(0)


@attrs.define
class ChannelStats:
    """A channel. ``clients`` is empty when they were not asked for; ``client_count`` is not."""

    channel_name: str = ""
    depth: int = 0
    backend_depth: int = 0
    in_flight_count: int = 0
    deferred_count: int = 0
    message_count: int = 0
    zone_local_msg_count: int = 0
    region_local_msg_count: int = 0
    global_msg_count: int = 0
    requeue_count: int = 0
    timeout_count: int = 0
    client_count: int = 0
    clients: list[ClientStats] = parts(ClientStats)
    paused: bool = False
    e2e_processing_latency: Latency | None = part(Latency)
    #: Of our nsqd: after how many attempts a message goes to the dead-letter topic; 0: never.
    max_attempts: int = 0
    dead_letter_topic: str = ""
    dead_letter_count: int = 0
    #: The HTTP address of its nsqd; ``*``: those of `nodes`, added up.
    node: str = unread("")
    hostname: str = unread("")
    topic_name: str = unread("")
    nodes: list[ChannelStats] = attrs.field(factory=list, init=False)

    @property
    def memory_depth(self) -> int:
        """How many of the messages that wait are in memory."""
        return self.depth - self.backend_depth

    @property
    def delivery_msg_count(self) -> int:
        """How many were delivered from memory, which is when nsqd looks how near a client is."""
        return self.zone_local_msg_count + self.region_local_msg_count + self.global_msg_count


@attrs.define
class TopicStats:
    """A topic. ``depth`` is what it has not handed to its channels."""

    topic_name: str = ""
    channels: list[ChannelStats] = parts(ChannelStats)
    depth: int = 0
    backend_depth: int = 0
    message_count: int = 0
    message_bytes: int = 0
    zone_local_msg_count: int = 0
    region_local_msg_count: int = 0
    global_msg_count: int = 0
    paused: bool = False
    e2e_processing_latency: Latency | None = part(Latency)
    #: The HTTP address of its nsqd; ``*``: those of `nodes`, added up.
    node: str = unread("")
    hostname: str = unread("")
    nodes: list[TopicStats] = attrs.field(factory=list, init=False)

    @property
    def memory_depth(self) -> int:
        """How many of the messages that wait are in memory."""
        return self.depth - self.backend_depth

    @property
    def delivery_msg_count(self) -> int:
        """As of a channel; nsqd says none of it of topics."""
        return self.zone_local_msg_count + self.region_local_msg_count + self.global_msg_count


@attrs.define
class MemoryStats:
    """Of the process; pauses of the garbage collector in us."""

    heap_objects: int = 0
    heap_idle_bytes: int = 0
    heap_in_use_bytes: int = 0
    heap_released_bytes: int = 0
    gc_pause_usec_100: int = 0
    gc_pause_usec_99: int = 0
    gc_pause_usec_95: int = 0
    next_gc_bytes: int = 0
    gc_total_runs: int = 0


@attrs.define
class Stats:
    """All of it. ``producers`` are the connections that have published."""

    version: str = ""
    #: ``OK``, or why not.
    health: str = ""
    #: Seconds since 1970.
    start_time: int = 0
    topics: list[TopicStats] = parts(TopicStats)
    memory: MemoryStats | None = part(MemoryStats)
    producers: list[ClientStats] = parts(ClientStats)
