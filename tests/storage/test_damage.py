"""A damaged data path: it always opens, and loses only what was hit."""

from __future__ import annotations

import errno

import pytest

from nsqtx.interfaces import Batch, Pending, StorageError
from nsqtx.storage.batches import HEADER_SIZE, pack_batch
from nsqtx.storage.store import Store
from tests.support.disk import SimulatedDisk
from tests.support.storage import Now, append, everything, make_state, make_store, read_all


def _make(segment_size: int, clean: bool) -> tuple[SimulatedDisk, list[Batch]]:
    """A data path with a few batches, after a stop or a kill."""
    disk = SimulatedDisk()
    store = make_store(disk, segment_size=segment_size)
    log = store.open("t")
    batches = [
        append(log, b"a", b"bb"),
        append(log, b"cc", due=99),
        append(log, b"d"),
        append(log, b"e", b"f", b"g"),
    ]
    log.save(make_state(log.end, "c"))
    log.save(make_state(log.end, "c", clean=clean, pending=[Pending(5, 1)]))
    if clean:
        log.close()
        store.close()
    return disk, batches


def _check(disk: SimulatedDisk, batches: list[Batch], lost: list[Batch]) -> None:
    """Open, and find everything but what was lost; then append, reopen, and find it again."""
    reports: list[str] = []
    now = Now(1_700_000_100.0)
    log = make_store(disk, seed=5, now=now, reports=reports).open("t")
    found = everything(log)
    assert found == [batch for batch in batches if batch not in lost]
    ordinary = [record for batch in found if not batch.due for record in batch.records]
    assert read_all(log) == ordinary
    for batch in batches:
        positions = range(batch.first, batch.first + len(batch.records))
        wanted = [None] * len(batch.records) if batch in lost else batch.records
        assert log.fetch(positions) == wanted
    assert log.end >= batches[-1].first + len(batches[-1].records)
    if lost:
        assert reports
    new = append(log, b"new")
    disk.restart()
    again = everything(make_store(disk, seed=6, now=now).open("t"))
    assert again == [*found, new]


def _files(disk: SimulatedDisk, suffix: str) -> list[str]:
    names = sorted(disk.listdir("nsqd.topics/t"))
    return [f"nsqd.topics/t/{name}" for name in names if name.endswith(suffix)]


def _extents(path: str, disk: SimulatedDisk, batches: list[Batch]) -> list[tuple[int, int, Batch]]:
    """Where the batches stand in a segment."""
    data = disk.read(path)
    extents = []
    for batch in batches:
        at = data.find(b"".join(batch.records))
        if at >= 0:
            extents.append((at - HEADER_SIZE, at + sum(map(len, batch.records)), batch))
    return extents


@pytest.mark.parametrize("clean", [False, True])
@pytest.mark.parametrize("segment_size", [200, 10_000])
def test_every_byte_of_the_log_flipped(segment_size: int, clean: bool) -> None:
    """Whatever byte is wrong, exactly the batch it belongs to is lost."""
    disk, batches = _make(segment_size, clean)
    number = 0
    for path in _files(disk, ".log"):
        for start, stop, batch in _extents(path, disk, batches):
            number += 1
            for at in range(start, stop):
                disk, _ = _make(segment_size, clean)
                data = bytearray(disk.read(path))
                data[at] ^= 0xFF
                disk.write(path, bytes(data))
                _check(disk, batches, [batch])
    assert number == len(batches)


@pytest.mark.parametrize("clean", [False, True])
@pytest.mark.parametrize("segment_size", [200, 10_000])
def test_the_log_truncated_at_every_byte(segment_size: int, clean: bool) -> None:
    """However much of a file is missing, what is there in full is found."""
    disk, batches = _make(segment_size, clean)
    for path in _files(disk, ".log"):
        extents = _extents(path, disk, batches)
        for size in range(len(disk.read(path))):
            disk, _ = _make(segment_size, clean)
            disk.write(path, disk.read(path)[:size])
            lost = [batch for _, stop, batch in extents if stop > size]
            reports: list[str] = []
            log = make_store(disk, seed=5, now=Now(1_700_000_100.0), reports=reports).open("t")
            found = everything(log)
            assert found == [batch for batch in batches if batch not in lost]
            found.append(append(log, b"new"))
            assert everything(log) == found
            disk.restart()
            assert everything(make_store(disk, seed=6).open("t")) == found


