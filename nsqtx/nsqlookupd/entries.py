"""What the registry of nsqlookupd is made of: producers, topics, what is said of a registration."""

from __future__ import annotations

from typing import NamedTuple

import attrs

from nsqtx.wire import gojson
from nsqtx.wire.lookup import PeerInfo

__all__ = ["ANY", "Full", "Limits", "Producer", "Registration", "Topic"]

#: In place of a topic's name: all topics (section 4.4).
ANY = "*"


class Full(Exception):
    """There is a limit to what is kept; the text says which."""


class Registration(NamedTuple):
    """What a log line says of one: ``client``, ``topic`` or ``channel``, and names."""

    category: str
    key: str = ""
    subkey: str = ""


@attrs.frozen
class Limits:
    """Times in ns (section 2.1), and how much may be kept."""

    inactive_producer_timeout: int = 300 * 10**9
    tombstone_lifetime: int = 45 * 10**9
    max_registrations: int = 250_000
    max_names: int = 1_000_000


@attrs.define(eq=False)
class Producer:
    """One connection of an nsqd. ``id`` is its remote address, ``last_update`` in ns."""

    id: str
    info: PeerInfo
    last_update: int
    #: It has left; its entries are being removed.
    gone: bool = False
    topics: dict[Topic, None] = attrs.Factory(dict)
    #: Topics it is hidden from, and since when (ns); also those whose time is over.
    tombstones: dict[Topic, int] = attrs.Factory(dict)
    #: How many topics and channels it has registered.
    registrations: int = 0
    #: What ``/lookup`` says of it: JSON, made once.
    json: bytes = b""

    def __attrs_post_init__(self) -> None:
        info = self.info
        self.json = gojson.encode(
            {
                "remote_address": self.id,
                "hostname": info.hostname,
                "broadcast_address": info.broadcast_address,
                "tcp_port": info.tcp_port,
                "http_port": info.http_port,
                "version": info.version,
                "topology_zone": info.topology_zone,
                "topology_region": info.topology_region,
            }
        )

    def is_at(self, node: str) -> bool:
        """Whether this is ``<broadcast_address>:<http_port>``, IPv6 in brackets or not."""
        address = f"{self.info.broadcast_address}:{self.info.http_port}"
        return _unbracketed(address) == _unbracketed(node)


def _unbracketed(address: str) -> str:
    return address.replace("[", "").replace("]", "")


@attrs.define(eq=False)
class Topic:
    """A topic. It may have lost its own name and still have channels (section 4.3): not listed."""

    name: str
    listed: bool = False
    index: int = 0
    producers: dict[Producer, None] = attrs.Factory(dict)
    channels: dict[str, dict[Producer, None]] = attrs.Factory(dict)
