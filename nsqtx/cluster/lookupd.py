"""A client of one nsqlookupd (nsqlookupd section 5)."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IAgent

from nsqtx.cluster.daemon import DaemonClient, done, topic_args
from nsqtx.cluster.http import Answer
from nsqtx.cluster.producers import Info, Lookup, NodeEntry
from nsqtx.cluster.reading import parts

__all__ = ["LookupdClient"]


class LookupdClient(DaemonClient):
    """Asks one nsqlookupd who has what, and tells it what to forget or to hide.

    A path in its URL is where ``lookup`` is, as other clients of NSQ take it (client section 4.1);
    the other endpoints are beside that.
    """

    DEFAULT_PORT: ClassVar[int] = 4161

    def __init__(self, address: str, agent: IAgent, clock: IReactorTime, **options: Any) -> None:
        super().__init__(address, agent, clock, **options)
        self._lookup_path = self.url.path or "/lookup"
        self._prefix = self.url.path.rpartition("/")[0]

    # Who has what.

    def lookup(self, topic: str, wait: float = 0.0, index: int | None = None) -> Deferred[Lookup]:
        """The channels and producers of a topic.

        With ``wait``, ours answers when they have changed since the state ``index``, or after so
        many seconds; the original answers at once. An unknown topic is an `ApiError` with the code
        ``TOPIC_NOT_FOUND`` and an ``index``.
        """
        args = topic_args(topic)
        if wait > 0:
            args["wait"] = f"{wait:.3f}"
        if index is not None:
            args["index"] = str(index)
        timeout = self.timeout + max(wait, 0.0)
        asking = self._ask("GET", self._lookup_path, args, timeout=timeout)
        return asking.addCallback(_lookup)

    def topics(self) -> Deferred[list[str]]:
        """The names of all topics."""
        return self._get("/topics").addCallback(lambda answer: answer.read(_Names).topics)

    def channels(self, topic: str) -> Deferred[list[str]]:
        """The names of the channels of a topic, none if it is unknown."""
        asking = self._get("/channels", topic_args(topic))
        return asking.addCallback(lambda answer: answer.read(_Names).channels)

    def nodes(self) -> Deferred[list[NodeEntry]]:
        """All nsqd, with their topics."""
        return self._get("/nodes").addCallback(lambda answer: answer.read(_Nodes).producers)

    def info(self) -> Deferred[Info]:
        """Its version."""
        return self._get("/info").addCallback(lambda answer: answer.read(Info))

    def registrations(self) -> Deferred[Any]:
        """``/debug``: everything it knows, as the JSON has it."""
        return self._get("/debug").addCallback(Answer.json)

    # Administration.

    def create_topic(self, topic: str) -> Deferred[None]:
        """Make a topic known."""
        return self._topic("create", topic)

    def delete_topic(self, topic: str) -> Deferred[None]:
        """Forget a topic and its channels. Nsqd that have it register it again in time."""
        return self._topic("delete", topic)

    def create_channel(self, topic: str, channel: str) -> Deferred[None]:
        """Make a channel known, and its topic."""
        return self._channel("create", topic, channel)

    def delete_channel(self, topic: str, channel: str) -> Deferred[None]:
        """Forget a channel."""
        return self._channel("delete", topic, channel)

    def tombstone_topic(self, topic: str, node: str) -> Deferred[None]:
        """Hide a node (``broadcast_address:http_port``) from a topic for a while."""
        args = {**topic_args(topic), "node": node}
        return self._post("/topic/tombstone", args).addCallback(done)


@attrs.define
class _Names:
    topics: list[str] = parts(str)
    channels: list[str] = parts(str)


@attrs.define
class _Nodes:
    producers: list[NodeEntry] = parts(NodeEntry)


def _lookup(answer: Answer) -> Lookup:
    lookup = answer.read(Lookup)
    lookup.index = answer.index
    return lookup