@pytest.mark.parametrize("suffix", [".idx", "checkpoint.a", "checkpoint.b", "checkpoint.c"])
def test_every_byte_of_the_other_files_flipped(suffix: str) -> None:
    """A damaged index or checkpoint costs no message."""
    disk, batches = _make(200, clean=True)
    for path in _files(disk, suffix):
        for at in range(min(300, len(disk.read(path)))):
            disk, _ = _make(200, clean=True)
            data = bytearray(disk.read(path))
            data[at] ^= 0xFF
            disk.write(path, bytes(data))
            _check(disk, batches, [])
            assert make_store(disk, seed=7).open("t").load() is not None


def test_a_damaged_checkpoint_gives_the_one_before() -> None:
    """When the newest checkpoint is damaged, the one before it counts."""
    disk, _ = _make(10_000, clean=False)
    end = make_store(disk, seed=5).open("t").load().end  # type: ignore[union-attr]
    path = _files(disk, "checkpoint.b")[0]
    disk.write(path, disk.read(path)[:30])
    assert make_store(disk, seed=5).open("t").load() == make_state(end, "c")


@pytest.mark.parametrize("suffix", [".idx", "checkpoint.a", "checkpoint.b", "checkpoint.c"])
def test_missing_files(suffix: str) -> None:
    """Without its indexes and checkpoints a log is still read."""
    disk, batches = _make(200, clean=True)
    for path in _files(disk, suffix):
        disk.unlink(path)
    _check(disk, batches, [])


def test_a_batch_in_a_message_is_no_batch() -> None:
    """A message that holds a copy of a batch does not become one when the log is damaged."""
    disk = SimulatedDisk()
    log = make_store(disk).open("t")
    append(log, b"victim")
    path = _files(disk, ".log")[0]
    forged = pack_batch(b"\x11\x22\x33\x44", log.end + 1, 1, b"forged", 0)
    bad = append(log, forged + disk.read(path)[4:])
    good = append(log, b"good")
    data = bytearray(disk.read(path))
    data[data.find(b"".join(bad.records)) - HEADER_SIZE] ^= 1
    disk.write(path, bytes(data))
    assert everything(log)[1:] == [good]


def test_damage_is_reported_once() -> None:
    """However many readers come by, a damaged batch is counted and reported once."""
    disk = SimulatedDisk()
    reports: list[str] = []
    store = make_store(disk, reports=reports)
    log = store.open("t")
    batch = append(log, b"x" * 50)
    append(log, b"y")
    path = _files(disk, ".log")[0]
    data = bytearray(disk.read(path))
    data[80] ^= 1
    disk.write(path, bytes(data))
    for _ in range(3):
        read_all(log)
        log.fetch([batch.first])
    assert reports == [f"{path}: messages {batch.first} to {batch.first} are damaged"]
    assert store.counters.damage_count == 1


def test_large_damage() -> None:
    """A stretch of garbage larger than a read does not stop anybody."""
    disk = SimulatedDisk()
    log = make_store(disk).open("t")
    one = append(log, b"a")
    append(log, b"x" * 3_000_000)
    two = append(log, b"b")
    path = _files(disk, ".log")[0]
    data = bytearray(disk.read(path))
    start = HEADER_SIZE + len(one.records[0])
    data[start : start + 2_500_000] = bytes(2_500_000)
    disk.write(path, bytes(data))
    assert read_all(log) == one.records + two.records
    disk.restart()
    assert everything(make_store(disk, seed=2).open("t")) == [one, two]


