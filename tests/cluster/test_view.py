"""A cluster as one, with daemons that are there, and some that are not."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from nsqtx.cluster.gathering import ClusterError
from nsqtx.cluster.view import NoSuch
from tests.support.clusternet import Cluster
from tests.support.httpnet import Scripted

REFUSED = "connect: connection refused"


def test_topics_and_channels() -> None:
    """The names of all nsqlookupd, each once, in order."""
    cluster = Cluster("t/c t/a u", "t/b", lookupds=2)
    cluster.lookupds[1].add("n9", "v")
    assert cluster.result(cluster.view.topics()).value == ["t", "u", "v"]
    assert cluster.result(cluster.view.channels("t")).value == ["a", "b", "c"]


def test_topics_without_nsqlookupd() -> None:
    """Then the nsqd themselves say what they have."""
    cluster = Cluster("t/c u", "t v", lookupds=0)
    assert cluster.result(cluster.view.topics()).value == ["t", "u", "v"]
    nodes = cluster.result(cluster.view.nodes()).value
    assert [(each.http_address, [t.topic for t in each.topics]) for each in nodes] == [
        ("n1:4151", ["t", "u"]),
        ("n2:4151", ["t", "v"]),
    ]
    assert [each.remote_addresses for each in nodes] == [None, None]
    producers = cluster.result(cluster.view.producers("v")).value
    assert [each.http_address for each in producers] == ["n2:4151"]
    assert cluster.result(cluster.view.inactive_topics()).value == {}


def test_a_topic() -> None:
    """Its figures are those of all nodes."""
    cluster = Cluster("t/c", "t/c t/d")
    for number, nsqd in enumerate(cluster.nsqds, 1):
        nsqd.node.broker.topics["t"].publish([b"x"] * number)
    topic = cluster.result(cluster.view.topic("t"))
    assert topic.message == ""
    assert topic.value.message_count == 3
    assert [(c.channel_name, c.depth) for c in topic.value.channels] == [("c", 3), ("d", 2)]
    assert [part.hostname for part in topic.value.nodes] == ["h-n1", "h-n2"]
    channel = cluster.result(cluster.view.channel("t", "c")).value
    assert [(part.node, part.depth) for part in channel.nodes] == [("n1:4151", 1), ("n2:4151", 2)]


def test_nodes() -> None:
    """A node is found by its HTTP address, with all that it has."""
    cluster = Cluster("t/c u", "v")
    node, topics = cluster.result(cluster.view.node("n1:4151")).value
    assert node.hostname == "h-n1"
    assert [each.topic_name for each in topics] == ["t", "u"]
    assert isinstance(cluster.error(cluster.view.node("n3:4151")), NoSuch)


def test_overview() -> None:
    """Everything in one go: a request for each daemon."""
    cluster = Cluster("t/c u", "t/c")
    found = cluster.result(cluster.view.overview()).value
    assert [each.topic_name for each in found.topics] == ["t", "u"]
    assert [each.http_address for each in found.nodes] == ["n1:4151", "n2:4151"]
    assert sorted(cluster.net.asked) == ["http://l1:4161", "http://n1:4151", "http://n2:4151"]
    empty = Cluster()
    assert empty.result(empty.view.overview()).value.topics == []


@pytest.mark.parametrize(
    ("down", "topics", "lines"),
    [
        ([], "t", 0),
        (["l2:4161"], "t", 1),
        (["n2:4151"], "t", 1),
        (["l1:4161", "n1:4151"], "t", 2),
    ],
)
def test_some_are_down(down: list[str], topics: str, lines: int) -> None:
    """The others answer, and each step that had somebody missing says whom."""
    cluster = Cluster("t/c", "t/c", lookupds=2)
    for place in down:
        cluster.down(place)
    found = cluster.result(cluster.view.topic("t"))
    assert len(found.value.nodes) == 2 - sum(place.startswith("n") for place in down)
    assert len(found.warnings) == lines
    assert found.message.count(REFUSED) == lines
    if lines:
        assert found.message.startswith('WARNING: Get "http://')


@pytest.mark.parametrize(
    ("down", "text"),
    [
        (
            ["l1:4161", "l2:4161"],
            'failed to query any nsqlookupd: Get "http://l1:4161/lookup?topic=t": '
            f"dial tcp l1:4161: {REFUSED}\n"
            'Get "http://l2:4161/lookup?topic=t": '
            f"dial tcp l2:4161: {REFUSED}",
        ),
        (["n1:4151", "n2:4151"], "failed to query any nsqd: Get "),
    ],
)
def test_none_is_reachable(down: list[str], text: str) -> None:
    """Of a kind: that is an error, with all reasons, a line each."""
    cluster = Cluster("t/c", "t/c", lookupds=2)
    for place in down:
        cluster.down(place)
    error = cluster.error(cluster.view.topic("t"))
    assert isinstance(error, ClusterError)
    assert str(error).startswith(text)


def test_nobody_to_ask() -> None:
    """Is nobody who answers (nsqadmin section 4.3)."""
    cluster = Cluster(lookupds=0)
    assert str(cluster.error(cluster.view.topics())) == "failed to query any nsqd: "
    cluster = Cluster()
    assert cluster.result(cluster.view.nodes()).value == []
    cluster.lookupds[0].node.registry.create_topic("t")
    assert str(cluster.error(cluster.view.topic("t"))) == "failed to query any nsqd: "


def test_a_topic_that_only_some_know() -> None:
    """The others' 404 is a warning; that of all is an error."""
    cluster = Cluster(lookupds=2)
    cluster.nsqds.append(cluster.add("n1", "t"))
    cluster.lookupds[1].node.registry.delete_topic("t")
    refused = 'got response 404 Not Found "{\\"message\\":\\"TOPIC_NOT_FOUND\\"}"'
    assert cluster.result(cluster.view.topic("t")).warnings == [refused]
    error = cluster.error(cluster.view.topic("nope"))
    assert str(error) == f"failed to query any nsqlookupd: {refused}\n{refused}"


