"""A cluster in memory: our nsqlookupd and nsqd, without sockets, at addresses of an `HttpNet`."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from nsqtx.cluster.actions import ClusterActions
from nsqtx.cluster.view import ClusterView
from nsqtx.nsqlookupd.entries import Producer
from nsqtx.nsqlookupd.http import LookupApi
from nsqtx.nsqlookupd.node import Node
from nsqtx.nsqlookupd.options import NsqlookupdOptions
from tests.support.httpnet import HttpNet
from tests.support.lookup import peer
from tests.support.nsqdapi import Nsqd

__all__ = ["Cluster", "Directory"]

T = TypeVar("T")


class Directory:
    """A nsqlookupd."""

    def __init__(self, net: HttpNet) -> None:
        self.node = Node(NsqlookupdOptions(), net.clock)
        self.site = LookupApi(self.node).site()

    def add(self, id: str, *names: str, **info: Any) -> Producer:
        """Introduce an nsqd at ``<id>:4151`` with these topics (``t``), channels (``t/c``)."""
        fields = {"broadcast_address": id, "hostname": f"h-{id}", **info}
        producer = Producer(id, peer(**fields), self.node.now())
        self.node.registry.add(producer)
        for name in names:
            self.node.registry.register(producer, *name.split("/"))
        return producer


class Cluster:
    """nsqlookupd at ``l1:4161`` and so on, nsqd at ``n1:4151`` and so on, and a view of them.

    ``nsqds`` names the topics and channels of each nsqd, which every nsqlookupd knows.
    """

    def __init__(self, *nsqds: str, lookupds: int = 1, options: Any = None) -> None:
        self.net = HttpNet()
        self.net.clock.advance(1_700_000_000)
        self.lookupds = [Directory(self.net) for _ in range(lookupds)]
        self.nsqds: list[Nsqd] = []
        for number, lookupd in enumerate(self.lookupds, 1):
            self.net.sites[f"l{number}:4161"] = lookupd.site
        for number, names in enumerate(nsqds, 1):
            self.add(f"n{number}", *names.split())
        places = [place for place in self.net.sites if place.startswith("l")]
        static = [] if places else list(self.net.sites)
        self.view = ClusterView(self.net.agent, self.net.clock, places, static, **(options or {}))
        self.actions = ClusterActions(self.view)

    def add(self, id: str, *names: str, **info: Any) -> Nsqd:
        """One more nsqd."""
        nsqd = Nsqd()
        nsqd.node.options.broadcast_address = id
        nsqd.node.hostname = f"h-{id}"
        for name in names:
            topic, _, channel = name.partition("/")
            made = nsqd.node.broker.get_topic(topic)
            if channel:
                made.get_channel(channel)
        self.nsqds.append(nsqd)
        self.net.sites[f"{id}:4151"] = nsqd.site
        for lookupd in self.lookupds:
            lookupd.add(id, *names, **info)
        return nsqd

    def down(self, place: str) -> None:
        """From now on that daemon refuses connections."""
        del self.net.sites[place]

    def result(self, asking: Coroutine[Any, Any, T]) -> T:
        """What a question comes to."""
        return self.net.result(Deferred.fromCoroutine(asking))

    def error(self, asking: Coroutine[Any, Any, Any]) -> Any:
        """The exception that a question comes to."""
        return self.net.error(Deferred.fromCoroutine(asking))