def test_a_segment_deleted_by_somebody() -> None:
    """A missing segment is passed over and reported; the rest is read."""
    disk = SimulatedDisk()
    reports: list[str] = []
    store = make_store(disk, segment_size=200)
    log = store.open("t")
    batches = [append(log, b"x" * 100) for _ in range(4)]
    disk.restart()
    log = make_store(disk, seed=2, reports=reports).open("t")
    path = _files(disk, ".log")[1]
    disk.unlink(path)
    assert read_all(log) == [batches[n].records[0] for n in (0, 2, 3)]
    first = batches[1].first
    assert reports == [f"{path}: deleted by somebody, messages {first} to {first} are lost"]
    assert everything(log) == [batches[n] for n in (0, 2, 3)]


def test_an_unreadable_disk_stops_a_start() -> None:
    """What cannot be read may come back, so the start fails instead of forgetting it."""
    disk, _ = _make(200, clean=False)
    disk.failures["read_at"] = errno.EIO
    with pytest.raises(Exception, match="input/output error"):
        make_store(disk, seed=2).open("t")


def test_a_segment_is_gone() -> None:
    """When its index is still there, what was in it is reported, once; the rest is found."""
    disk, batches = _make(200, clean=True)
    indexes = _files(disk, ".idx")
    gone = indexes[0].removesuffix(".idx") + ".log"
    lost = [batch for _, _, batch in _extents(gone, disk, batches)]
    assert lost
    disk.unlink(gone)
    reports: list[str] = []
    store = make_store(disk, seed=5, reports=reports)
    log = store.open("t")
    assert everything(log) == [batch for batch in batches if batch not in lost]
    first, last = lost[0].first, lost[-1].first + len(lost[-1].records) - 1
    assert reports == [f"{gone}: deleted by somebody, messages {first} to {last} are lost"]
    log.tick()
    assert indexes[0] not in _files(disk, ".idx")


def test_an_empty_segment_is_gone() -> None:
    """It was begun for a write that failed, so nothing is lost with it."""
    disk = SimulatedDisk()
    store = make_store(disk)
    log = store.open("t")
    disk.failures["write_at .log"] = errno.EIO
    with pytest.raises(StorageError):
        append(log, b"x")
    disk.failures.clear()
    log.close()
    store.close()
    (gone,), (index,) = _files(disk, ".log"), _files(disk, ".idx")
    disk.unlink(gone)
    reports: list[str] = []
    log = make_store(disk, seed=5, reports=reports).open("t")
    assert reports == []
    log.tick()
    assert index not in _files(disk, ".idx")


def test_a_damaged_checkpoint_is_reported() -> None:
    """An older one counts; a slot that was only made ready is none."""
    disk, _ = _make(10_000, clean=True)
    reports: list[str] = []
    make_store(disk, seed=5, reports=reports).open("t")
    assert reports == []
    disk, _ = _make(10_000, clean=True)
    path = _files(disk, "checkpoint.b")[0]
    disk.write(path, b"nonsense")
    make_store(disk, seed=5, reports=reports).open("t")
    assert reports == [f"{path}: no good checkpoint, an older one counts"]


def test_a_segment_that_looks_empty_for_a_while() -> None:
    """Its disk reads wrong at a start. What is written before it reads right again comes after it.

    Found by simulation 204593 of ``rot``.
    """
    disk = SimulatedDisk()
    now = Now()

    def start(seed: int) -> Store:
        now.seconds += 10.0
        return make_store(disk, now=now, seed=seed)

    kept = [append(start(1).open("t"), b"a")]
    disk.restart()
    kept.append(append(start(2).open("t"), b"b"))
    disk.restart()
    hit = _files(disk, ".log")[1]
    disk.on_read = lambda path, data: bytes(len(data)) if path == hit else data
    store = start(3)
    log = store.open("t")
    assert everything(log) == kept[:1]
    log.save(make_state(log.end, clean=True))
    store.close()
    disk.on_read = lambda _, data: data

    kept.append(append(start(4).open("t"), b"c"))
    disk.restart()
    disk.unlink(hit.replace(".log", ".idx"))
    log = start(5).open("t")
    assert everything(log) == kept
    assert log.fetch([batch.first for batch in kept]) == [batch.records[0] for batch in kept]
