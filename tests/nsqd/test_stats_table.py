"""Every key of /stats with its type and its place, as nsqd-http section 8.1 has them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.task import Clock

from nsqtx.broker.broker import Broker, Settings
from nsqtx.nsqd.http import NsqdApi
from nsqtx.nsqd.node import Node
from nsqtx.nsqd.options import NsqdOptions, start_error
from nsqtx.nsqd.session import Session
from nsqtx.options import read_file, read_options
from tests.support.http import fetch
from tests.support.lists import ListStore

#: The tables of section 8.1. ``?``: only present when it says something.
TABLES = {
    "top": """
        version str, health str, start_time int, topics list, memory dict, producers list
    """,
    "topic": """
        topic_name str, channels list, depth int, backend_depth int, message_count int,
        message_bytes int, paused bool, e2e_processing_latency dict
    """,
    "channel": """
        channel_name str, depth int, backend_depth int, in_flight_count int, deferred_count int,
        message_count int, zone_local_msg_count? int, region_local_msg_count? int,
        global_msg_count? int, requeue_count int, timeout_count int, client_count int,
        clients list, paused bool, e2e_processing_latency dict
    """,
    "client": """
        client_id str, hostname str, version str, remote_address str, state int, ready_count int,
        in_flight_count int, message_count int, finish_count int, requeue_count int,
        connect_ts int, sample_rate int, deflate bool, snappy bool, user_agent str, authed? bool,
        auth_identity? str, auth_identity_url? str, topology_zone str, topology_region str,
        pub_counts? list, tls bool, tls_cipher_suite str, tls_version str,
        tls_negotiated_protocol str, tls_negotiated_protocol_is_mutual bool
    """,
    "published": "topic str, count int",
    "latency": "count int, percentiles list",
    "percentile": "quantile float, value int",
    "memory": """
        heap_objects int, heap_idle_bytes int, heap_in_use_bytes int, heap_released_bytes int,
        gc_pause_usec_100 int, gc_pause_usec_99 int, gc_pause_usec_95 int, next_gc_bytes int,
        gc_total_runs int
    """,
}


def check(table: str, found: dict[str, Any]) -> set[str]:
    """Compare with a table; the keys that were left out."""
    rows = [row.split() for row in re.split(",", TABLES[table])]
    types = {name.rstrip("?"): kind for name, kind in rows}
    optional = {name.rstrip("?") for name, _ in rows if name.endswith("?")}
    missing = types.keys() - found.keys()
    assert list(found) == [name for name in types if name not in missing], table
    assert missing <= optional, table
    for name, value in found.items():
        assert type(value).__name__ == types[name], f"{table}: {name}"
        if name in optional:
            assert value, f"{table}: {name} says nothing"
    return missing


@attrs.define
class Dropping:
    """A connection on which nobody reads."""

    def write(self, data: bytes) -> None:
        """Drop it."""

    def negotiated(self, first: bool) -> None:
        """Nothing depends on it."""


class Desk:
    """A node with its API."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        made = NsqdOptions(**options)
        settings = Settings(latency_quantiles=made.e2e_processing_latency_percentile)
        self.broker = Broker(ListStore(), self.clock.seconds, settings)
        self.node = Node(made, self.broker, self.clock, self.clock.seconds())
        self.site = NsqdApi(self.node).site()

    def client(self, commands: bytes) -> Session:
        """A client that has said this."""
        session = Session(self.node, Dropping(), "1.2.3.4", "1.2.3.4:5")  # type: ignore[arg-type]
        self.node.sessions[session] = None
        session.receive(b"  V2" + commands)
        return session

    def stats(self) -> dict[str, Any]:
        """/stats?format=json"""
        found: dict[str, Any] = json.loads(fetch(self.site, "GET", "/stats?format=json").body)
        return found


def test_every_key_of_the_tables() -> None:
    """With one thing of each kind: types, order, and what is left out as long as it is empty."""
    desk = Desk(e2e_processing_latency_percentile=[0.95, 0.5])
    consumer = desk.client(b"SUB t c\nRDY 1\n")
    desk.client(b"PUB t\n\0\0\0\1aPUB t\n\0\0\0\1b")
    assert consumer.subscription is not None
    desk.clock.advance(2)
    consumer.receive(b"FIN " + next(iter(consumer.subscription.in_flight)) + b"\n")
    stats = desk.stats()
    assert check("top", stats) == set()
    assert check("memory", stats["memory"]) == set()
    (topic,) = stats["topics"]
    check("topic", topic)
    (channel,) = topic["channels"]
    assert check("channel", channel) == {"zone_local_msg_count", "region_local_msg_count"}
    auth = {"authed", "auth_identity", "auth_identity_url"}
    assert check("client", channel["clients"][0]) == auth | {"pub_counts"}
    (producer,) = stats["producers"]
    assert check("client", producer) == auth
    check("published", producer["pub_counts"][0])
    for latency in (topic["e2e_processing_latency"], channel["e2e_processing_latency"]):
        check("latency", latency)
        assert latency["count"] == 1
        assert [each["quantile"] for each in latency["percentiles"]] == [0.95, 0.5]
        for each in latency["percentiles"]:
            check("percentile", each)
            assert each["value"] == pytest.approx(2e9, rel=0.01)


def test_without_samples_and_without_channels() -> None:
    """Percentiles of nothing are 0; a topic without a channel has none (engine section 12)."""
    desk = Desk(e2e_processing_latency_percentile=[0.5])
    desk.broker.get_topic("t").get_channel("c")
    desk.broker.get_topic("u")
    t, u = desk.stats()["topics"]
    nothing = {"count": 0, "percentiles": [{"quantile": 0.5, "value": 0}]}
    assert t["e2e_processing_latency"] == nothing
    assert t["channels"][0]["e2e_processing_latency"] == nothing
    assert u["e2e_processing_latency"] == {"count": 0, "percentiles": None}


def test_percentiles_of_a_file_keep_their_order(tmp_path: Path) -> None:
    """Those of a file come as given, down to /stats; 1 is a number like others there."""
    path = tmp_path / "nsqd.toml"
    path.write_text("e2e_processing_latency_percentiles = [0.5, 1, 0.95]\n")
    options = read_options(NsqdOptions, {}, read_file(NsqdOptions, str(path)))
    assert start_error(options) is None
    desk = Desk(e2e_processing_latency_percentile=options.e2e_processing_latency_percentile)
    desk.broker.get_topic("t").get_channel("c")
    percentiles = desk.stats()["topics"][0]["e2e_processing_latency"]["percentiles"]
    assert [each["quantile"] for each in percentiles] == [0.5, 1, 0.95]
