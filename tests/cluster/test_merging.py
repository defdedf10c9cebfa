"""Figures of many nsqd as those of one: tables of parts and sums (nsqadmin sections 4.4 and 6)."""

from __future__ import annotations

from typing import Any

import pytest

from nsqtx.cluster.merging import located, merge_channels, merge_latencies, merge_topics, overview
from nsqtx.cluster.nodes import Node, merge_nodes, merge_producers, node_of
from nsqtx.cluster.producers import Info, NodeEntry, Producer
from nsqtx.cluster.reading import read
from nsqtx.cluster.stats import ChannelStats, Stats, TopicStats
from nsqtx.cluster.versions import version_order

NOW = 1_700_000_100.5


def node(name: str, **fields: Any) -> Node:
    """A node at ``<name>:4151``."""
    return Node(broadcast_address=name, hostname=f"h-{name}", http_port=4151, **fields)


def at(name: str, *topics: dict[str, Any], **fields: Any) -> list[TopicStats]:
    """The topics of a node, from the JSON of its stats."""
    return located(read(Stats, {"topics": list(topics)}), node(name, **fields), NOW)


def channel_at(name: str, **fields: Any) -> ChannelStats:
    """One channel of a node."""
    topic = {"topic_name": "t", "channels": [{"channel_name": "c", **fields}]}
    return at(name, topic)[0].channels[0]


def latency(count: int, **values: float) -> dict[str, Any]:
    """The latency of an nsqd; ``p50=7`` is a percentile."""
    percentiles = [{"quantile": int(k[1:]) / 100, "value": v} for k, v in values.items()]
    return {"count": count, "percentiles": percentiles or None}


def test_sums_of_a_channel() -> None:
    """Counts are added up, also those that are computed; it is paused if it is anywhere."""
    counts = {
        "depth": 10,
        "backend_depth": 3,
        "in_flight_count": 4,
        "deferred_count": 5,
        "requeue_count": 6,
        "timeout_count": 7,
        "message_count": 100,
        "zone_local_msg_count": 1,
        "region_local_msg_count": 2,
        "global_msg_count": 3,
        "client_count": 1,
        "dead_letter_count": 2,
    }
    parts = [
        channel_at("b", **counts, max_attempts=5, dead_letter_topic="dead"),
        channel_at("a", **counts, paused=True),
        channel_at("c"),
    ]
    merged = merge_channels(parts)
    for name, count in counts.items():
        assert getattr(merged, name) == 2 * count, name
    assert merged.memory_depth == 14
    assert merged.delivery_msg_count == 12
    assert merged.paused
    assert (merged.node, merged.topic_name, merged.channel_name) == ("*", "t", "c")
    assert [part.node for part in merged.nodes] == ["a:4151", "b:4151", "c:4151"]
    assert (merged.max_attempts, merged.dead_letter_topic) == (5, "dead")


def test_parts_keep_their_own_figures() -> None:
    """Adding up leaves what the nodes said as it was."""
    first, second = at("a", _topic(3)), at("b", _topic(4))
    merged = merge_topics("t", [*first, *second])
    assert [part.channels[0].depth for part in merged.nodes] == [3, 4]
    assert merged.channels[0].depth == 7
    assert [part.depth for part in merged.channels[0].nodes] == [3, 4]


def _topic(depth: int, *channels: str) -> dict[str, Any]:
    return {
        "topic_name": "t",
        "depth": depth,
        "channels": [{"channel_name": name, "depth": depth} for name in channels or ("c",)],
    }


def test_sums_of_a_topic() -> None:
    """Channels are those of all nodes; one that only one node has is that node's."""
    parts = [
        *at("b", {**_topic(3, "c", "only"), "message_count": 5, "backend_depth": 1}),
        *at("a", {**_topic(4), "message_count": 6, "message_bytes": 9, "paused": True}),
    ]
    merged = merge_topics("t", parts)
    assert (merged.depth, merged.backend_depth, merged.memory_depth) == (7, 1, 6)
    assert (merged.message_count, merged.message_bytes, merged.paused) == (11, 9, True)
    assert [part.node for part in merged.nodes] == ["a:4151", "b:4151"]
    assert [(c.channel_name, c.node) for c in merged.channels] == [("c", "*"), ("only", "b:4151")]


