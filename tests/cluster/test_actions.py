"""Changing a cluster: who is told, and what it means that some were not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from nsqtx.broker.channel import Channel
from nsqtx.broker.topic import Topic
from nsqtx.cluster.gathering import ClusterError
from tests.support.clusternet import Cluster
from tests.support.httpnet import Scripted
from tests.support.nsqdapi import Consumer

SECOND = 10**9
Act = Callable[[Any], Any]


def topics(cluster: Cluster) -> list[list[str]]:
    """The topics of each nsqd."""
    return [sorted(nsqd.node.broker.topics) for nsqd in cluster.nsqds]


def known(cluster: Cluster) -> list[list[str]]:
    """The topics that each nsqlookupd knows."""
    return [sorted(t.name for t in each.node.registry.find("*")) for each in cluster.lookupds]


def test_create_topic() -> None:
    """Every nsqlookupd knows it; no nsqd is told."""
    cluster = Cluster("t", lookupds=2)
    assert cluster.result(cluster.actions.create_topic("new")).message == ""
    assert known(cluster) == [["new", "t"], ["new", "t"]]
    assert topics(cluster) == [["t"]]


def test_create_channel() -> None:
    """Every nsqlookupd knows it, and the nsqd that have the topic make it."""
    cluster = Cluster("t", "u", lookupds=2)
    assert cluster.result(cluster.actions.create_channel("t", "c")).message == ""
    assert cluster.result(cluster.view.channels("t")).value == ["c"]
    assert list(cluster.nsqds[0].node.broker.topics["t"].channels) == ["c"]
    assert topics(cluster) == [["t"], ["u"]]


def test_create_without_nsqlookupd() -> None:
    """There is nobody who would know a topic; a channel cannot be made (nsqadmin section 7)."""
    cluster = Cluster("t", lookupds=0)
    assert cluster.result(cluster.actions.create_topic("new")).message == ""
    error = cluster.error(cluster.actions.create_channel("t", "c"))
    assert isinstance(error, ClusterError)
    assert str(error) == "failed to query any nsqlookupd: "


@pytest.mark.parametrize("lookupds", [0, 2])
def test_delete(lookupds: int) -> None:
    """Everybody is told, of a channel and of a topic."""
    cluster = Cluster("t/c t/d", "t/c u", lookupds=lookupds)
    assert cluster.result(cluster.actions.delete_channel("t", "c")).message == ""
    assert [list(n.node.broker.topics["t"].channels) for n in cluster.nsqds] == [["d"], []]
    if lookupds:
        assert cluster.result(cluster.view.channels("t")).value == ["d"]
    assert cluster.result(cluster.actions.delete_topic("t")).message == ""
    assert topics(cluster) == [[], ["u"]]
    assert known(cluster) == [["u"]] * lookupds


@pytest.mark.parametrize(
    ("action", "is_done"),
    [
        ("pause", lambda each: each.paused),
        ("unpause", lambda each: not each.paused),
        ("empty", lambda each: each.depth == 0),
    ],
)
def test_actions(action: str, is_done: Callable[[Topic | Channel], bool]) -> None:
    """On every node that has the topic, and on no other topic or channel."""
    cluster = Cluster("t/c t/d", "t/c t/d", "u/c")
    brokers = [nsqd.node.broker for nsqd in cluster.nsqds]
    for broker in brokers:
        for topic in broker.topics.values():
            topic.publish([b"x"])
            topic.pause()
            topic.publish([b"y"])
            for channel in topic.channels.values():
                if action == "unpause":
                    channel.pause()
            if action == "pause":
                topic.unpause()
                topic.publish([b"y"])
    done = cluster.result(cluster.actions.act_on_topic("t", action))
    assert done.message == ""
    assert [is_done(broker.topics[name]) for broker in brokers for name in broker.topics] == [
        True,
        True,
        False,
    ]
    cluster.result(cluster.actions.act_on_channel("t", "c", action))
    channels = [c for b in brokers for t in b.topics.values() for c in t.channels.values()]
    assert [is_done(channel) for channel in channels] == [True, False, True, False, False]


@pytest.mark.parametrize("action", ["Pause", "puase", "delete", ""])
def test_what_is_no_action(action: str) -> None:
    """Nobody is told anything, least of all to drop messages."""
    cluster = Cluster("t/c")
    cluster.nsqds[0].node.broker.topics["t"].publish([b"x"])
    for asking in (
        cluster.actions.act_on_topic("t", action),
        cluster.actions.act_on_channel("t", "c", action),
    ):
        assert isinstance(cluster.error(asking), KeyError)
    assert cluster.net.asked == []
    assert cluster.nsqds[0].node.broker.topics["t"].channels["c"].depth == 1


def test_tombstone() -> None:
    """The node is hidden from the topic, which is then deleted there."""
    cluster = Cluster("t u", "t")
    assert cluster.result(cluster.actions.tombstone("t", "n1:4151")).message == ""
    assert topics(cluster) == [["u"], ["t"]]
    producers = cluster.result(cluster.view.producers("t")).value
    assert [each.http_address for each in producers] == ["n2:4151"]
    node = cluster.result(cluster.view.nodes()).value[0]
    assert [(t.topic, t.tombstoned) for t in node.topics] == [("t", True), ("u", False)]


def test_tombstone_of_a_node_that_is_down() -> None:
    """The tombstone is set all the same, then it is an error (nsqadmin section 7)."""
    cluster = Cluster("t")
    cluster.down("n1:4151")
    error = cluster.error(cluster.actions.tombstone("t", "n1:4151"))
    assert str(error).startswith('failed to query any nsqd: Get "http://n1:4151/info": dial tcp')
    assert cluster.result(cluster.view.producers("t")).value == []


ALL: list[tuple[str, Act]] = [
    ("delete_topic", lambda a: a.delete_topic("t")),
    ("delete_channel", lambda a: a.delete_channel("t", "c")),
    ("create_channel", lambda a: a.create_channel("t", "c")),
    ("pause", lambda a: a.act_on_topic("t", "pause")),
    ("pause channel", lambda a: a.act_on_channel("t", "c", "pause")),
    ("limit", lambda a: a.limit_attempts("t", "c", 3)),
    ("redrive", lambda a: a.redrive("t", "c")),
    ("peek", lambda a: a.peek("t", "c")),
]


@pytest.mark.parametrize("act", [act for _, act in ALL], ids=[name for name, _ in ALL])
def test_nodes_that_are_down(act: Act) -> None:
    """A node that cannot be told is a warning, also if there is no other."""
    cluster = Cluster("t/c", "t/c")
    cluster.down("n1:4151")
    assert cluster.result(act(cluster.actions)).message.count("connection refused") == 1
    cluster = Cluster("t/c")
    cluster.down("n1:4151")
    assert cluster.result(act(cluster.actions)).message.count("connection refused") == 1


@pytest.mark.parametrize("act", [act for _, act in ALL], ids=[name for name, _ in ALL])
def test_no_nsqlookupd_is_there(act: Act) -> None:
    """Whom to tell cannot be found out: that is an error."""
    cluster = Cluster("t/c")
    cluster.down("l1:4161")
    error = cluster.error(act(cluster.actions))
    assert isinstance(error, ClusterError)
    assert str(error).startswith("failed to query any nsqlookupd: Get ")


def test_one_nsqlookupd_is_down() -> None:
    """Each step that it misses has a warning of its own."""
    cluster = Cluster("t/c", lookupds=2)
    cluster.down("l2:4161")
    found = cluster.result(cluster.actions.create_channel("t", "d"))
    methods = [each.split(" ")[0] for each in found.warnings]
    assert methods == ["Post", "Post", "Get"]
    assert found.message.count("; ") == 2
    assert cluster.result(cluster.actions.delete_topic("t")).message.count("; ") == 1


def test_a_channel_that_only_some_have() -> None:
    """The others say so, and that is a warning."""
    cluster = Cluster("t/c", "t")
    found = cluster.result(cluster.actions.act_on_channel("t", "c", "pause"))
    assert found.message == (
        'WARNING: got response 404 Not Found "{\\"message\\":\\"CHANNEL_NOT_FOUND\\"}"'
    )
    assert cluster.nsqds[0].node.broker.topics["t"].channels["c"].paused


def test_dead_letters() -> None:
    """Limits are set everywhere, and what has reached them comes back from everywhere."""
    cluster = Cluster("t/c", "t/c")
    assert cluster.result(cluster.actions.limit_attempts("t", "c", 1, "dead")).message == ""
    for nsqd in cluster.nsqds:
        broker = nsqd.node.broker
        consumer = Consumer()
        channel = broker.topics["t"].channels["c"]
        subscription = channel.subscribe(consumer, 60 * SECOND, 900 * SECOND)
        subscription.set_ready(1)
        broker.topics["t"].publish([b"x"])
        subscription.set_ready(0)
        subscription.requeue(consumer.ids[0], 0)
        broker.scan()
        assert channel.depth == 0
    assert cluster.result(cluster.actions.redrive("t", "c")).value == 2


def test_peek() -> None:
    """Messages are shown by the node that has them."""
    cluster = Cluster("t/c", "t/c")
    for number, nsqd in enumerate(cluster.nsqds):
        nsqd.node.broker.topics["t"].publish([b"%d" % number])
    found = cluster.result(cluster.actions.peek("t", "c", limit=5)).value
    assert {node: [m.data for m in messages] for node, messages in found.items()} == {
        "n1:4151": [b"0"],
        "n2:4151": [b"1"],
    }


def test_a_redrive_keeps_nobody_from_looking() -> None:
    """Though it takes its time."""
    cluster = Cluster("t/c", options={"parallel": 1})
    nsqd = cluster.net.sites["n1:4151"]
    cluster.net.sites["n1:4151"] = Scripted({"POST /channel/redrive": None})
    redriving = Deferred.fromCoroutine(cluster.actions.redrive("t", "c"))
    cluster.net.flush()
    assert not redriving.called
    cluster.net.sites["n1:4151"] = nsqd
    assert cluster.result(cluster.view.topic("t")).value.topic_name == "t"
    redriving.cancel()
    assert isinstance(cluster.net.error(redriving), CancelledError)
