"""The API: answers beside the tables of the specification, with daemons missing (nsqadmin 5, 7)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.adminapi import AdminOf
from tests.support.clusternet import Cluster
from tests.support.nsqdapi import Consumer

SECOND = 10**9
NOT_FOUND = 'got response 404 Not Found "{\\"message\\":\\"TOPIC_NOT_FOUND\\"}"'


def refused(url: str, method: str = "Get") -> str:
    """What is said of a daemon that is down."""
    place = url.partition("/")[0]
    return f'{method} "http://{url}": dial tcp {place}: connect: connection refused'


def two_nodes(lookupds: int = 2, **options: Any) -> AdminOf:
    """A topic on two nodes, another on the first."""
    return AdminOf(Cluster("t/c u", "t/c", lookupds=lookupds), **options)


def test_topics() -> None:
    """Names in order; null if there are none."""
    assert two_nodes().get("/api/topics").json == {"topics": ["t", "u"], "message": ""}
    assert AdminOf(Cluster()).get("/api/topics").json == {"topics": None, "message": ""}


@pytest.mark.parametrize("value", ["", "1", "True", "false"])
def test_inactive_is_true_or_nothing(value: str) -> None:
    """Any other word is none (nsqadmin section 5.1)."""
    assert two_nodes().get(f"/api/topics?inactive={value}").json["topics"] == ["t", "u"]


def test_inactive_topics() -> None:
    """By name, with their channels, or null."""
    admin = two_nodes()
    admin.cluster.lookupds[0].node.registry.create_channel("old", "c")
    admin.cluster.lookupds[0].node.registry.create_topic("bare")
    answer = admin.get("/api/topics?inactive=true").json
    assert answer == {"topics": {"bare": None, "old": ["c"]}, "message": ""}
    static = two_nodes(0).get("/api/topics?inactive=true").json
    assert static == {"topics": {}, "message": ""}


def test_keys_of_a_topic_and_a_channel() -> None:
    """In the original's order, those that are 0 left out where it leaves them out."""
    admin = two_nodes()
    topic = admin.get("/api/topics/t").json
    of_topic = ["node", "hostname", "topic_name", "depth", "memory_depth", "backend_depth",
                "message_count", "delivery_msg_count", "nodes", "channels", "paused",
                "e2e_processing_latency"]  # fmt: skip
    assert list(topic) == [*of_topic, "message"]
    assert [list(each) for each in topic["nodes"]] == [of_topic] * 2
    channel = admin.get("/api/topics/t/c").json
    of_channel = ["node", "hostname", "topic_name", "channel_name", "depth", "memory_depth",
                  "backend_depth", "in_flight_count", "deferred_count", "requeue_count",
                  "timeout_count", "message_count", "client_count", "nodes", "clients", "paused",
                  "e2e_processing_latency"]  # fmt: skip
    assert list(channel) == [*of_channel, "message"]
    assert list(channel["nodes"][0]) == of_channel
    latency = {"count": 0, "percentiles": None, "topic": "t", "channel": "c", "host": "*"}
    assert channel["e2e_processing_latency"] == latency


def test_lists_that_are_empty() -> None:
    """Are null where many are added up, and where nothing was asked for."""
    admin = AdminOf(Cluster("t", "u/c"))
    topic = admin.get("/api/topics/t").json
    assert (topic["channels"], topic["nodes"][0]["channels"]) == (None, [])
    assert topic["nodes"][0]["nodes"] is None
    channel = admin.get("/api/topics/u/c").json
    assert (channel["clients"], channel["nodes"][0]["clients"]) == (None, [])
    assert admin.get("/api/topics/u").json["channels"][0]["clients"] is None


def test_clients() -> None:
    """All keys, in order; where it is, is left out if nobody said so."""
    admin = two_nodes()
    channel = admin.cluster.nsqds[0].node.broker.topics["t"].channels["c"]
    channel.subscribe(Consumer(), 60 * SECOND, 900 * SECOND)
    (client,) = admin.get("/api/topics/t/c").json["clients"]
    keys = ["node", "remote_address", "version", "client_id", "hostname", "user_agent",
            "connect_ts", "connected", "in_flight_count", "ready_count", "finish_count",
            "requeue_count", "message_count", "sample_rate", "deflate", "snappy", "authed",
            "auth_identity", "auth_identity_url", "tls", "tls_cipher_suite", "tls_version",
            "tls_negotiated_protocol", "tls_negotiated_protocol_is_mutual"]  # fmt: skip
    assert list(client) == keys
    assert client["node"] == "n1:4151"
    node = admin.get("/api/nodes/n1%3A4151").json
    assert list(node) == ["node", "topics", "total_messages", "total_clients", "message"]
    assert node["total_clients"] == 1
    assert node["topics"][0]["channels"][0]["clients"] == [client]


def test_numbers_are_added_up() -> None:
    """Of a topic, of a node, and of the counter."""
    admin = two_nodes()
    for number, nsqd in enumerate(admin.cluster.nsqds, 1):
        nsqd.node.broker.topics["t"].publish([b"x"] * number)
    topic = admin.get("/api/topics/t").json
    assert (topic["node"], topic["message_count"], topic["channels"][0]["depth"]) == ("*", 3, 3)
    assert [each["message_count"] for each in topic["nodes"]] == [1, 2]
    assert [each["channels"][0]["depth"] for each in topic["nodes"]] == [1, 2]
    assert admin.get("/api/nodes/n2:4151").json["total_messages"] == 2
    entry = {"node": "n2:4151", "topic_name": "t", "channel_name": "c", "message_count": 2}
    assert admin.get("/api/counter").json["stats"]["t:c:n2:4151"] == entry


