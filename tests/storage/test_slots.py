"""The files of a topic's checkpoints."""

from __future__ import annotations

from random import Random

import pytest

from nsqtx.interfaces import Pending
from nsqtx.storage.directory import TopicDirectory
from nsqtx.storage.slots import Slots
from tests.support.disk import Killed, SimulatedDisk
from tests.support.storage import make_state, make_store


def _slots(disk: SimulatedDisk) -> Slots:
    slots = Slots(TopicDirectory(make_store(disk).volume, "nsqd.topics/t"))
    slots.open()
    return slots


def test_room_is_made_in_advance() -> None:
    """With the first checkpoint three slots of 4 KiB are made, later ones need no more room."""
    disk = SimulatedDisk()
    slots = _slots(disk)
    slots.save(make_state(1))
    assert disk.used() == 3 * 4096
    disk.capacity = disk.used()
    for number in range(10):
        slots.save(make_state(number, "c", pending=[Pending(1, 1)] * 300))
    assert slots.load() == make_state(9, "c", pending=[Pending(1, 1)] * 300)


def test_slots_grow_and_never_shrink() -> None:
    """A slot that was large once stays so, for the next large checkpoint on a full disk."""
    disk = SimulatedDisk()
    slots = _slots(disk)
    large = make_state(1, "c", pending=[Pending(1, 1)] * 1000)
    for _ in range(3):
        slots.save(large)
    size = disk.used()
    for _ in range(3):
        slots.save(make_state(2))
    assert disk.used() == size
    disk.capacity = size
    slots.save(large)
    assert slots.load() == large


@pytest.mark.parametrize("tear", [0.0, 0.01, 0.5, 1.0])
def test_a_kill_leaves_this_one_or_the_one_before(tear: float) -> None:
    """Wherever a save is interrupted, the newest whole checkpoint is the last or the new one."""
    for left in range(8):
        disk = SimulatedDisk()
        slots = _slots(disk)
        for number in range(left % 4 + 1):
            slots.save(make_state(number, "c"))
        disk.operations_left = 0
        disk.tear = tear
        with pytest.raises(Killed):
            slots.save(make_state(100, "new"))
        disk.restart()
        loaded = _slots(disk).load()
        assert loaded in (make_state(left % 4, "c"), make_state(100, "new"))


@pytest.mark.parametrize("seed", range(20))
def test_a_power_cut_leaves_what_was_synced(seed: int) -> None:
    """After a power cut, a checkpoint at least as new as the last one synced is there."""
    random = Random(seed)
    disk = SimulatedDisk()
    slots = _slots(disk)
    synced = 0
    for number in range(1, 12):
        slots.save(make_state(number, "c", pending=[Pending(1, number)] * 500))
        if random.random() < 0.4:
            path = slots.begin_sync()
            assert path is not None
            for later in range(random.randint(0, 3)):
                slots.save(make_state(number, f"during{later}"))
            file = disk.open(path)
            file.datasync()
            disk.sync_directory("nsqd.topics/t")
            disk.sync_directory("nsqd.topics")
            disk.sync_directory("")
            slots.end_sync(good=True)
            synced = number
    disk.power_cut(random)
    loaded = _slots(disk).load() if synced else None
    assert not synced or (loaded is not None and loaded.end >= synced)


def test_nothing_new_is_not_synced() -> None:
    """A sync takes a checkpoint along only if it is newer than the last sync."""
    slots = _slots(SimulatedDisk())
    assert slots.begin_sync() is None
    slots.save(make_state(1))
    assert slots.begin_sync() == "nsqd.topics/t/checkpoint.a"
    slots.end_sync(good=True)
    assert slots.begin_sync() is None
