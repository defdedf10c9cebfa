"""The log of a topic, on a disk that does as it is told."""

from __future__ import annotations

import errno

import pytest
from zope.interface.verify import verifyObject

from nsqtx.interfaces import Batch, IStore, ITopicLog, Pending, StorageError
from nsqtx.storage.batches import HEADER_SIZE
from tests.support.disk import SimulatedDisk
from tests.support.storage import (
    START,
    Now,
    Threads,
    append,
    everything,
    make_state,
    make_store,
    read_all,
)

MIB = 1024 * 1024


def segments(disk: SimulatedDisk, topic: str = "t") -> list[str]:
    """The segment files of a topic."""
    return sorted(name for name in disk.listdir(f"nsqd.topics/{topic}") if name.endswith(".log"))


def test_interfaces() -> None:
    """Store and log are what they say."""
    store = make_store(SimulatedDisk())
    assert verifyObject(IStore, store)
    assert verifyObject(ITopicLog, store.open("t"))


@pytest.mark.parametrize("durability", ["memory", "os", "fsync"])
def test_what_is_appended_is_read(durability: str) -> None:
    """Records come back in order, by reading on, by position and by replay."""
    log = make_store(SimulatedDisk(), durability).open("t")
    batches = [append(log, b"a", b"b"), append(log, b"c"), append(log, *[b"d"] * 9)]
    records = [record for batch in batches for record in batch.records]
    assert read_all(log) == records
    assert log.fetch(range(batches[0].first, log.end)) == records
    assert everything(log) == batches


def test_positions_count_from_the_time() -> None:
    """The first record of a topic is at the time it was made, in microseconds."""
    log = make_store(SimulatedDisk()).open("t")
    assert log.end == int(START * 1e6)
    append(log, b"a", b"b")
    assert log.end == int(START * 1e6) + 2


def test_one_write_per_batch() -> None:
    """An append is one write of header and records."""
    disk = SimulatedDisk()
    log = make_store(disk).open("t")
    append(log, b"a")
    before = disk.operations
    append(log, *[b"x"] * 200)
    assert disk.operations == before + 1
    assert disk.trace[-1][0] == "write_at"


@pytest.mark.parametrize("durability", ["memory", "os"])
def test_deferred_batches(durability: str) -> None:
    """What is deferred is not read on, but fetched and replayed with its due time."""
    log = make_store(SimulatedDisk(), durability).open("t")
    one = append(log, b"a")
    late = append(log, b"b", b"c", due=12345)
    two = append(log, b"d")
    assert read_all(log) == one.records + two.records
    assert log.fetch([late.first, late.first + 1]) == [*late.records]
    assert everything(log) == [one, late, two]
    assert everything(log)[1].due == 12345


@pytest.mark.parametrize("durability", ["memory", "os"])
def test_reading_a_part(durability: str) -> None:
    """Reading and replaying start and stop in the middle of a batch."""
    log = make_store(SimulatedDisk(), durability).open("t")
    one = append(log, b"a", b"b", b"c", b"d")
    two = append(log, b"e", b"f")
    first = one.first
    assert log.read(first + 1, first + 3, 4096) == (one.records[1:3], first + 3)
    assert log.read(first + 3, first + 5, 4096) == (
        [one.records[3], two.records[0]],
        first + 5,
    )
    assert log.read(first + 5, first + 99, 4096) == ([two.records[1]], first + 6)
    assert log.read(first + 6, first + 99, 4096) == ([], first + 6)
    assert everything(log, first + 3) == [Batch(first + 3, [one.records[3]], 0), two]


def test_reading_in_pieces() -> None:
    """A read ends after about the size asked for, and another one goes on from there."""
    log = make_store(SimulatedDisk()).open("t")
    batches = [append(log, b"x" * 1000) for _ in range(100)]
    records, position = log.read(batches[0].first, log.end, 10_000)
    assert 8 <= len(records) <= 10
    assert position == batches[0].first + len(records)
    assert read_all(log, position) == [batch.records[0] for batch in batches[len(records) :]]


def test_a_batch_larger_than_a_piece() -> None:
    """At least one batch is read, however large it is."""
    log = make_store(SimulatedDisk()).open("t")
    append(log, b"small")
    large = append(log, *[b"x" * 1000] * 300)
    records, position = log.read(large.first, log.end, 4096)
    assert (records, position) == (large.records, log.end)
    assert log.fetch([large.first + 299]) == [large.records[299]]


def test_many_readers() -> None:
    """Readers at different places do not disturb each other, even more than are remembered."""
    log = make_store(SimulatedDisk(), segment_size=10_000).open("t")
    batches = [append(log, b"x" * 90) for _ in range(300)]
    end = log.end
    places = [batch.first for batch in batches]
    seen: list[list[bytes]] = [[] for _ in places]
    while any(place < end for place in places):
        for number, place in enumerate(places):
            some, places[number] = log.read(place, end, 4096)
            seen[number] += some
    records = [batch.records[0] for batch in batches]
    assert [len(some) for some in seen] == list(range(300, 0, -1))
    assert seen[0] == records
    assert seen[150] == records[150:]


