"""What the pages need of the cluster beyond the poller's snapshot, and the answers' form."""

from __future__ import annotations

from typing import Protocol

import attrs
from twisted.internet.defer import Deferred

from nsqtx.nsqadmin.rows import ClientRow
from nsqtx.web.site import ApiRequest

__all__ = [
    "Action",
    "ClusterSource",
    "Consumers",
    "Done",
    "Inactive",
    "Peeked",
    "PeekedNode",
    "Refused",
]


class Refused(Exception):
    """The cluster did not do it; the text says why, for people."""


@attrs.frozen
class Action:
    """Something to be done: one of the names in `nsqtx.nsqadmin.roles.NEEDED`, and to what."""

    do: str
    topic: str
    channel: str = ""
    node: str = ""
    #: For ``redrive``: the most messages; 0: all.
    limit: int = 0


@attrs.frozen
class Consumers:
    """The clients of a channel, or of all channels of a node."""

    clients: list[ClientRow] = attrs.field(factory=list)
    warnings: list[str] = attrs.field(factory=list)


@attrs.frozen
class Done:
    """An action was taken; what went wrong meanwhile, and how many messages it was about."""

    warnings: list[str] = attrs.field(factory=list)
    count: int | None = None


@attrs.frozen
class Inactive:
    """Topics that no nsqd has, though nsqlookupd knows them, with their channels."""

    topics: dict[str, list[str]] = attrs.field(factory=dict)
    warnings: list[str] = attrs.field(factory=list)


@attrs.frozen
class Peeked:
    """A message that was looked at. Times and age in ns; ``size`` is that of the whole body."""

    id: str
    timestamp: int
    age: int
    attempts: int
    size: int
    #: Text, or base64 if ``is_base64``.
    body: str
    is_base64: bool = False
    due: int = 0
    deadline: int = 0
    #: Who has it in flight.
    client: str = ""


@attrs.frozen
class PeekedNode:
    """What one node showed, or why it did not."""

    node: str
    messages: list[Peeked] = attrs.field(factory=list)
    error: str = ""


class ClusterSource(Protocol):
    """Asks nsqd and nsqlookupd. Each Deferred fails with `Refused` where nothing came of it."""

    @property
    def lookups(self) -> list[str]:
        """The HTTP addresses of nsqlookupd; none: nsqd are asked directly."""

    def consumers_of_channel(self, topic: str, channel: str) -> Deferred[Consumers]:
        """The clients of a channel on all nodes."""

    def consumers_of_node(self, node: str) -> Deferred[Consumers]:
        """All clients of a node."""

    def inactive(self, topics: list[str]) -> Deferred[Inactive]:
        """These topics, which nobody has, with the channels that nsqlookupd knows."""

    def peek(
        self, topic: str, channel: str, nodes: list[str], state: str, limit: int, size: int
    ) -> Deferred[list[PeekedNode]]:
        """Messages of a channel, or of a topic if ``channel`` is empty, from each of the nodes.

        :param state: ``ready``, ``deferred`` or ``inflight``.
        :param limit: the most messages from each node.
        :param size: bytes of each body.
        """

    def act(self, request: ApiRequest, action: Action) -> Deferred[Done]:
        """Do it, on behalf of who makes the request."""
