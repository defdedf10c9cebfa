"""A log is freed at once when its topic is deleted, without the garbage collector."""

from __future__ import annotations

import pytest

from tests.support.disk import SimulatedDisk
from tests.support.garbage import left_to_collector
from tests.support.storage import Answers, Threads, append, make_state, make_store, read_all


@pytest.mark.parametrize("synced", [False, True])
@pytest.mark.parametrize("durability", ["memory", "os", "fsync"])
def test_a_topic(durability: str, synced: bool) -> None:
    """With segments, an index, a checkpoint and a sync, or one that is still under way."""
    disk = SimulatedDisk()
    threads = Threads()
    store = make_store(disk, durability, threads=threads)

    def make_and_delete() -> None:
        log = store.open("t")
        for _ in range(3):
            append(log, b"x" * 100)
        log.save(make_state(log.end))
        answers = Answers()
        log.commit(answers.to("a"))
        if synced:
            threads.run()
        read_all(log)
        store.delete("t")
        threads.run()
        assert len(answers.got) == 1
        disk.trace.clear()

    assert left_to_collector(make_and_delete) == {}


def test_a_store() -> None:
    """A run of nsqd: logs that were loaded, and closed."""
    disk = SimulatedDisk()
    for name in ("t", "u"):
        append(make_store(disk).open(name), b"x" * 100)

    def open_and_close() -> None:
        store = make_store(disk)
        for name in ("t", "u"):
            read_all(store.open(name))
        store.close()
        disk.trace.clear()

    assert left_to_collector(open_and_close) == {}