@pytest.mark.parametrize("durability", ["memory", "os"])
def test_fetching_here_and_there(durability: str) -> None:
    """Single records are found wherever they are; what does not exist is None."""
    log = make_store(SimulatedDisk(), durability, segment_size=50_000, mem_queue_size=900).open("t")
    batches = [append(log, *[b"x" * 80] * 3) for _ in range(1000)]
    first = batches[0].first
    positions = [first - 5, first, first + 1, first + 4, first + 1000, first + 2999, first + 3000]
    records = [record for batch in batches for record in batch.records]
    wanted = [None, records[0], records[1], records[4], records[1000], records[2999], None]
    assert log.fetch(positions) == wanted
    assert log.fetch(range(first, log.end, 7)) == records[::7]
    assert log.fetch([]) == []


def test_segments_roll() -> None:
    """A segment ends before it would grow beyond its size; a large batch has one of its own."""
    disk = SimulatedDisk()
    log = make_store(disk, segment_size=1000).open("t")
    batches = [append(log, b"x" * 300) for _ in range(5)]
    batches.append(append(log, b"y" * 5000))
    batches.append(append(log, b"z"))
    sizes = [len(disk.read(f"nsqd.topics/t/{name}")) for name in segments(disk)]
    assert sizes == [740, 740, 370, HEADER_SIZE + 5034, HEADER_SIZE + 35]
    assert everything(log) == batches
    assert len([n for n in disk.listdir("nsqd.topics/t") if n.endswith(".idx")]) == 4


def test_release_deletes_whole_segments() -> None:
    """Only segments that lie wholly before the floor go, with their indexes."""
    disk = SimulatedDisk()
    log = make_store(disk, segment_size=1000).open("t")
    batches = [append(log, b"x" * 300) for _ in range(7)]
    assert len(segments(disk)) == 4
    log.release(batches[3].first)
    assert len(segments(disk)) == 3
    log.release(batches[4].first)
    assert len(segments(disk)) == 2
    assert everything(log) == batches[4:]
    assert read_all(log) == [batch.records[0] for batch in batches[4:]]
    assert log.fetch([batches[0].first]) == [None]
    log.release(log.end)
    assert len(disk.listdir("nsqd.topics/t")) == 1, "the active one stays while it is small"
    assert read_all(log, batches[6].first) == batches[6].records


def test_reading_on_in_a_released_segment() -> None:
    """A reader whose segment was released meanwhile goes on with the next; that is no damage."""
    reports: list[str] = []
    log = make_store(SimulatedDisk(), reports=reports, segment_size=20_000).open("t")
    batches = [append(log, b"x" * 1000) for _ in range(30)]
    _, position = log.read(batches[0].first, log.end, 4096)
    log.release(batches[20].first)
    assert read_all(log, position) == [
        batch.records[0] for batch in batches if batch.first >= everything(log)[0].first
    ]
    assert reports == []


def test_a_large_active_segment_goes_too() -> None:
    """When all is read, an active segment beyond 1 MiB is given back to the disk."""
    disk = SimulatedDisk()
    log = make_store(disk).open("t")
    append(log, b"x" * MIB)
    log.release(log.end)
    assert segments(disk) == []
    assert disk.used() == 0
    after = append(log, b"y")
    assert everything(log) == [after]


def test_positions_go_on_when_all_segments_are_gone() -> None:
    """With nothing left on disk, the checkpoint knows which positions were used."""
    disk = SimulatedDisk()
    store = make_store(disk)
    log = store.open("t")
    append(log, b"x" * MIB)
    end = log.end
    log.release(end)
    log.save(make_state(end, clean=True))
    log.close()
    store.close()
    assert make_store(disk).open("t").end == end


def test_checkpoints() -> None:
    """The newest checkpoint is loaded, in the same run and in the next."""
    disk = SimulatedDisk()
    log = make_store(disk).open("t")
    assert log.load() is None
    for number in range(7):
        append(log, b"x")
        state = make_state(log.end, "c", pending=[Pending(log.end - 1, number, number * 7)])
        log.save(state)
        assert log.load() == state
    disk.restart()
    assert make_store(disk).open("t").load() == state


def test_a_clean_stop() -> None:
    """After an orderly stop the log goes on in the same segment at the next position."""
    disk = SimulatedDisk()
    store = make_store(disk)
    log = store.open("t")
    before = append(log, b"a")
    log.save(make_state(log.end, clean=True))
    log.close()
    store.close()
    assert disk.open_files == 0
    log = make_store(disk, seed=2).open("t")
    assert log.end == before.first + 1
    after = append(log, b"b")
    assert len(segments(disk)) == 1
    assert everything(log) == [before, after]
    disk.restart()
    assert everything(make_store(disk, seed=3).open("t")) == [before, after]