@pytest.mark.parametrize("name", ["", "a b", "x" * 65])
def test_names_that_are_none(name: str) -> None:
    """No topic can be called so, and nobody is asked."""
    cluster = Cluster("t")
    assert "no topic is called" in str(cluster.error(cluster.view.topic(name)))
    assert cluster.net.asked == []


def test_a_topic_that_is_gone() -> None:
    """A nsqlookupd names a node that has it no more: there are no nodes."""
    cluster = Cluster("t/c")
    cluster.nsqds[0].node.broker.delete_topic("t")
    found = cluster.result(cluster.view.topic("t"))
    assert (found.value.nodes, found.message) == ([], "")
    assert isinstance(cluster.error(cluster.view.channel("t", "c")), NoSuch)


def test_inactive_topics() -> None:
    """Those that no nsqd has, with the channels that are known."""
    cluster = Cluster("t/c", lookupds=2)
    cluster.lookupds[0].node.registry.create_channel("gone", "a")
    cluster.lookupds[1].node.registry.create_channel("gone", "b")
    cluster.lookupds[0].node.registry.create_topic("bare")
    assert cluster.result(cluster.view.inactive_topics()).value == {
        "bare": [],
        "gone": ["a", "b"],
    }


@pytest.mark.parametrize("address", ["a b", "x/y", "u@h", "h#f", "", "::zz::"])
def test_what_a_node_makes_up(address: str) -> None:
    """A broadcast address that is none costs a warning, not the answers of the others."""
    cluster = Cluster("t")
    cluster.lookupds[0].add("odd", "t", broadcast_address=address)
    found = cluster.result(cluster.view.topic("t"))
    assert len(found.value.nodes) == 1
    assert len(found.warnings) == 1


def test_an_answer_that_is_none() -> None:
    """Nonsense from one node is a warning, too."""
    cluster = Cluster("t", "t")
    cluster.net.sites["n2:4151"] = Scripted({"GET /stats": (200, b'{"topics":[7]}')})
    found = cluster.result(cluster.view.topic("t"))
    assert len(found.value.nodes) == 1
    assert "no object where TopicStats is expected" in found.message


def test_requests_at_a_time() -> None:
    """No more than the limit, whoever asks; the rest has its turn."""
    cluster = Cluster(*["t"] * 5, options={"parallel": 2})
    silent = Scripted({"GET /stats": None})
    for number in range(1, 5):
        cluster.net.sites[f"n{number}:4151"] = silent
    cluster.net.asked.clear()
    asking = Deferred.fromCoroutine(cluster.view.topic("t"))
    cluster.net.flush()
    assert [each for each in cluster.net.asked if "n" in each] == [
        "http://n1:4151",
        "http://n2:4151",
    ]
    for _ in range(3):
        cluster.net.clock.advance(5.1)
        cluster.net.flush()
    found: Any = cluster.net.result(asking)
    assert len(found.value.nodes) == 1
    assert found.message.count("no answer within 5 s") == 4


def test_giving_up_ends_the_requests() -> None:
    """Who asked is gone: so are the requests, and their places."""
    cluster = Cluster("t", "t", options={"parallel": 1})
    cluster.net.sites["n1:4151"] = Scripted({"GET /stats": None})
    asking = Deferred.fromCoroutine(cluster.view.topic("t"))
    cluster.net.flush()
    asking.addErrback(lambda failure: None)
    asking.cancel()
    cluster.net.flush()
    assert not [call for call in cluster.net.clock.getDelayedCalls() if call.active()]
    assert cluster.result(cluster.view.topics()).value == ["t"]
