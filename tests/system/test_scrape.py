"""/metrics of a real nsqd: the disk, the process and the reactor are those that it has."""

from __future__ import annotations

import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.support.blockinghttp import get
from tests.support.daemon import Daemon
from tests.support.wireclient import WireClient


def scrape(nsqd: Daemon) -> dict[str, float]:
    """Name and value of each sample without buckets."""
    status, body = get(nsqd.http, "/metrics")
    assert status == 200
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if "le" not in sample.labels
    }


def test_figures_of_a_running_nsqd(tmp_path: Path) -> None:
    """A message that was published and finished is seen by all who count."""
    with Daemon(tmp_path / "data", "--durability=fsync") as nsqd:
        with WireClient(nsqd.tcp) as client:
            client.subscribe("t", "c")
            client.publish("t", b"twelve bytes")
            client.ready(1)
            client.finish(client.read_message().id)
            found = scrape(nsqd)
            deadline = time.monotonic() + 10
            while not (
                found["nsqd_reactor_lag_seconds_count"]
                and found.get("nsqd_channel_processing_seconds_count")
            ):
                assert time.monotonic() < deadline
                time.sleep(0.1)
                found = scrape(nsqd)
        assert found["nsqd_connections"] == 1
        assert found["nsqd_healthy"] == 1
        assert found["nsqd_topic_messages_total"] == found["nsqd_channel_messages_total"] == 1
        assert found["nsqd_topic_message_bytes_total"] == 12
        assert found["nsqd_disk_appends_total"] == found["nsqd_disk_write_seconds_count"] == 1
        assert found["nsqd_disk_append_bytes_total"] == 12 + 34
        assert found["nsqd_disk_sync_seconds_count"] >= 1
        assert found["nsqd_disk_checkpoint_seconds_count"] >= 1
        assert found["process_resident_memory_bytes"] > 1_000_000
        assert nsqd.stop() == 0
