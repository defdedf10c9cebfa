"""S3: a disk that is full, or fails: an error for publishers, no loss, and back again."""

from __future__ import annotations

import errno

import pytest

from nsqtx.interfaces import Batch, Pending, StorageError
from nsqtx.storage.batches import HEADER_SIZE
from nsqtx.storage.log import TopicLog
from tests.support.disk import SimulatedDisk
from tests.support.storage import (
    Now,
    Threads,
    append,
    everything,
    make_records,
    make_state,
    make_store,
    read_all,
)

SIZE = HEADER_SIZE + len(make_records(1, [b"x" * 40])[0])


def _fill(log: TopicLog, body: bytes) -> list[Batch]:
    """Append until the disk is full."""
    batches = []
    while True:
        try:
            batches.append(append(log, body))
        except StorageError:
            return batches


@pytest.mark.parametrize("room", range(SIZE + 1))
def test_s3_no_room_at_every_byte_of_an_append(room: int) -> None:
    """Wherever a write runs out of room, all of it is refused and nothing else is touched."""
    disk = SimulatedDisk()
    store = make_store(disk)
    log = store.open("t")
    batches = [append(log, b"a"), append(log, b"b", b"c")]
    used, end = disk.used(), log.end
    disk.capacity = used + room
    if room < SIZE:
        with pytest.raises(StorageError) as caught:
            append(log, b"x" * 40)
        path = next(n for n in disk.listdir("nsqd.topics/t") if n.endswith(".log"))
        assert str(caught.value) == f"write /data/nsqd.topics/t/{path}: no space left on device"
        assert store.health == str(caught.value)
        assert (disk.used(), log.end) == (used, end)
    else:
        batches.append(append(log, b"x" * 40))
    assert everything(log) == batches
    disk.capacity = None
    batches.append(append(log, b"again"))
    assert store.health is None
    assert everything(log) == batches
    disk.restart()
    assert everything(make_store(disk, seed=2).open("t")) == batches


@pytest.mark.parametrize("tidy", [True, False])
def test_a_write_that_leaves_something_behind(tidy: bool) -> None:
    """Also if what was written cannot be cut off again, the next append is in the right place."""
    disk = SimulatedDisk()
    log = make_store(disk).open("t")
    batches = [append(log, b"a")]
    disk.capacity = disk.used() + 100
    if not tidy:
        disk.failures["truncate"] = errno.EIO
    with pytest.raises(StorageError):
        append(log, b"x" * 40, b"y" * 40)
    batches.append(append(log, b"b"))
    disk.restart()
    assert everything(make_store(disk, seed=2).open("t")) == batches


def test_a_failing_disk() -> None:
    """An I/O error is an error for the publisher, and health shows it until a write succeeds."""
    disk = SimulatedDisk()
    store = make_store(disk)
    log = store.open("t")
    batches = [append(log, b"a")]
    disk.failures["write_at"] = errno.EIO
    with pytest.raises(StorageError, match="input/output error"):
        append(log, b"b")
    with pytest.raises(StorageError, match="input/output error"):
        log.save(make_state(log.end))
    assert read_all(log) == batches[0].records
    assert store.health is not None
    disk.failures.clear()
    log.save(make_state(log.end))
    assert store.health is None


def test_s3_consumers_make_room() -> None:
    """On a full disk, releasing what was read gives room, and publishing works again."""
    disk = SimulatedDisk(capacity=64 * 1024)
    store = make_store(disk, segment_size=10_000)
    log = store.open("t")
    log.save(make_state(log.end, "c"))
    batches = _fill(log, b"x" * 1000)
    assert read_all(log) == [batch.records[0] for batch in batches]
    # In place: a checkpoint of the usual size needs no room.
    disk.capacity = disk.used()
    log.save(make_state(log.end, "c", pending=[Pending(batches[0].first, 1)] * 200))
    disk.capacity = 64 * 1024
    log.release(log.end)
    log.save(make_state(log.end, "c"))
    after = append(log, b"y" * 1000)
    assert everything(log)[-1] == after
    assert store.health is None


def test_a_small_segment_is_given_back_when_the_disk_is_full() -> None:
    """With a single segment and a full disk, reading it all is enough to go on."""
    disk = SimulatedDisk(capacity=20_000)
    log = make_store(disk).open("t")
    log.save(make_state(log.end, "c"))
    _fill(log, b"x" * 500)
    log.release(log.end)
    append(log, b"x" * 5000)


def test_a_start_on_a_full_disk() -> None:
    """A full disk is no obstacle for a start, for reading, or for checkpoints."""
    disk = SimulatedDisk()
    log = make_store(disk, segment_size=1000).open("t")
    batches = [append(log, b"x" * 500) for _ in range(4)]
    log.save(make_state(log.end, "c"))
    disk.restart()
    disk.capacity = disk.used()
    log = make_store(disk, seed=2).open("t")
    assert everything(log) == batches
    log.save(make_state(log.end, "c"))
    with pytest.raises(StorageError):
        append(log, b"x")
    log.release(batches[-1].first)
    append(log, b"x")


