"""Discovery by our nsqlookupd, over HTTP."""

from __future__ import annotations

from random import Random

from nsqtx.client.discovery import Discovery
from nsqtx.cluster.lookupd import LookupdClient
from nsqtx.nsqlookupd.entries import Producer
from nsqtx.nsqlookupd.http import LookupApi
from nsqtx.nsqlookupd.node import Node
from nsqtx.nsqlookupd.options import NsqlookupdOptions
from tests.support.httpnet import HttpNet
from tests.support.lookup import peer


def test_a_topic_is_found_as_it_comes() -> None:
    """D3: unknown at first; then each nsqd is found in the second in which it registers."""
    net = HttpNet()
    net.clock.advance(1_700_000_000)
    node = Node(NsqlookupdOptions(), net.clock)
    net.sites["l:4161"] = LookupApi(node).site()
    told: list[tuple[list[str], bool]] = []
    discovery = Discovery(
        "t", net.clock, Random(1), lambda found, whole: told.append((sorted(found), whole))
    )
    discovery.add("l:4161", LookupdClient("l:4161", net.agent, net.clock))

    def pass_time(seconds: int) -> None:
        for _ in range(seconds * 4):
            net.clock.advance(0.25)
            net.flush()

    discovery.start()
    net.flush()
    assert told == [([], True)]
    for name in ("a", "b"):
        pass_time(5)
        producer = Producer(name, peer(broadcast_address=name), node.now())
        node.registry.add(producer)
        node.registry.register(producer, "t")
        pass_time(1)
    assert told[1:] == [(["a:4150"], True), (["a:4150", "b:4150"], True)]
    pass_time(40)
    assert len(told) == 3, "no news, no round"
    discovery.stop()
    net.flush()
    assert net.clock.getDelayedCalls() == []
