"""An nsqd whose HTTP has its fast lane, with turns and without, beside one that has none: all must
answer the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nsqtx.nsqd.http import NsqdApi
from nsqtx.web.api import ApiResource
from nsqtx.web.site import ApiSite
from tests.support.http import Connection
from tests.support.logged import Logged
from tests.support.nsqdapi import Nsqd, TurningNsqd

__all__ = ["Both", "any_requests", "same_answers"]


class WithoutLane(Nsqd):
    """An nsqd all of whose requests go to Klein."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        api = NsqdApi(self.node)  # type: ignore[arg-type]
        resource = ApiResource(api.app, api.routes)
        self.site = ApiSite(resource, self.node.clock, api.body_limit)


class Both:
    """The same bytes to an nsqd with a lane and to one without, on a connection each."""

    def __init__(self, fast: Nsqd | None = None) -> None:
        self.nsqds = (fast or Nsqd(), WithoutLane())
        self.connections = [Connection(nsqd.site) for nsqd in self.nsqds]
        self.answers = [b"", b""]

    def send(self, data: bytes) -> None:
        """Send to both. The lane may answer a bad head later, at its end, but not otherwise."""
        for index, connection in enumerate(self.connections):
            connection.send(data)
            self.nsqds[index].end_turn()
            self.answers[index] += connection.sent_by_server()
        assert self.answers[1].startswith(self.answers[0])

    def check(self) -> None:
        """See that answers, messages and the states of the connections are the same."""
        assert self.answers[0] == self.answers[1]
        fast, slow = self.nsqds
        topics = fast.node.broker.topics.keys()
        assert topics == slow.node.broker.topics.keys()
        for topic in topics:
            assert fast.bodies(topic) == slow.bodies(topic)
        first, second = (each.transport for each in self.connections)
        assert first.disconnecting == second.disconnecting
        assert first.half_closed == second.half_closed
        assert first.producerState == second.producerState


def same_answers(reads: Iterable[bytes]) -> None:
    """Whatever is asked, however it is cut into reads, lane and Klein answer the same bytes."""
    reads = list(reads)
    for fast in (Nsqd(), TurningNsqd()):
        both = Both(fast)
        for read in reads:
            both.send(read)
        both.check()


def any_requests(reads: Iterable[bytes]) -> None:
    """Whatever is sent, nothing fails in nsqd, and it takes the next connection."""
    nsqd = Nsqd()
    connection = Connection(nsqd.site)
    with Logged() as logged:
        for read in reads:
            connection.send(read)
        connection.lost()
    assert logged.failures == []
    assert nsqd.get("/ping").status == 200
