"""The client of nsqlookupd, against ours and against the shapes of older ones."""

from __future__ import annotations

from typing import Any

import pytest

from nsqtx.cluster.errors import ApiError
from nsqtx.cluster.lookupd import LookupdClient
from nsqtx.nsqlookupd.entries import Producer
from nsqtx.nsqlookupd.http import LookupApi
from nsqtx.nsqlookupd.node import Node
from nsqtx.nsqlookupd.options import NsqlookupdOptions
from tests.support.httpnet import HttpNet, Scripted
from tests.support.lookup import peer

V1 = {"X-NSQ-Content-Type": "nsq; version=1.0"}


class Directory:
    """Our nsqlookupd at ``l:4161``, and a client of it."""

    def __init__(self) -> None:
        self.net = HttpNet()
        self.net.clock.advance(1_700_000_000)
        self.node = Node(NsqlookupdOptions(), self.net.clock)
        self.net.sites["l:4161"] = LookupApi(self.node).site()
        self.client = LookupdClient("l:4161", self.net.agent, self.net.clock)

    def producer(self, id: str, *topics: str) -> Producer:
        """An nsqd that has these topics."""
        producer = Producer(id, peer(broadcast_address=f"host-{id}"), self.node.now())
        self.node.registry.add(producer)
        for topic in topics:
            self.node.registry.register(producer, *topic.split("/"))
        return producer


@pytest.fixture
def directory() -> Directory:
    return Directory()


def scripted(answers: dict[str, Any]) -> tuple[HttpNet, Scripted, LookupdClient]:
    """A client of a daemon with set answers."""
    net = HttpNet()
    site = net.sites["l:4161"] = Scripted(answers)
    return net, site, LookupdClient("l", net.agent, net.clock)


def test_lookup(directory: Directory) -> None:
    """It has the channels and where the producers are."""
    directory.producer("a", "t/c")
    directory.producer("b", "t/d")
    found = directory.net.result(directory.client.lookup("t"))
    assert found.channels == ["c", "d"]
    assert [each.tcp_address for each in found.producers] == ["host-a:4150", "host-b:4150"]
    assert [each.http_address for each in found.producers] == ["host-a:4151", "host-b:4151"]
    assert [each.version for each in found.producers] == ["1.3.0", "1.3.0"]
    assert found.index is None


def test_lookup_waits_for_news(directory: Directory) -> None:
    """With the index that it had, it is answered when something has changed."""
    directory.producer("a", "t")
    now = directory.net.result(directory.client.lookup("t", wait=30))
    assert now.index is not None
    later = directory.client.lookup("t", wait=30, index=now.index)
    directory.net.flush()
    directory.net.clock.advance(20)
    directory.net.flush()
    assert not later.called, "it waits longer than other requests may take"
    directory.producer("b", "t")
    directory.net.clock.advance(0)
    news = directory.net.result(later)
    assert len(news.producers) == 2
    assert news.index is not None
    assert news.index > now.index


def test_lookup_waits_for_a_topic_to_come(directory: Directory) -> None:
    """The error for an unknown topic says from where to wait."""
    error = directory.net.error(directory.client.lookup("t", wait=30))
    assert (error.status, error.code) == (404, "TOPIC_NOT_FOUND")
    assert error.index is not None
    later = directory.client.lookup("t", wait=30, index=error.index)
    directory.net.flush()
    assert not later.called
    directory.producer("a", "t")
    directory.net.clock.advance(0)
    assert len(directory.net.result(later).producers) == 1


def test_names_and_nodes(directory: Directory) -> None:
    """Topics, channels, nodes with what is hidden, and the version."""
    directory.producer("a", "t/c", "u")
    net, client = directory.net, directory.client
    topics = net.result(client.topics())
    assert sorted(topics) == ["t", "u"]
    assert net.result(client.channels("t")) == ["c"]
    net.result(client.tombstone_topic("u", "host-a:4151"))
    (node,) = net.result(client.nodes())
    assert dict(zip(node.topics, node.tombstones, strict=True)) == {"t": False, "u": True}
    assert net.result(client.info()).version == "1.3.0"
    assert "topic:t:" in net.result(client.registrations())
    assert net.result(client.ping()) == "OK"
    assert "nsqlookupd_" in net.result(client.metrics())


