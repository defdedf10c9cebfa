"""Topology-aware consumption: near consumers are served before far ones (nsqd-tcp section 11).

An experiment of the original's, off unless asked for. A consumer's `Locality` is settled when it
subscribes; a channel without any pays nothing for this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import attrs

if TYPE_CHECKING:
    from nsqtx.broker.subscription import Subscription

__all__ = ["FAR", "LocalCounts", "Locality", "Place", "locality", "nearest"]


class Place(NamedTuple):
    """Where a server or a client says it is. Empty: it does not say."""

    zone: str
    region: str


class Locality(NamedTuple):
    """How near a consumer is: what it ranks (0 is served first) and what it is counted as.

    They differ where the server has no zone or region. Nobody is preferred for being in the same
    nowhere, but such a consumer is counted as local all the same.
    """

    rank: int
    zone_local: bool
    region_local: bool


#: A consumer in another region, or one that never said where it is.
FAR = Locality(2, zone_local=False, region_local=False)


def locality(server: Place, client: Place) -> Locality:
    """How near a client is to the server."""
    zone_local = client.zone == server.zone
    region_local = client.region == server.region
    rank = 2
    if zone_local and server.zone:
        rank = 0
    elif region_local and server.region:
        rank = 1
    return Locality(rank, zone_local, region_local)


def nearest(subscriptions: Sequence[Subscription]) -> list[Subscription]:
    """Those of at least one consumer that nobody is nearer than, in their order."""
    least = min(each.locality.rank for each in subscriptions)
    return [each for each in subscriptions if each.locality.rank == least]


@attrs.define
class LocalCounts:
    """How many messages of a channel went to near consumers without being read from the log."""

    zone: int = 0
    region: int = 0
    _read: int = 0

    def add(self, near: Locality, count: int, read: int) -> None:
        """Count messages that were sent to a consumer.

        ``read`` is how many the channel has read from its log so far. They come after what was in
        memory, and are not counted.
        """
        from_log = min(count, read - self._read)
        self._read += from_log
        if near.zone_local:
            self.zone += count - from_log
        elif near.region_local:
            self.region += count - from_log

    def emptied(self, read: int) -> None:
        """What was read and not sent was dropped."""
        self._read = read
