"""A node for the HTTP API of nsqd: the real broker over lists, everything else set by hand."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.task import Clock

from nsqtx.broker.broker import Broker, Settings
from nsqtx.broker.turn import Turn
from nsqtx.nsqd.metrics import nsqd_exposition
from nsqtx.storage.volume import Counters
from nsqtx.web.lag import ReactorLag
from tests.support.lists import ListStore

__all__ = ["FakeNode", "FakeOptions"]


@attrs.define
class FakeOptions:
    """The options that the HTTP API looks at."""

    broadcast_address: str = "b.example"
    max_msg_size: int = 100
    max_body_size: int = 200
    max_req_timeout: int = 3600 * 10**9
    max_heartbeat_interval: int = 60 * 10**9
    max_output_buffer_size: int = 65536
    max_output_buffer_timeout: int = 30 * 10**9
    max_deflate_level: int = 6
    topology_zone: str = "z<1>"
    topology_region: str = "r&"
    metrics_max_topics: int = 200


class FakeNode:
    """What `nsqtx.nsqd.http.NsqdApi` needs of a node."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000.0)
        self.options = FakeOptions()
        self.store = ListStore()
        self.broker = Broker(self.store, self.clock.seconds, Settings(**settings))
        self.start_time = self.clock.seconds()
        self.hostname = "host"
        self.tcp_port = 4150
        self.http_port = 4151
        self.https_port = 0
        self.health = "OK"
        self.draining = False
        self.turn: Turn | None = None
        self.clients: list[dict[str, Any]] = []
        self.config: dict[str, Any] = {}
        self.sessions: dict[object, None] = {}
        self.metadata_changes = 0
        self.counters = Counters()
        self.lag = ReactorLag(self.clock)
        self.exposition = nsqd_exposition(self)  # type: ignore[arg-type]

    def store_health(self) -> str | None:
        """What the disk refused."""
        return None if self.health == "OK" else self.health

    def metadata_changed(self) -> None:
        """Count it."""
        self.metadata_changes += 1

    def producers(self, topic: str = "") -> list[dict[str, Any]]:
        """Every client that has published."""
        return self.clients

    def config_get(self, name: str) -> Any:
        """The value of an option."""
        return self.config[name]

    def config_set(self, name: str, body: bytes) -> Any:
        """Set an option: a word that is no ``bad``, one name only."""
        if name != "log_level":
            raise KeyError(name)
        if body == b"bad":
            raise ValueError(body)
        self.config[name] = body.decode()
        return self.config[name]
