"""What nsqd makes of its data path, beside the original's disk queues."""

from __future__ import annotations

import pytest

from nsqtx.storage.metadata import FILE_NAME, MetadataError
from tests.support.disk import SimulatedDisk
from tests.support.diskqueue import start


@pytest.mark.parametrize("left", [b"", bytes(50), b'{"topics":[{"na'])
def test_a_power_cut_may_take_nsqd_dat(left: bytes) -> None:
    """It is written without a sync; our logs say all that is in it, so it is not needed."""
    disk = SimulatedDisk()
    started = start(disk)
    topic = started.broker.get_topic("t")
    topic.get_channel("c")
    topic.publish([b"m"])
    disk.restart()
    disk.write(FILE_NAME, left)
    started = start(disk, seed=50)
    assert started.bodies("t", "c") == [b"m"]
    assert "failed to parse metadata" in started.warnings[0]
    assert disk.read(f"{FILE_NAME}.damaged") == left


def test_nsqd_dat_may_be_all_that_a_power_cut_leaves() -> None:
    """Before anything else was synced nothing was promised either: nsqd starts, and is empty."""
    disk = SimulatedDisk()
    start(disk).broker.get_topic("t")
    disk.write(FILE_NAME, b"")
    disk.power_cut()
    started = start(disk, seed=50)
    assert started.broker.topics == {}
    assert "failed to parse metadata" in started.warnings[0]


def test_nothing_else_knows() -> None:
    """Without logs of ours it is all there is to know, and its damage ends the start."""
    disk = SimulatedDisk()
    disk.write(FILE_NAME, b"")
    with pytest.raises(MetadataError):
        start(disk)
