"""A `Discovery`, and the nsqlookupd it asks, answered by hand."""

from __future__ import annotations

from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from nsqtx.client.discovery import Discovery
from nsqtx.client.events import Event
from nsqtx.cluster.errors import ApiError
from nsqtx.cluster.producers import Lookup, Producer

__all__ = ["FakeLookupClient", "Owner", "producer"]


def producer(address: str) -> Producer:
    """An nsqd at ``host:port``, IPv6 without brackets."""
    host, _, port = address.rpartition(":")
    return Producer(broadcast_address=host, tcp_port=int(port))


@attrs.define(eq=False)
class FakeLookupClient:
    """Keeps what it was asked. `answer` and `refuse` are for the oldest that waits."""

    #: Topic, wait and index of each request.
    asked: list[tuple[str, float, int | None]] = attrs.field(factory=list)
    waiting: list[Deferred[Lookup]] = attrs.field(factory=list)
    cancelled: int = 0
    #: A request that is cancelled fails with an `ApiError`, as if its connection were lost.
    hides_cancel: bool = False
    #: Answered with at once: addresses, or an error.
    at_once: list[str] | ApiError | None = None
    #: What all answers have.
    index: int | None = None

    def lookup(self, topic: str, wait: float = 0.0, index: int | None = None) -> Deferred[Lookup]:
        self.asked.append((topic, wait, index))
        waiting: Deferred[Lookup] = Deferred(self._cancel)
        self.waiting.append(waiting)
        if isinstance(self.at_once, list) and not wait:
            self.answer(*self.at_once)
        elif isinstance(self.at_once, ApiError):
            self.refuse(self.at_once)
        return waiting

    def _cancel(self, waiting: Deferred[Lookup]) -> None:
        self.cancelled += 1
        self.waiting.remove(waiting)
        if self.hides_cancel:
            waiting.errback(ApiError("connection lost"))

    def answer(self, *addresses: str) -> None:
        lookup = Lookup([], [producer(address) for address in addresses])
        lookup.index = self.index
        self.waiting.pop(0).callback(lookup)

    def refuse(self, error: ApiError | None = None) -> None:
        self.waiting.pop(0).errback(error or ApiError("it is down"))

    def unknown(self) -> None:
        """The topic is not there."""
        code = "TOPIC_NOT_FOUND"
        self.refuse(ApiError(code, status=404, code=code, index=self.index))


class Owner:
    """Two nsqlookupd, and what is told of them."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.told: list[tuple[list[str], bool]] = []
        self.gone: list[list[str]] = []
        self.events: list[Event] = []
        self.one, self.two = FakeLookupClient(), FakeLookupClient()
        options = {
            "jitter": 0.0,
            "gone": self._gone,
            "tell": self.events.append,
            **options,
        }
        self.discovery = Discovery("t", self.clock, Random(1), self._found, **options)
        self.discovery.add("one", self.one)
        self.discovery.add("two", self.two)

    def _found(self, addresses: frozenset[str], complete: bool) -> None:
        self.told.append((sorted(addresses), complete))

    def _gone(self, addresses: frozenset[str]) -> None:
        self.gone.append(sorted(addresses))

    def start(self) -> None:
        self.discovery.start()

    def round(self, one: str | None, two: str | None) -> tuple[list[str], bool]:
        """Both answer with these addresses, or fail; then it is time for the next round."""
        for client, text in ((self.one, one), (self.two, two)):
            if text is None:
                client.refuse()
            else:
                client.answer(*text.split())
        self.clock.advance(60)
        return self.told[-1]