def test_administration(directory: Directory) -> None:
    """What is created is there, what is deleted is not."""
    net, client = directory.net, directory.client
    net.result(client.create_topic("t"))
    net.result(client.create_channel("u", "c"))
    topics = net.result(client.topics())
    assert sorted(topics) == ["t", "u"]
    net.result(client.delete_channel("u", "c"))
    assert net.result(client.channels("u")) == []
    net.result(client.delete_topic("t"))
    assert net.result(client.topics()) == ["u"]
    assert net.error(client.delete_channel("u", "c")).code == "CHANNEL_NOT_FOUND"


@pytest.mark.parametrize("topic", ["", "a b", "x" * 65, "*", "t\n"])
def test_names_are_checked_here(directory: Directory, topic: str) -> None:
    """What no topic can be called is not even asked for."""
    with pytest.raises(ValueError, match="is no name of a topic"):
        directory.client.lookup(topic)
    assert directory.net.asked == []


P = {"broadcast_address": "h", "tcp_port": 4150, "http_port": 4151, "later": {"x": 1}}
INNER = '{"channels":null,"producers":[{"address":"old","tcp_port":1,"http_port":2,"new":[1]}]}'


@pytest.mark.parametrize(
    "answer",
    [
        (200, INNER.encode(), V1),
        (200, INNER.encode()),
        (200, b'{"status_code":200,"status_txt":"OK","data":%b}' % INNER.encode()),
    ],
)
def test_both_generations(answer: Any) -> None:
    """Wrapped or not, with nulls, unknown keys and the oldest name of the address."""
    net, _, client = scripted({"GET /lookup": answer})
    found = net.result(client.lookup("t"))
    assert found.channels == []
    assert [each.tcp_address for each in found.producers] == ["old:1"]


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        ((404, b'{"message":"TOPIC_NOT_FOUND"}', V1), 404, "TOPIC_NOT_FOUND"),
        ((500, b'{"status_code":500,"status_txt":"INVALID_ARG_TOPIC","data":null}'), 500,
         "INVALID_ARG_TOPIC"),
        ((200, b'{"status_code":500,"status_txt":"INVALID_ARG_TOPIC","data":null}'), 500,
         "INVALID_ARG_TOPIC"),
        ((502, b"<html>bad gateway</html>"), 502, ""),
        ((404, b'{"message":7}'), 404, ""),
        ((200, b"<html>"), 0, ""),
        ((200, b'{"producers":{}}', V1), 0, ""),
        ((200, b'{"producers":[7]}', V1), 0, ""),
        ((200, b'{"producers":[{"tcp_port":"1"}]}', V1), 0, ""),
        ((200, b"[]", V1), 0, ""),
    ],
)  # fmt: skip
def test_errors(answer: Any, status: int, code: str) -> None:
    """One exception says the status and NSQ's word, whichever form the daemon has."""
    net, _, client = scripted({"GET /lookup": answer})
    error = net.error(client.lookup("t"))
    assert isinstance(error, ApiError)
    assert (error.status, error.code) == (status, code)
    assert error.url == "http://l:4161/lookup"
    assert error.query == "topic=t"
    assert "http://l:4161/lookup:" in str(error)
    assert error.answered == (status != 0)


def test_nobody_there() -> None:
    """A connection that is refused is the same kind of error, without a status."""
    net = HttpNet()
    error = net.error(LookupdClient("l:1", net.agent, net.clock).topics())
    assert isinstance(error, ApiError)
    assert error.status == 0
    assert "refused" in str(error)


def test_an_empty_body_is_an_empty_object() -> None:
    """So it is to the original (client section 4.1)."""
    net, _, client = scripted({"GET /topics": (200, b"")})
    assert net.result(client.topics()) == []


def test_time() -> None:
    """A daemon that does not answer is given up."""
    net, _, client = scripted({"GET /topics": None})
    asking = client.topics()
    net.flush()
    net.clock.advance(4.9)
    assert not asking.called
    net.clock.advance(0.2)
    assert "no answer within 5 s" in str(net.error(asking))
    assert not net.clock.getDelayedCalls()


