"""Durability ``memory``: written behind."""

from __future__ import annotations

import errno

import pytest

from nsqtx.interfaces import StorageError
from tests.support.disk import SimulatedDisk
from tests.support.storage import (
    Now,
    Threads,
    append,
    everything,
    make_state,
    make_store,
    read_all,
)


def test_nothing_is_written_at_once() -> None:
    """What fits into memory costs the disk nothing."""
    disk = SimulatedDisk()
    log = make_store(disk, "memory", mem_queue_size=10).open("t")
    before = disk.operations
    batch = append(log, *[b"x"] * 10)
    assert disk.operations == before
    assert read_all(log) == batch.records


def test_written_when_full() -> None:
    """Beyond --mem-queue-size all that waits goes to the disk, in one write."""
    disk = SimulatedDisk()
    log = make_store(disk, "memory", mem_queue_size=10).open("t")
    batches = [append(log, b"x") for _ in range(11)]
    assert [name for name, _ in disk.trace].count("write_at") == 1
    batches.append(append(log, b"y"))
    assert everything(log) == batches
    assert read_all(log) == [batch.records[0] for batch in batches]
    disk.restart()
    assert everything(make_store(disk).open("t")) == batches[:11]


def test_large_messages_do_not_wait_in_large_numbers() -> None:
    """No more than some MiB wait, whatever the option says."""
    disk = SimulatedDisk()
    log = make_store(disk, "memory", mem_queue_size=10_000).open("t")
    for _ in range(9):
        append(log, b"x" * 1024 * 1024)
    assert disk.used() > 8 * 1024 * 1024


def test_written_after_a_while() -> None:
    """At the sync timeout what waits is written."""
    disk = SimulatedDisk()
    now = Now()
    threads = Threads()
    log = make_store(disk, "memory", now=now, threads=threads, sync_timeout=2.0).open("t")
    batch = append(log, b"x")
    now.seconds += 1
    log.tick()
    assert disk.used() == 0
    now.seconds += 1
    log.tick()
    disk.restart()
    assert everything(make_store(disk).open("t")) == [batch]


def test_written_at_close() -> None:
    """A clean stop loses nothing."""
    disk = SimulatedDisk()
    store = make_store(disk, "memory")
    log = store.open("t")
    batch = append(log, b"x", b"y")
    log.save(make_state(log.end, clean=True))
    log.close()
    store.close()
    disk.restart()
    log = make_store(disk, "memory").open("t")
    assert (everything(log), log.end) == ([batch], batch.first + 2)


def test_what_is_finished_is_never_written() -> None:
    """Messages that all channels finished while they waited do not touch the disk."""
    disk = SimulatedDisk()
    now = Now()
    log = make_store(disk, "memory", now=now).open("t")
    append(log, b"x")
    second = append(log, b"y")
    log.release(second.first)
    assert everything(log) == [second]
    log.release(log.end)
    now.seconds += 10
    log.tick()
    assert disk.used() == 0


def test_a_failing_disk() -> None:
    """While there is room in memory publishing goes on; then it is refused, and nothing is lost."""
    disk = SimulatedDisk()
    store = make_store(disk, "memory", mem_queue_size=3)
    log = store.open("t")
    disk.failures["open"] = errno.ENOSPC
    batches = [append(log, b"a", b"b", b"c")]
    end = log.end
    with pytest.raises(StorageError, match="no space left on device"):
        append(log, b"d")
    assert log.end == end
    assert store.health is not None
    assert everything(log) == batches
    assert read_all(log) == batches[0].records
    disk.failures.clear()
    batches.append(append(log, b"e"))
    assert everything(log) == batches
    assert store.health is None


def test_single_topics_can_differ() -> None:
    """Durability can be set for one topic."""
    disk = SimulatedDisk()
    store = make_store(disk, "memory", topic_durability={"t": "fsync"})
    assert store.open("t").must_commit
    assert not store.open("u").must_commit
    append(store.open("t"), b"x")
    append(store.open("u"), b"x")
    assert store.topics() == ["t"]
