"""Changing a cluster: every daemon that has to know of it is told (nsqadmin section 7).

Finding out whom to tell can fail, with `ClusterError`. Who was told and did not do it is a warning,
even if nobody did: some may not have what the action is about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from nsqtx.cluster.gathering import ClusterError, Gathered, Gathering
from nsqtx.cluster.lookupd import LookupdClient
from nsqtx.cluster.nodes import Node
from nsqtx.cluster.nsqd import NsqdClient
from nsqtx.cluster.peeked import PeekedMessage
from nsqtx.cluster.view import ClusterView

__all__ = ["ACTIONS", "ClusterActions"]

#: Nsqd that redrive at the same time. It can take minutes, which must not take places from those
#: who only look.
PARALLEL_REDRIVES = 16

_ON_TOPIC = {
    "pause": NsqdClient.pause_topic,
    "unpause": NsqdClient.unpause_topic,
    "empty": NsqdClient.empty_topic,
}
_ON_CHANNEL = {
    "pause": NsqdClient.pause_channel,
    "unpause": NsqdClient.unpause_channel,
    "empty": NsqdClient.empty_channel,
}
#: What can be done to a topic or a channel and is not its end.
ACTIONS = tuple(_ON_TOPIC)


@attrs.frozen
class ClusterActions:
    """Acts on the cluster that a view looks at."""

    view: ClusterView
    _redriving: Gathering = attrs.field(factory=lambda: Gathering(PARALLEL_REDRIVES), init=False)

    async def create_topic(self, topic: str) -> Gathered[None]:
        """Make a topic known to every nsqlookupd; nsqd have it when somebody publishes."""
        return Gathered(
            None, await self._tell_lookupds(lambda lookupd: lookupd.create_topic(topic))
        )

    async def create_channel(self, topic: str, channel: str) -> Gathered[None]:
        """Make a channel known to every nsqlookupd, and make it where the topic is."""
        warnings = await self._tell_lookupds(lambda lookupd: lookupd.create_topic(topic))
        warnings += await self._tell_lookupds(
            lambda lookupd: lookupd.create_channel(topic, channel)
        )
        if not self.view.lookupds:
            raise ClusterError("failed to query any nsqlookupd: ")
        return await self._tell_nsqds(
            topic, lambda nsqd: nsqd.create_channel(topic, channel), warnings
        )

    async def delete_topic(self, topic: str) -> Gathered[None]:
        """Delete a topic everywhere, with its channels and messages."""
        nodes = await self.view.producers(topic)
        warnings = nodes.warnings + await self._tell_lookupds(
            lambda lookupd: lookupd.delete_topic(topic)
        )
        return await self._tell(nodes.value, lambda nsqd: nsqd.delete_topic(topic), warnings)

    async def delete_channel(self, topic: str, channel: str) -> Gathered[None]:
        """Delete a channel everywhere, with its messages."""
        nodes = await self.view.producers(topic)
        told = await self._tell_lookupds(lambda lookupd: lookupd.delete_channel(topic, channel))
        warnings = nodes.warnings + told
        return await self._tell(
            nodes.value, lambda nsqd: nsqd.delete_channel(topic, channel), warnings
        )

    async def act_on_topic(self, topic: str, action: str) -> Gathered[None]:
        """One of `ACTIONS`, on every node that has the topic. :raises KeyError: it is none."""
        act = _ON_TOPIC[action]
        return await self._tell_nsqds(topic, lambda nsqd: act(nsqd, topic))

    async def act_on_channel(self, topic: str, channel: str, action: str) -> Gathered[None]:
        """One of `ACTIONS`, on every node that has the topic. :raises KeyError: it is none."""
        act = _ON_CHANNEL[action]
        return await self._tell_nsqds(topic, lambda nsqd: act(nsqd, topic, channel))

    async def tombstone(self, topic: str, node: str) -> Gathered[None]:
        """Hide a node (its HTTP address) from a topic, then delete the topic there.

        Without the first, consumers would make the topic again.
        """
        warnings = await self._tell_lookupds(lambda lookupd: lookupd.tombstone_topic(topic, node))
        found = await self.view.node_at(node)
        warnings += found.warnings
        return await self._tell([found.value], lambda nsqd: nsqd.delete_topic(topic), warnings)

    # Ours alone: what the original's nsqd answer with 404 NOT_FOUND.

    async def limit_attempts(
        self, topic: str, channel: str, max_attempts: int, dead_letter_topic: str = ""
    ) -> Gathered[None]:
        """Have messages of a channel become dead letters after so many attempts; 0: never."""
        return await self._tell_nsqds(
            topic, lambda nsqd: nsqd.limit_attempts(topic, channel, max_attempts, dead_letter_topic)
        )

    async def redrive(self, topic: str, channel: str, limit: int = 0) -> Gathered[int]:
        """Bring dead letters back to a channel on every node, ``limit`` at most of each."""
        nodes = await self.view.producers(topic)
        told = await self._redriving.tell_all(
            nodes.value, lambda node: self._nsqd(node).redrive(topic, channel, limit)
        )
        return Gathered(sum(told.value), nodes.warnings + told.warnings)

    async def peek(
        self, topic: str, channel: str = "", *, state: str = "", limit: int = 0, size: int = -1
    ) -> Gathered[dict[str, list[PeekedMessage]]]:
        """Messages that wait, by the HTTP address of the node that has them."""
        nodes = await self.view.producers(topic)

        def ask(node: Node) -> Deferred[tuple[str, list[PeekedMessage]]]:
            asking = self._nsqd(node).peek(topic, channel, state=state, limit=limit, size=size)
            return asking.addCallback(lambda messages: (node.http_address, messages))

        found = await self.view.gathering.tell_all(nodes.value, ask)
        return Gathered(dict(found.value), nodes.warnings + found.warnings)

    async def _tell_lookupds(self, tell: Callable[[LookupdClient], Deferred[Any]]) -> list[str]:
        view = self.view
        told = await view.gathering.tell_all(
            view.lookupds, lambda address: tell(view.lookupd(address))
        )
        return told.warnings

    async def _tell_nsqds(
        self,
        topic: str,
        tell: Callable[[NsqdClient], Deferred[Any]],
        warnings: list[str] | None = None,
    ) -> Gathered[None]:
        nodes = await self.view.producers(topic)
        return await self._tell(nodes.value, tell, (warnings or []) + nodes.warnings)

    async def _tell(
        self, nodes: list[Node], tell: Callable[[NsqdClient], Deferred[Any]], warnings: list[str]
    ) -> Gathered[None]:
        told = await self.view.gathering.tell_all(nodes, lambda node: tell(self._nsqd(node)))
        return Gathered(None, warnings + told.warnings)

    def _nsqd(self, node: Node) -> NsqdClient:
        return self.view.nsqd(node.http_address)