@pytest.mark.parametrize(
    ("address", "lookup", "topics"),
    [
        ("l", "l:4161 /lookup?topic=t", "/topics"),
        ("l:4161", "l:4161 /lookup?topic=t", "/topics"),
        ("http://l:4161/", "l:4161 /lookup?topic=t", "/topics"),
        ("http://l:4161/nsq/lookup", "l:4161 /nsq/lookup?topic=t", "/nsq/topics"),
        ("http://l:4161/find?k=v", "l:4161 /find?k=v&topic=t", "/topics?k=v"),
        ("https://l", "l /lookup?topic=t", "/topics"),
        ("http://l", "l /lookup?topic=t", "/topics"),
        ("[::1]:4161", "[::1]:4161 /lookup?topic=t", "/topics"),
        ("[::1]", "[::1]:4161 /lookup?topic=t", "/topics"),
        ("https://[::1]:99/x/lookup", "[::1]:99 /x/lookup?topic=t", "/x/topics"),
    ],
)
def test_addresses(address: str, lookup: str, topics: str) -> None:
    """All forms of an address; a path is where lookup is (client section 4.1)."""
    place, target = lookup.split(" ")
    usual = {"https://l": "l:443", "http://l": "l:80"}.get(address, place)
    net = HttpNet()
    site = net.sites[usual] = Scripted({})
    client = LookupdClient(address, net.agent, net.clock)
    assert net.error(client.lookup("t")).code == "NOT_FOUND"
    net.error(client.topics())
    assert site.requests == [f"GET {target}", f"GET {topics}"]


@pytest.mark.parametrize(
    "address",
    ["", ":4161", "l:port", "l:70000", "l:0", "ftp://l", "l:1/x", "::1", "http://", "u@l:1", "a b"],
)
def test_no_addresses(address: str) -> None:
    """What is none is refused when the client is made."""
    with pytest.raises(ValueError, match="is neither host:port nor a URL"):
        LookupdClient(address, HttpNet().agent, HttpNet().clock)


def test_headers() -> None:
    """The version of the API is asked for; a token or the user of the URL is sent along."""
    net = HttpNet()
    site = net.sites["l:4161"] = Scripted({})
    net.error(LookupdClient("l:4161", net.agent, net.clock, token="s3").topics())
    net.error(LookupdClient("http://u:p%40@l:4161", net.agent, net.clock).topics())
    assert site.headers[0]["accept"] == "application/vnd.nsq; version=1.0"
    assert site.headers[0]["user-agent"].startswith("nsqtx/")
    assert [each["authorization"] for each in site.headers] == ["Bearer s3", "Basic dTpwQA=="]


def test_https_where_it_is_demanded() -> None:
    """The port of a 403 is followed; without one it is an error."""
    net = HttpNet()
    net.sites["l:4161"] = Scripted({"GET /topics": (403, b'{"https_port": 4162}')})
    net.sites["l:4162"] = Scripted({"GET /topics": (200, b'{"topics":["t"]}', V1)})
    client = LookupdClient("l:4161", net.agent, net.clock)
    assert net.result(client.topics()) == ["t"]
    assert net.asked == ["http://l:4161", "https://l:4162"]
    net.sites["l:4161"] = Scripted({"GET /topics": (403, b'{"message": "TLS_REQUIRED"}')})
    error = net.error(client.topics())
    assert (error.status, error.code, error.https_port) == (403, "TLS_REQUIRED", 0)


def test_wait_until_healthy() -> None:
    """It goes on asking until the daemon is there and well."""
    net = HttpNet()
    client = LookupdClient("l:4161", net.agent, net.clock)
    waiting = client.wait_until_healthy(10)
    net.clock.advance(1)
    assert not waiting.called
    site = net.sites["l:4161"] = Scripted({"GET /ping": (500, b"NOK - disk")})
    net.clock.pump([0.5] * 4)
    net.flush()
    assert not waiting.called
    site.answers["GET /ping"] = (200, b"OK")
    net.clock.advance(1)
    net.result(waiting)
    assert not [each for each in net.clock.getDelayedCalls() if each.active()]


def test_never_healthy() -> None:
    """At the deadline it fails with what was wrong last."""
    net = HttpNet()
    net.sites["l:4161"] = Scripted({"GET /ping": (500, b"NOK - disk")})
    waiting = LookupdClient("l:4161", net.agent, net.clock).wait_until_healthy(3)
    for _ in range(40):
        net.flush()
        net.clock.advance(0.1)
    error = net.error(waiting)
    assert (error.status, error.body) == (500, b"NOK - disk")