def test_nodes() -> None:
    """What nsqlookupd says of each."""
    answer = two_nodes().get("/api/nodes").json
    first, second = answer["nodes"]
    assert list(first) == ["remote_addresses", "remote_address", "hostname", "broadcast_address",
                           "tcp_port", "http_port", "version", "topics", "out_of_date"]  # fmt: skip
    assert first["topics"] == [
        {"topic": "t", "tombstoned": False},
        {"topic": "u", "tombstoned": False},
    ]
    assert [each.partition("/")[0] for each in second["remote_addresses"]] == ["l1:4161", "l2:4161"]
    static = two_nodes(0).get("/api/nodes").json["nodes"][0]
    assert (static["remote_addresses"], static["remote_address"]) == (None, "")


READS = ["/api/topics", "/api/topics/t", "/api/topics/t/c", "/api/nodes", "/api/nodes/n2:4151",
         "/api/counter"]  # fmt: skip


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    ("down", "paths"),
    [
        ("l2:4161", READS),
        ("n1:4151", ["/api/topics/t", "/api/topics/t/c", "/api/counter"]),
    ],
)
def test_one_is_down(path: str, down: str, paths: list[str]) -> None:
    """The answer has what the others say, and a warning if it was to be asked."""
    admin = two_nodes()
    admin.cluster.down(down)
    answer = admin.get(path)
    assert answer.status == 200
    if path in paths:
        assert answer.message.startswith(f'WARNING: Get "http://{down}/')
        assert answer.message.endswith(f": dial tcp {down}: connect: connection refused")
    else:
        assert answer.message == ""


def test_two_steps_with_somebody_missing() -> None:
    """Have a warning each."""
    admin = two_nodes()
    admin.cluster.down("l2:4161")
    admin.cluster.down("n1:4151")
    stats = "n1:4151/stats?format=json&topic=t&include_clients=false&include_mem=false"
    expected = f"WARNING: {refused('l2:4161/lookup?topic=t')}; {refused(stats)}"
    assert admin.get("/api/topics/t").message == expected


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    ("down", "who", "paths"),
    [
        (["l1:4161", "l2:4161"], "nsqlookupd", READS),
        (
            ["n1:4151", "n2:4151"],
            "nsqd",
            ["/api/topics/t", "/api/topics/t/c", "/api/nodes/n2:4151", "/api/counter"],
        ),
    ],
)
def test_none_is_reachable(path: str, down: list[str], who: str, paths: list[str]) -> None:
    """502 where they are needed, with every reason."""
    admin = two_nodes()
    for place in down:
        admin.cluster.down(place)
    answer = admin.get(path)
    if path in paths:
        assert answer.status == 502
        assert answer.message.startswith(f"UPSTREAM_ERROR: failed to query any {who}: Get ")
        assert answer.message.count("connection refused") == (
            1 if "nodes/" in path and who == "nsqd" else 2
        )
    else:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/api/topics?inactive=%zz", 400, 'invalid URL escape "%zz"'),
        ("/api/topics?a;b", 400, "invalid semicolon separator in query"),
        ("/api/topics/no", 502,
         f"UPSTREAM_ERROR: failed to query any nsqlookupd: {NOT_FOUND}\n{NOT_FOUND}"),
        ("/api/topics/no/c", 502,
         f"UPSTREAM_ERROR: failed to query any nsqlookupd: {NOT_FOUND}\n{NOT_FOUND}"),
        ("/api/topics/t/no", 500, "INTERNAL_ERROR"),
        ("/api/nodes/n9:4151", 404, "NODE_NOT_FOUND"),
        ("/api/topics/a:b", 502,
         'UPSTREAM_ERROR: failed to query any nsqlookupd: no topic is called "a:b"'),
        ("/api/graphite", 400, "INVALID_ARG_METRIC"),
        ("/api/graphite?metric=depth&target=x", 400, "INVALID_ARG_METRIC"),
        ("/api/graphite?metric=rate", 400, "INVALID_ARG_TARGET"),
        ("/api/graphite?metric=rate&target=x", 500, "INTERNAL_ERROR"),
        ("/api/graphite?metric=%zz", 400, "INVALID_REQUEST"),
    ],
)  # fmt: skip
def test_errors(path: str, status: int, message: str) -> None:
    """Status and message of each."""
    answer = two_nodes().get(path)
    assert (answer.status, answer.json) == (status, {"message": message})


def test_a_topic_that_only_some_know() -> None:
    """Is 200 with a warning (nsqadmin section 4.3)."""
    admin = two_nodes()
    admin.cluster.lookupds[1].node.registry.delete_topic("u")
    assert admin.get("/api/topics/u").message == f"WARNING: {NOT_FOUND}"


def test_a_topic_without_producers() -> None:
    """Nobody to ask is nobody who answers (nsqadmin section 12, trap 2)."""
    admin = two_nodes()
    admin.cluster.lookupds[0].node.registry.create_topic("bare")
    answer = admin.get("/api/topics/bare")
    assert (answer.status, answer.message) == (502, "UPSTREAM_ERROR: failed to query any nsqd: ")


def test_a_topic_that_its_nodes_no_longer_have() -> None:
    """Is there, with nothing in it."""
    admin = two_nodes()
    admin.cluster.nsqds[0].node.broker.delete_topic("u")
    topic = admin.get("/api/topics/u").json
    assert (topic["topic_name"], topic["nodes"], topic["channels"]) == ("u", None, None)
