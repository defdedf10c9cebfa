"""The store: topics on a data path."""

from __future__ import annotations

import errno

import pytest

from nsqtx.interfaces import StorageError
from nsqtx.storage.volume import Settings
from tests.support.disk import SimulatedDisk
from tests.support.storage import (
    START,
    Now,
    Threads,
    append,
    everything,
    make_state,
    make_store,
)


def test_topics_are_found() -> None:
    """Every topic that has something on disk is listed, whatever its name."""
    disk = SimulatedDisk()
    store = make_store(disk)
    names = [".", "..", "A", "a", "b-c_d.e", "-"]
    for name in names:
        append(store.open(name), name.encode())
    store.open("never written")
    assert store.topics() == sorted(names)
    disk.restart()
    store = make_store(disk, seed=2)
    assert store.topics() == sorted(names)
    for name in names:
        assert everything(store.open(name))[0].records[0].endswith(name.encode())


def test_files_of_others_are_left_alone() -> None:
    """What is not ours in the data path is neither read nor touched."""
    disk = SimulatedDisk()
    disk.write("t.diskqueue.000000.dat", b"theirs")
    store = make_store(disk)
    disk.write("nsqd.topics/README", b"note")
    append(store.open("t"), b"x")
    disk.write("nsqd.topics/t/note.txt", b"note")
    assert store.topics() == ["t"]
    store = make_store(disk, seed=2)
    assert len(everything(store.open("t"))) == 1
    assert disk.read("t.diskqueue.000000.dat") == b"theirs"


def test_one_log_per_topic() -> None:
    """Opening a topic twice gives the same log, after a close another one."""
    store = make_store(SimulatedDisk())
    log = store.open("t")
    assert store.open("t") is log
    log.close()
    assert store.open("t") is not log


def test_delete() -> None:
    """A deleted topic is gone at once; its files follow, and its positions are not used again."""
    disk = SimulatedDisk()
    threads = Threads()
    store = make_store(disk, threads=threads)
    log = store.open("t")
    append(log, *[b"x"] * 50)
    log.save(make_state(log.end))
    end = log.end
    store.delete("t")
    assert store.topics() == []
    with pytest.raises(StorageError, match="exiting"):
        append(log, b"y")
    threads.run()
    assert disk.listdir("nsqd.topics") == ["positions.mark"]
    assert disk.open_files == 0
    again = store.open("t")
    assert again.end == end
    assert (again.load(), everything(again)) == (None, [])


@pytest.mark.parametrize("durability", ["memory", "os", "fsync"])
def test_delete_during_a_sync(durability: str) -> None:
    """A topic is deleted while it syncs and has unwritten messages; nobody stumbles."""
    disk = SimulatedDisk()
    threads = Threads()
    store = make_store(disk, durability, threads=threads)
    log = store.open("t")
    append(log, b"x")
    got: list[StorageError | None] = []
    log.commit(got.append)
    append(log, b"y")
    store.delete("t")
    assert [str(error) for error in got] == ["exiting"]
    threads.run()
    assert (disk.open_files, store.topics()) == (0, [])


@pytest.mark.parametrize("failing", ["", "datasync nsqd.topics/positions.mark"])
def test_delete_waits_for_no_sync(failing: str) -> None:
    """The thread that removes the files sees to that the positions stay used up after a power

    cut; if it cannot, it removes them all the same.
    """
    disk = SimulatedDisk()
    threads = Threads()
    store = make_store(disk, threads=threads)
    log = store.open("t")
    append(log, *[b"x"] * 50)
    end = log.end
    if failing:
        disk.failures[failing] = errno.EIO
    del disk.trace[:]
    store.delete("t")
    assert not [each for each in disk.trace if each[0] in ("datasync", "sync_directory")]
    threads.run()
    assert disk.listdir("nsqd.topics") == ["positions.mark"]
    if not failing:
        disk.power_cut()
        disk.restart()
        store = make_store(disk, now=Now(1.0), seed=2)
        assert store.open("t").end == end


def test_delete_what_was_never_written() -> None:
    """A topic without files is deleted like any other."""
    store = make_store(SimulatedDisk())
    store.open("t")
    store.delete("t")
    store.delete("never opened")
    assert store.topics() == []


def test_delete_refused() -> None:
    """When the disk does not let a topic go, the caller is told, and the log is as it was."""
    disk = SimulatedDisk()
    store = make_store(disk)
    log = store.open("t")
    append(log, b"x")
    disk.failures["rename"] = errno.EIO
    with pytest.raises(StorageError, match=r"rename /data/nsqd\.topics/t: input/output error"):
        store.delete("t")
    assert store.open("t") is log
    append(log, b"y")
    assert len(everything(log)) == 2
    disk.failures.clear()
    store.delete("t")
    assert store.topics() == []