@pytest.mark.parametrize("change", [b"", b"more"])
def test_a_segment_that_was_changed_is_not_continued(change: bytes) -> None:
    """If somebody cut a segment between two runs, or added to it, another one is begun."""
    disk = SimulatedDisk()
    store = make_store(disk)
    log = store.open("t")
    before = append(log, b"a")
    log.save(make_state(log.end, clean=True))
    log.close()
    store.close()
    path = f"nsqd.topics/t/{segments(disk)[0]}"
    disk.write(path, disk.read(path) + change if change else disk.read(path)[:-1])
    log = make_store(disk, seed=2).open("t")
    after = append(log, b"b")
    assert len(segments(disk)) == 2
    assert everything(log) == ([before, after] if change else [after])


@pytest.mark.parametrize("clock", [100.0, -100.0])
def test_an_unclean_stop(clock: float) -> None:
    """After a crash positions go on beyond any that can have been used, in a new segment.

    That is the present time, or a large step further if the clock is behind.
    """
    disk = SimulatedDisk()
    now = Now()
    log = make_store(disk, now=now).open("t")
    before = append(log, b"a")
    log.save(make_state(log.end, clean=True))
    disk.restart()
    now.seconds += clock
    log = make_store(disk, now=now, seed=2).open("t")
    if clock > 0:
        assert log.end == int((START + clock) * 1e6)
    else:
        assert log.end == before.first + 1 + (1 << 32)
    after = append(log, b"b")
    assert len(segments(disk)) == 2
    assert everything(log) == [before, after]
    assert read_all(log, before.first + 1) == after.records


def test_a_clean_checkpoint_of_an_earlier_run_is_not_believed() -> None:
    """A crash after a clean start is a crash, although the newest checkpoint says clean."""
    disk = SimulatedDisk()
    store = make_store(disk)
    log = store.open("t")
    append(log, b"a")
    log.save(make_state(log.end, clean=True))
    log.close()
    store.close()
    make_store(disk).open("t")
    disk.restart()
    now = Now(START + 5)
    assert make_store(disk, now=now).open("t").end == int(now.seconds * 1e6)


def test_positions_are_limited() -> None:
    """Where positions no longer fit into message ids, publishing is refused."""
    now = Now((1 << 54) / 1e6)
    log = make_store(SimulatedDisk(), now=now).open("t")
    with pytest.raises(StorageError, match="positions are used up"):
        append(log, b"x")


def test_a_closed_log_takes_nothing() -> None:
    """After close every write is refused, and closing again does nothing."""
    log = make_store(SimulatedDisk()).open("t")
    log.close()
    log.close()
    log.tick()
    with pytest.raises(StorageError, match="exiting"):
        append(log, b"x")
    with pytest.raises(StorageError, match="exiting"):
        log.save(make_state(1))
    with pytest.raises(StorageError, match="exiting"):
        log.commit(print)


def test_idle_files_are_closed() -> None:
    """A log that nobody uses holds no file open, and opens it again when needed."""
    disk = SimulatedDisk()
    now = Now()
    threads = Threads()
    store = make_store(disk, now=now, threads=threads, segment_size=100)
    log = store.open("t")
    batches = [append(log, b"x" * 50) for _ in range(3)]
    wanted = True
    for _ in range(4):
        now.seconds += 31
        wanted = wanted and log.tick()
        threads.run()
        store.tick()
    assert not wanted
    assert disk.open_files == 0
    batches.append(append(log, b"x"))
    assert everything(log) == batches


def test_few_files_are_open_at_once() -> None:
    """Thousands of topics in use hold a limited number of files open."""
    disk = SimulatedDisk()
    store = make_store(disk)
    logs = [store.open(f"t{number}") for number in range(600)]
    for _ in range(2):
        for log in logs:
            append(log, b"x")
    assert disk.open_files == 512
    assert [len(read_all(log)) for log in logs] == [2] * 600
    assert disk.open_files == 512


def test_no_file_is_made_before_something_is_written() -> None:
    """A topic can be made while the disk refuses everything."""
    disk = SimulatedDisk()
    store = make_store(disk)
    disk.failures["open"] = errno.EIO
    log = store.open("t")
    assert (log.load(), everything(log), read_all(log)) == (None, [], [])
    log.release(log.end)
    log.tick()
    assert store.topics() == []


def test_read_errors_are_not_loss() -> None:
    """A record that cannot be read just now is not passed over."""
    disk = SimulatedDisk()
    store = make_store(disk)
    log = store.open("t")
    batch = append(log, b"a")
    disk.failures["read_at"] = errno.EIO
    for read in (read_all, everything, lambda log: log.fetch([batch.first])):
        with pytest.raises(
            StorageError, match=r"read /data/nsqd.topics/t/.*\.log: input/output error"
        ):
            read(log)
    assert store.health is None
    disk.failures.clear()
    assert read_all(log) == batch.records


def test_counters() -> None:
    """The store counts what its disk did."""
    disk = SimulatedDisk()
    threads = Threads()
    store = make_store(disk, threads=threads, sync_every=2)
    log = store.open("t")
    size = len(b"".join(append(log, b"a", b"b").records + append(log, b"c").records))
    threads.run()
    log.save(make_state(log.end))
    read_all(log)
    counters = store.counters
    assert (counters.append_count, counters.append_bytes) == (2, size)
    assert (counters.sync_times.count, counters.checkpoint_times.count) == (1, 1)
    assert counters.read_bytes == size + 2 * HEADER_SIZE
