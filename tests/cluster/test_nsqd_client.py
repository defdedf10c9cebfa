"""The client of nsqd, against ours and against what the original answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from nsqtx.cluster.nsqd import NsqdClient
from tests.support.httpnet import HttpNet, Scripted
from tests.support.nsqdapi import PRODUCER, Consumer, Nsqd

MS = 10**6
SECOND = 10**9


class Daemon:
    """Our nsqd at ``n:4151``, and a client of it."""

    def __init__(self) -> None:
        self.nsqd = Nsqd(mem_queue_size=2)
        self.broker = self.nsqd.node.broker
        self.net = HttpNet(self.nsqd.node.clock)
        self.net.sites["n:4151"] = self.nsqd.site
        self.client = NsqdClient("n", self.net.agent, self.net.clock)
        self.result = self.net.result

    def code(self, asking: Deferred[Any]) -> tuple[int, str]:
        """Status and code of an error."""
        error = self.net.error(asking)
        return error.status, error.code


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


def scripted(answers: dict[str, Any]) -> tuple[HttpNet, Scripted, NsqdClient]:
    """A client of a daemon with set answers."""
    net = HttpNet()
    site = net.sites["n:4151"] = Scripted(answers)
    return net, site, NsqdClient("n:4151", net.agent, net.clock)


def test_publish(daemon: Daemon) -> None:
    """A body arrives as it is, whatever bytes it has."""
    daemon.result(daemon.client.publish("t", b"a\n\x00\xff"))
    assert daemon.nsqd.bodies("t") == [b"a\n\x00\xff"]


@pytest.mark.parametrize(
    ("seconds", "expected"), [(1, 1000), (0.001, 1), (0.0001, 1), (1.0000001, 1001), (4.1, 4100)]
)
def test_publish_deferred(daemon: Daemon, seconds: float, expected: int) -> None:
    """It is due after whole milliseconds, never early."""
    due = daemon.broker.now() + expected * MS
    daemon.result(daemon.client.publish("t", b"x", defer=seconds))
    (batch,) = daemon.nsqd.log("t").batches
    assert batch.due == due


@pytest.mark.parametrize("binary", [True, False])
def test_multipublish(daemon: Daemon, binary: bool) -> None:
    """Both forms bring all messages."""
    daemon.result(daemon.client.multipublish("t", [b"a", b"b b\r", b"c"], binary=binary))
    assert daemon.nsqd.bodies("t") == [b"a", b"b b\r", b"c"]


def test_multipublish_binary_carries_newlines(daemon: Daemon) -> None:
    """It is the form by default, so that no body is torn apart."""
    daemon.result(daemon.client.multipublish("t", [b"a\nb", b"\n"]))
    assert daemon.nsqd.bodies("t") == [b"a\nb", b"\n"]


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.publish("t", b""),
        lambda c: c.publish("a b", b"x"),
        lambda c: c.publish("t", b"x", defer=-1),
        lambda c: c.publish("t", b"x", defer=float("nan")),
        lambda c: c.multipublish("t", []),
        lambda c: c.multipublish("t", [b"a", b""]),
        lambda c: c.multipublish("t", [b"a", b""], binary=False),
        lambda c: c.multipublish("t", [b"a\nb"], binary=False),
        lambda c: c.create_topic(""),
        lambda c: c.delete_channel("t", "c!"),
        lambda c: c.limit_attempts("t", "c", 5, "no topic"),
    ],
)
def test_what_no_nsqd_takes(daemon: Daemon, call: Callable[[NsqdClient], Any]) -> None:
    """It is refused here, before anything is sent."""
    with pytest.raises(ValueError, match=r"message|name"):
        call(daemon.client)
    assert daemon.net.asked == []


def test_errors_have_codes(daemon: Daemon) -> None:
    """What nsqd says is the code, with the status of HTTP."""
    assert daemon.code(daemon.client.publish("t", b"x" * 101)) == (413, "MSG_TOO_BIG")
    assert daemon.code(daemon.client.delete_topic("nope")) == (404, "TOPIC_NOT_FOUND")
    daemon.broker.get_topic("t")
    assert daemon.code(daemon.client.pause_channel("t", "c")) == (404, "CHANNEL_NOT_FOUND")


def test_topics_and_channels(daemon: Daemon) -> None:
    """Each action does what it says."""
    client, topics = daemon.client, daemon.broker.topics
    daemon.result(client.create_topic("t"))
    daemon.result(client.pause_topic("t"))
    assert topics["t"].paused
    daemon.result(client.publish("t", b"x"))
    daemon.result(client.empty_topic("t"))
    assert topics["t"].depth == 0
    daemon.result(client.unpause_topic("t"))
    assert not topics["t"].paused
    daemon.result(client.create_channel("t", "c"))
    channel = topics["t"].channels["c"]
    daemon.result(client.pause_channel("t", "c"))
    assert channel.paused
    daemon.result(client.publish("t", b"x"))
    assert channel.depth == 1
    daemon.result(client.empty_channel("t", "c"))
    assert channel.depth == 0
    daemon.result(client.unpause_channel("t", "c"))
    assert not channel.paused
    daemon.result(client.delete_channel("t", "c"))
    assert topics["t"].channels == {}
    daemon.result(client.delete_topic("t"))
    assert topics == {}


def test_stats(daemon: Daemon) -> None:
    """Topics, channels, clients, memory and who publishes, in objects."""
    topic = daemon.broker.get_topic("t")
    channel = topic.get_channel("c")
    channel.subscribe(Consumer(), 60 * SECOND, 900 * SECOND)
    channel.limit_attempts(5, "dead")
    topic.publish([b"%d" % i for i in range(5)])
    daemon.nsqd.node.clients.append(PRODUCER)
    stats = daemon.result(daemon.client.stats())
    assert (stats.version, stats.health, stats.start_time) == ("1.3.0", "OK", 1_700_000_000)
    (shown,) = stats.topics
    assert (shown.topic_name, shown.message_count, shown.message_bytes) == ("t", 5, 5)
    (c,) = shown.channels
    assert (c.channel_name, c.depth, c.backend_depth, c.client_count) == ("c", 5, 3, 1)
    assert (c.max_attempts, c.dead_letter_topic, c.dead_letter_count) == (5, "dead", 0)
    assert [client.client_id for client in c.clients] == ["p"]
    assert c.e2e_processing_latency is not None
    assert c.e2e_processing_latency.percentiles == []
    assert stats.memory is not None
    assert stats.memory.heap_objects > 0
    assert [(p.topic, p.count) for p in stats.producers[0].pub_counts] == [("t", 3)]


def test_stats_of_a_part(daemon: Daemon) -> None:
    """Filters are passed on; what is null is empty."""
    daemon.broker.get_topic("t").get_channel("c")
    daemon.broker.get_topic("t").get_channel("d")
    daemon.broker.get_topic("u")
    one = daemon.result(daemon.client.stats("t", "d", include_clients=False, include_mem=False))
    assert [(t.topic_name, [c.channel_name for c in t.channels]) for t in one.topics] == [
        ("t", ["d"])
    ]
    assert one.topics[0].channels[0].clients == []
    assert one.memory is None
    assert one.producers == []
    assert daemon.result(daemon.client.stats("nope")).topics == []
    assert "[t " in daemon.result(daemon.client.stats_text("t"))
    assert "[u " not in daemon.result(daemon.client.stats_text("t"))


def test_ping_and_info(daemon: Daemon) -> None:
    """Health, and where it is; who is not well says why."""
    assert daemon.result(daemon.client.ping()) == "OK"
    info = daemon.result(daemon.client.info())
    assert (info.broadcast_address, info.tcp_port, info.http_port) == ("b.example", 4150, 4151)
    assert info.max_heartbeat_interval == 60 * SECOND
    daemon.nsqd.node.health = "NOK - full"
    error = daemon.net.error(daemon.client.ping())
    assert (error.status, error.body) == (500, b"NOK - full")


def test_config(daemon: Daemon) -> None:
    """Options are text or JSON, and can be changed."""
    daemon.nsqd.node.config.update(mem_queue_size=7, statsd_prefix="nsq", tags=["a"], flag=True)
    for option, value in daemon.nsqd.node.config.items():
        assert daemon.result(daemon.client.get_config(option)) == value
    assert daemon.result(daemon.client.set_config("log_level", "debug")) == "debug"
    assert daemon.code(daemon.client.set_config("nope", "x")) == (400, "INVALID_OPTION")


def test_lists_are_set_as_json() -> None:
    """So nsqd takes the addresses of nsqlookupd."""
    net, site, client = scripted({"PUT /config/nsqlookupd_tcp_addresses": (200, b"[]")})
    net.result(client.set_config("nsqlookupd_tcp_addresses", ["a:1", "b:2"]))
    assert site.bodies == [b'["a:1","b:2"]']


def test_draining() -> None:
    """It is an option that is set, and what it is afterwards."""
    json = {"Content-Type": "application/json; charset=utf-8"}
    net, site, client = scripted({"PUT /config/drain": (200, b"true", json)})
    assert net.result(client.drain()) is True
    site.answers["PUT /config/drain"] = (200, b"false", json)
    assert net.result(client.drain(False)) is False
    assert site.bodies == [b"true", b"false"]


def test_peek(daemon: Daemon) -> None:
    """Messages are shown as they wait, text or not."""
    topic = daemon.broker.get_topic("t")
    daemon.result(daemon.client.publish("t", b"held"))
    assert [m.data for m in daemon.result(daemon.client.peek("t"))] == [b"held"]
    topic.get_channel("c")
    daemon.result(daemon.client.multipublish("t", [b"\xff\x00", b"long long"]))
    daemon.result(daemon.client.publish("t", b"later", defer=9))
    shown = daemon.result(daemon.client.peek("t", "c", limit=3, size=4))
    assert [(m.data, m.base64, m.size) for m in shown] == [
        (b"held", False, 4),
        (b"\xff\x00", True, 2),
        (b"long", False, 9),
    ]
    (later,) = daemon.result(daemon.client.peek("t", "c", state="deferred"))
    assert later.due == daemon.broker.now() + 9 * SECOND
    assert daemon.code(daemon.client.peek("t", "c", state="odd")) == (400, "INVALID_ARG_STATE")


def test_peek_shows_who_holds_a_message(daemon: Daemon) -> None:
    """Of those in flight."""
    topic = daemon.broker.get_topic("t")
    subscription = topic.get_channel("c").subscribe(Consumer(), 60 * SECOND, 900 * SECOND)
    subscription.set_ready(1)
    topic.publish([b"x"])
    (held,) = daemon.result(daemon.client.peek("t", "c", state="inflight"))
    assert held.client is not None
    assert held.client.client_id == "p"
    assert held.deadline > daemon.broker.now()


def test_dead_letters(daemon: Daemon) -> None:
    """A limit is set, and what has reached it comes back."""
    topic = daemon.broker.get_topic("t")
    channel = topic.get_channel("c")
    limit = daemon.result(daemon.client.limit_attempts("t", "c", 1, "dead"))
    assert (limit.max_attempts, limit.dead_letter_topic) == (1, "dead")
    consumer = Consumer()
    subscription = channel.subscribe(consumer, 60 * SECOND, 900 * SECOND)
    subscription.set_ready(1)
    topic.publish([b"x"])
    subscription.set_ready(0)
    subscription.requeue(consumer.ids[0], 0)
    daemon.broker.scan()
    assert channel.depth == 0
    assert daemon.result(daemon.client.redrive("t", "c", 10)) == 1
    assert channel.depth == 1


def test_debug(daemon: Daemon) -> None:
    """The pages are text; what the original answers 500 for is done all the same."""
    assert "threads: " in daemon.result(daemon.client.debug("threadcreate"))
    daemon.result(daemon.client.free_memory())
    daemon.result(daemon.client.set_block_rate(5))
    assert daemon.code(daemon.client.debug("nope")) == (404, "NOT_FOUND")
    gone_wrong = (500, b'{"message":"INTERNAL_ERROR"}')
    net, site, client = scripted({"POST /debug/freememory": gone_wrong})
    net.result(client.free_memory())
    site.answers["PUT /debug/setblockrate"] = (503, b'{"message":"EXITING"}')
    assert net.error(client.set_block_rate(5)).code == "EXITING"
    assert site.requests[-1] == "PUT /debug/setblockrate?rate=5"


def test_a_path_is_put_in_front() -> None:
    """An nsqd behind a proxy is reached below a path."""
    net = HttpNet()
    site = net.sites["n:4151"] = Scripted({"GET /q/ping": (200, b"OK")})
    assert net.result(NsqdClient("http://n:4151/q/", net.agent, net.clock).ping()) == "OK"
    assert site.requests == ["GET /q/ping"]


def test_wrapped_stats() -> None:
    """Before version 1.0 of the API everything is in ``data``."""
    body = b'{"status_code":200,"status_txt":"OK","data":{"topics":[{"topic_name":"t"}]}}'
    net, _, client = scripted({"GET /stats": (200, body)})
    assert [t.topic_name for t in net.result(client.stats()).topics] == ["t"]


def test_a_profile_takes_its_time() -> None:
    """A longer limit can be given for one request."""
    net, _, client = scripted({"GET /debug/pprof/profile": None})
    asking = client.debug("profile", timeout=40, seconds="30")
    net.flush()
    net.clock.advance(39)
    assert not asking.called
    net.clock.advance(2)
    assert "no answer within 40 s" in str(net.error(asking))