def test_deleted_files_that_remained() -> None:
    """Files whose removal was interrupted are removed after the next start."""
    disk = SimulatedDisk()
    store = make_store(disk)
    append(store.open("t"), b"x")
    store.delete("t")
    disk.restart()
    threads = Threads()
    store = make_store(disk, threads=threads, seed=2)
    assert store.topics() == []
    threads.run()
    assert disk.listdir("nsqd.topics") == ["positions.mark"]


def test_files_that_cannot_be_removed() -> None:
    """A failure to remove the files of a deleted topic is reported; the topic stays deleted."""
    disk = SimulatedDisk()
    threads = Threads()
    reports: list[str] = []
    store = make_store(disk, threads=threads, reports=reports)
    append(store.open("t"), b"x")
    store.delete("t")
    disk.failures["unlink"] = errno.EIO
    threads.run()
    assert len(reports) == 1
    assert store.topics() == []


@pytest.mark.parametrize("damaged", [False, True])
def test_positions_after_the_clock_was_set_back(damaged: bool) -> None:
    """A topic made again after the clock was set back does not repeat positions.

    Unless the file that guards against it is lost as well.
    """
    disk = SimulatedDisk()
    store = make_store(disk)
    log = store.open("t")
    append(log, b"x")
    end = log.end
    store.delete("t")
    disk.restart()
    if damaged:
        disk.write("nsqd.topics/positions.mark", b"\0" * 12)
    now = Now(START - 1000)
    log = make_store(disk, seed=2, now=now).open("t")
    assert log.end == (int(now.seconds * 1e6) if damaged else end)


def test_start_needs_a_data_path() -> None:
    """Without its directory, or where it cannot be read, a store does not start."""
    disk = SimulatedDisk()
    disk.remove_everything()
    with pytest.raises(StorageError, match=r"open /data/nsqd\.topics: no such file or directory"):
        make_store(disk)


def test_start_must_forget_the_last_stop() -> None:
    """If the mark of a clean stop cannot be removed, a start would be taken for clean later."""
    disk = SimulatedDisk()
    make_store(disk).close()
    disk.failures["unlink"] = errno.EROFS
    with pytest.raises(StorageError, match="read-only file system"):
        make_store(disk)


def test_close_closes_all_logs() -> None:
    """Logs that nobody closed are closed with the store, and nothing of them is lost."""
    disk = SimulatedDisk()
    store = make_store(disk, "memory")
    batch = append(store.open("t"), b"x")
    store.close()
    disk.power_cut()
    assert "stopped.mark" in disk.listdir("nsqd.topics")
    assert everything(make_store(disk, seed=2).open("t")) == [batch]


def test_a_close_that_loses_something_is_not_clean() -> None:
    """If a log could not be written, the next start knows that the stop was not orderly."""
    disk = SimulatedDisk()
    store = make_store(disk, "memory")
    log = store.open("t")
    append(log, b"x")
    disk.failures["open"] = errno.ENOSPC
    with pytest.raises(StorageError, match="no space left"):
        log.close()
    with pytest.raises(StorageError, match="not orderly"):
        store.close()
    disk.failures.clear()
    assert "stopped.mark" not in disk.listdir("nsqd.topics")


def test_a_stop_without_the_last_checkpoints_is_not_clean() -> None:
    """The newest checkpoint may then be that of an earlier stop, though not of the last run.

    Found by the simulation of seed 2 (memory): positions that a run had handed out came again.
    """
    disk = SimulatedDisk()
    now = Now()
    store = make_store(disk, "memory", now=now)
    log = store.open("t")
    log.save(make_state(log.end, clean=True))
    store.close()
    log = make_store(disk, "memory", now=now, seed=2).open("t")
    append(log, b"handed out, then lost by a kill")
    end = log.end
    now.seconds += 1
    store = make_store(disk, "memory", now=now, seed=3)
    store.open("t")
    with pytest.raises(StorageError, match="not orderly"):
        store.close(orderly=False)
    now.seconds += 1
    assert make_store(disk, "memory", now=now, seed=4).open("t").end > end


def test_settings_are_checked() -> None:
    """A durability that does not exist is refused."""
    with pytest.raises(ValueError, match="durability"):
        Settings("tape")
    with pytest.raises(ValueError, match="topic_durability"):
        Settings(topic_durability={"t": "tape"})


def test_many_topics_open_with_few_operations() -> None:
    """After a clean stop a topic is opened without reading its log."""
    disk = SimulatedDisk()
    store = make_store(disk)
    for number in range(50):
        log = store.open(f"t{number}")
        append(log, b"x" * 10_000)
        log.save(make_state(log.end, clean=True))
    store.close()
    store = make_store(disk, seed=2)
    before = store.counters.read_bytes
    disk.failures["read_at .log"] = errno.EIO
    for name in store.topics():
        store.open(name)
    assert store.counters.read_bytes == before