def test_a_topic_of_no_node() -> None:
    """It is listed, but the nsqd no longer has it: there is nothing."""
    merged = merge_topics("t", [])
    assert (merged.topic_name, merged.nodes, merged.channels) == ("t", [], [])
    assert merged.depth == 0


def test_overview_has_each_topic_once() -> None:
    """By name, whatever nodes have it."""
    topics = [
        *at("a", {"topic_name": "u", "depth": 1}, {"topic_name": "t", "depth": 2}),
        *at("b", {"topic_name": "u", "depth": 4}),
    ]
    assert [(t.topic_name, t.depth) for t in overview(topics)] == [("t", 2), ("u", 5)]


def test_located() -> None:
    """Each object says where it is, and only the topic that was asked for is there."""
    client = {"client_id": "x", "connect_ts": 1_700_000_090}
    stats = read(
        Stats,
        {
            "topics": [
                {"topic_name": "t", "channels": [{"channel_name": "c", "clients": [client]}]},
                {"topic_name": "u"},
            ]
        },
    )
    (topic,) = located(stats, node("a", topology_zone="z", topology_region="r"), NOW, "t")
    (channel,) = topic.channels
    (found,) = channel.clients
    assert (topic.node, topic.hostname) == ("a:4151", "h-a")
    assert (channel.node, channel.hostname, channel.topic_name) == ("a:4151", "h-a", "t")
    assert (found.node, found.connected) == ("a:4151", 10 * 10**9)
    assert (found.node_topology_zone, found.node_topology_region) == ("z", "r")
    assert topic.e2e_processing_latency is not None


def test_ipv6_nodes_have_brackets() -> None:
    """As everywhere where a port follows."""
    assert node("::1").http_address == "[::1]:4151"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        # quantile: least, greatest, average, count
        ([latency(10, p50=4.0)], {0.5: (4, 4, 4, 10)}),
        ([latency(10, p50=4.0), latency(30, p50=8.0)], {0.5: (4, 8, 7, 40)}),
        ([latency(0, p50=0.0), latency(2, p50=8.0)], {0.5: (0, 8, 8, 2)}),
        ([latency(0, p50=0.0), latency(0, p50=0.0)], {0.5: (0, 0, 0, 0)}),
        (
            [latency(1, p50=1.0, p99=9.0), latency(1, p99=11.0), latency(5)],
            {0.5: (1, 1, 1, 1), 0.99: (9, 11, 10, 2)},
        ),
        ([latency(3), None], {}),
        ([], {}),
    ],
)
def test_latencies(parts: list[Any], expected: dict[float, tuple[float, ...]]) -> None:
    """Averages are weighted by counts; a percentile that a node lacks is that of the others."""
    found = [channel_at("a", e2e_processing_latency=each) for each in parts]
    merged = merge_latencies([each.e2e_processing_latency for each in found], "t", "c")
    shown = {p.quantile: (p.min, p.max, p.average, p.count) for p in merged.percentiles}
    assert shown == expected
    assert merged.count == sum(each["count"] for each in parts if each)
    assert (merged.topic, merged.channel, merged.host) == ("t", "c", "*")
    assert not any(p.measured for p in merged.percentiles)


def test_order_of_clients() -> None:
    """By node, and there who is near before who is far (nsqadmin section 5.5)."""

    def client(name: str, region: str, zone: str) -> dict[str, Any]:
        return {"client_id": name, "topology_region": region, "topology_zone": zone}

    clients = [
        client("far-b", "x", "b"),
        client("region", "r", "other"),
        client("far-a", "x", "a"),
        client("zone", "r", "z"),
    ]
    topic = {"topic_name": "t", "channels": [{"channel_name": "c", "clients": clients}]}
    place = {"topology_region": "r", "topology_zone": "z"}
    parts = [at(name, topic, **place)[0].channels[0] for name in ("b", "a")]
    order = [(each.node, each.client_id) for each in merge_channels(parts).clients]
    names = ["zone", "region", "far-a", "far-b"]
    assert order == [(f"{each}:4151", name) for each in "ab" for name in names]


