"""What nsqlookupd tells of nsqd, and nsqd of itself (client sections 4.1 and 10.4)."""

from __future__ import annotations

import attrs

from nsqtx.cluster.reading import parts
from nsqtx.cluster.urls import place_text

__all__ = ["Info", "Lookup", "NodeEntry", "Producer"]


@attrs.define
class Producer:
    """An nsqd, as it has introduced itself. Ports are 0 if it did not say."""

    remote_address: str = ""
    hostname: str = ""
    broadcast_address: str = ""
    tcp_port: int = 0
    http_port: int = 0
    version: str = ""
    topology_region: str = ""
    topology_zone: str = ""
    #: What very old ones say in place of ``broadcast_address``.
    address: str = ""

    def __attrs_post_init__(self) -> None:
        if not self.broadcast_address:
            self.broadcast_address = self.address or self.hostname

    @property
    def tcp_address(self) -> str:
        """Where consumers connect: ``host:port``."""
        return place_text(self.broadcast_address, self.tcp_port)

    @property
    def http_address(self) -> str:
        """Where it answers HTTP: ``host:port``."""
        return place_text(self.broadcast_address, self.http_port)


@attrs.define
class NodeEntry(Producer):
    """An nsqd in ``/nodes``, with its topics and, in a list as long, which of them are hidden."""

    topics: list[str] = parts(str)
    tombstones: list[bool] = parts(bool)


@attrs.define
class Lookup:
    """Who has a topic."""

    channels: list[str] = parts(str)
    producers: list[Producer] = parts(Producer)
    #: Which state this is, to wait for the next; None: this nsqlookupd cannot wait.
    index: int | None = attrs.field(default=None, init=False)


@attrs.define
class Info:
    """``/info`` of nsqd; nsqlookupd fills in the version alone. Durations are in ns."""

    version: str = ""
    broadcast_address: str = ""
    hostname: str = ""
    http_port: int = 0
    tcp_port: int = 0
    #: Seconds since 1970.
    start_time: int = 0
    max_heartbeat_interval: int = 0
    max_output_buffer_size: int = 0
    max_output_buffer_timeout: int = 0
    max_deflate_level: int = 0
    topology_zone: str = ""
    topology_region: str = ""