def test_a_checkpoint_that_does_not_fit() -> None:
    """A checkpoint that finds no room leaves the last one as it was."""
    disk = SimulatedDisk()
    log = make_store(disk).open("t")
    good = make_state(log.end, "c")
    log.save(good)
    log.save(good)
    disk.capacity = disk.used() + 1000
    for _ in range(3):
        with pytest.raises(StorageError, match="no space left"):
            log.save(make_state(log.end, "c", pending=[Pending(1, 1)] * 1000))
        assert log.load() == good
    disk.restart()
    assert make_store(disk, seed=2).open("t").load() == good


def test_the_data_path_is_deleted() -> None:
    """When the data path goes, publishing fails until it is back; it is never made by us."""
    disk = SimulatedDisk()
    now = Now()
    store = make_store(disk, now=now)
    log = store.open("t")
    append(log, b"a")
    now.seconds += 1
    disk.remove_everything()
    with pytest.raises(StorageError) as caught:
        append(log, b"b")
    assert str(caught.value).startswith("open /data/nsqd.topics/t/")
    assert str(caught.value).endswith(".log: no such file or directory")
    with pytest.raises(StorageError, match="no such file or directory"):
        log.save(make_state(log.end))
    assert disk.root is None
    other = store.open("u")
    with pytest.raises(
        StorageError, match=r"open /data/nsqd.topics/u/.*: no such file or directory"
    ) as caught:
        append(other, b"c")
    assert store.health == str(caught.value)
    disk.make_again()
    batch = append(log, b"d")
    log.save(make_state(log.end))
    assert store.health is None
    disk.restart()
    assert everything(make_store(disk, seed=2).open("t")) == [batch]


def test_a_deleted_file_is_noticed_soon() -> None:
    """A segment deleted under us is replaced within 50 ms; what was in it is still read."""
    disk = SimulatedDisk()
    now = Now()
    reports: list[str] = []
    threads = Threads()
    log = make_store(disk, now=now, threads=threads, reports=reports).open("t")
    batches = [append(log, b"a")]
    name = next(n for n in disk.listdir("nsqd.topics/t") if n.endswith(".log"))
    disk.unlink(f"nsqd.topics/t/{name}")
    now.seconds += 0.06
    batches.append(append(log, b"b"))
    assert reports == [f"nsqd.topics/t/{name}: deleted by somebody"]
    assert everything(log) == batches
    for _ in range(3):
        now.seconds += 40
        log.tick()
        threads.run()
    assert read_all(log) == [batch.records[0] for batch in batches]
    log.release(batches[1].first)
    assert disk.open_files <= 1, "and closed when it is not needed"
    disk.restart()
    assert everything(make_store(disk, seed=2).open("t")) == batches[1:]


def test_probe() -> None:
    """An unhealthy store can find out by itself that the disk works again."""
    disk = SimulatedDisk()
    store = make_store(disk)
    store.probe()
    assert "open" not in [name for name, _ in disk.trace]
    disk.failures["write_at"] = errno.ENOSPC
    with pytest.raises(StorageError):
        append(store.open("t"), b"x")
    store.probe()
    assert store.health == "write /data/nsqd.topics/probe.mark: no space left on device"
    disk.failures.clear()
    store.probe()
    assert store.health is None
    assert "probe.mark" not in disk.listdir("nsqd.topics")


def test_a_failed_sync_shows_in_health() -> None:
    """At durability ``os`` nobody waits for a sync, so its failure is reported and shown."""
    disk = SimulatedDisk()
    threads = Threads()
    reports: list[str] = []
    store = make_store(disk, threads=threads, reports=reports, sync_every=1)
    log = store.open("t")
    disk.failures["datasync"] = errno.EIO
    batches = [append(log, b"x")]
    threads.run()
    assert store.health is not None
    assert store.health.startswith("sync /data/nsqd.topics/t/")
    assert reports == [store.health]
    assert everything(log) == batches, "what was answered OK is kept"
    disk.failures.clear()
    batches.append(append(log, b"y"))
    assert store.health is None
    assert everything(log) == batches


def test_a_segment_begun_for_a_failed_write_is_no_trouble() -> None:
    """It is empty and begins where the next one does; what follows is found all the same."""
    disk = SimulatedDisk()
    store = make_store(disk, segment_size=200)
    log = store.open("t")
    batches = [append(log, b"x" * 60)]
    disk.capacity = disk.used() + 10
    with pytest.raises(StorageError):
        append(log, b"x")
    disk.capacity = None
    log.save(make_state(log.end, clean=True))
    store.close()
    log = make_store(disk, segment_size=200, seed=2).open("t")
    batches.append(append(log, b"x", b"x" * 96))
    assert everything(log) == batches
    disk.restart()  # killed before the file of the empty one was deleted
    log = make_store(disk, segment_size=200, seed=3).open("t")
    assert everything(log) == batches
    assert read_all(log) == [record for batch in batches for record in batch.records]