def entry(name: str, **fields: Any) -> NodeEntry:
    """What a nsqlookupd says of an nsqd."""
    defaults = {"hostname": f"h-{name}", "tcp_port": 4150, "http_port": 4151, "version": "1.3.0"}
    return NodeEntry(broadcast_address=name, **{**defaults, **fields})


def test_nodes_of_several_nsqlookupd() -> None:
    """One by TCP address; the first answer counts, but for who sees it from where."""
    nodes = merge_nodes(
        [
            ("l1", [entry("b", topics=["u", "t"], tombstones=[True, False], remote_address="x")]),
            ("l2", [entry("b", topics=["v"], hostname="other"), entry("a", topics=["t"])]),
        ]
    )
    assert [each.broadcast_address for each in nodes] == ["a", "b"]
    first, second = nodes
    assert second.remote_addresses == ["l1/x", "l2/N/A"]
    assert [(t.topic, t.tombstoned) for t in second.topics] == [("t", False), ("u", True)]
    assert second.hostname == "h-b"
    assert [(t.topic, t.tombstoned) for t in first.topics] == [("t", False)], "no tombstones given"


@pytest.mark.parametrize(
    ("versions", "old"),
    [
        (["1.3.0", "1.2.1", "1.3.0"], [1]),
        (["1.10.0", "1.9.9"], [1]),
        (["1.3.0", "1.3.0-rc.1"], [1]),
        (["1.3.0", "v1.3.0", "1.3", ""], [1, 2, 3]),
        (["?", ""], []),
        (["1.3.0"], []),
        ([], []),
    ],
)
def test_out_of_date(versions: list[str], old: list[int]) -> None:
    """Who has a lower version than the highest; what is no version is the lowest."""
    entries = [entry(f"n{number}", version=each) for number, each in enumerate(versions)]
    nodes = merge_nodes([("l", entries)])
    assert [number for number, each in enumerate(nodes) if each.out_of_date] == old


def test_order_of_versions() -> None:
    """As semver.org lists it."""
    ordered = ["x", "0.0.1", "1.0.0-1", "1.0.0-2", "1.0.0-11", "1.0.0-alpha", "1.0.0-alpha.1",
               "1.0.0-beta", "1.0.0", "1.0.1", "1.2.0", "2.0.0"]  # fmt: skip
    assert sorted(ordered, key=version_order) == ordered
    assert version_order("1.0.0+a") == version_order("1.0.0+b")


def test_producers_of_several_nsqlookupd() -> None:
    """One by HTTP address, the first seen."""
    one = Producer(broadcast_address="a", http_port=4151, hostname="first")
    two = Producer(broadcast_address="a", http_port=4151, hostname="second")
    three = Producer(broadcast_address="a", http_port=4152)
    found = merge_producers([[one], [two, three]])
    assert [(each.http_address, each.hostname) for each in found] == [
        ("a:4151", "first"),
        ("a:4152", ""),
    ]


def test_a_node_that_says_little() -> None:
    """Where it was asked stands in for what it does not say (nsqadmin section 4.2)."""
    found = node_of(Info(http_port=9, version="0.2"), "here", 4151, ["t"])
    assert (found.http_address, found.hostname, found.version) == ("here:4151", "here", "0.2")
    full = Info(broadcast_address="b", http_port=9, hostname="h", topology_zone="z")
    found = node_of(full, "here", 4151, [])
    assert (found.http_address, found.hostname, found.topology_zone) == ("b:9", "h", "z")
    assert found.remote_addresses is None
