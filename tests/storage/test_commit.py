"""Group commit."""

from __future__ import annotations

import errno

import pytest

from nsqtx.interfaces import StorageError
from nsqtx.storage.log import TopicLog
from tests.support.disk import SimulatedDisk
from tests.support.storage import (
    Answers,
    Now,
    Threads,
    append,
    everything,
    make_state,
    make_store,
    read_all,
)


@pytest.fixture
def disk() -> SimulatedDisk:
    """A disk."""
    return SimulatedDisk()


@pytest.fixture
def threads() -> Threads:
    """Threads that wait."""
    return Threads()


@pytest.fixture
def log(disk: SimulatedDisk, threads: Threads) -> TopicLog:
    """A log at durability ``fsync``."""
    return make_store(disk, "fsync", threads=threads).open("t")


def _syncs(disk: SimulatedDisk) -> list[str]:
    return [path for name, path in disk.trace if name == "datasync"]


def test_one_sync_for_all_who_wait(disk: SimulatedDisk, log: TopicLog, threads: Threads) -> None:
    """Who comes during a sync shares the next one; answers are in order of calls."""
    answers = Answers()
    for name in "abcd":
        append(log, b"x")
        log.commit(answers.to(name))
    assert (answers.got, len(threads.jobs)) == ([], 1)
    threads.run_one()
    assert answers.got == [("a", None)]
    append(log, b"x")
    log.commit(answers.to("e"))
    threads.run()
    assert answers.got == [(name, None) for name in "abcde"]
    assert len(_syncs(disk)) == 3


def test_an_answer_waits_for_its_own_bytes(
    disk: SimulatedDisk, log: TopicLog, threads: Threads
) -> None:
    """What is appended while a sync runs is not answered by that sync."""
    answers = Answers()
    first = append(log, b"a")
    log.commit(answers.to("a"))
    work, done = threads.jobs.pop()
    work()
    append(log, b"b")
    log.commit(answers.to("b"))
    done(None)
    assert answers.got == [("a", None)]
    disk.power_cut()
    assert everything(make_store(disk, "fsync", seed=2).open("t")) == [first]


def test_nothing_to_sync(log: TopicLog, threads: Threads) -> None:
    """A commit is answered later also when all is on disk already."""
    answers = Answers()
    log.commit(answers.to("a"))
    assert answers.got == []
    threads.run()
    assert answers.got == [("a", None)]


@pytest.mark.parametrize(
    "what", ["datasync", "sync_directory nsqd.topics/t", "sync_directory nsqd.topics"]
)
def test_a_failed_sync(what: str, disk: SimulatedDisk, log: TopicLog, threads: Threads) -> None:
    """All who wait are told, those of the next group too, and what they appended is gone."""
    answers = Answers()
    append(log, b"a")
    log.commit(answers.to("a"))
    append(log, b"b")
    log.commit(answers.to("b"))
    end = log.end
    disk.failures[what] = errno.EIO
    threads.run()
    errors = [error for _, error in answers.got]
    assert [name for name, _ in answers.got] == ["a", "b"]
    assert all(error and error.endswith("input/output error") for error in errors)
    assert (everything(log), read_all(log)) == ([], [])
    disk.failures.clear()
    batch = append(log, b"c")
    assert batch.first >= end, "positions of what was refused are not used again"
    log.commit(answers.to("c"))
    threads.run()
    assert answers.got[2] == ("c", None)
    assert everything(log) == [batch]
    disk.power_cut()
    assert everything(make_store(disk, "fsync", seed=2).open("t")) == [batch]


def test_a_failed_sync_keeps_what_was_committed(
    disk: SimulatedDisk, log: TopicLog, threads: Threads
) -> None:
    """Only what had not been committed is cut off, and the file that failed is not used again."""
    answers = Answers()
    kept = [append(log, b"a"), append(log, b"b")]
    log.commit(answers.to("ab"))
    threads.run()
    append(log, b"c" * 3000)
    log.commit(answers.to("c"))
    disk.failures["datasync"] = errno.EIO
    threads.run()
    assert everything(log) == kept
    assert read_all(log) == [batch.records[0] for batch in kept]
    disk.failures.clear()
    kept.append(append(log, b"d"))
    assert len([n for n in disk.listdir("nsqd.topics/t") if n.endswith(".log")]) == 2
    log.commit(answers.to("d"))
    threads.run()
    assert everything(log) == kept
    disk.power_cut()
    assert everything(make_store(disk, "fsync", seed=2).open("t")) == kept


def test_several_segments_in_one_commit(disk: SimulatedDisk, threads: Threads) -> None:
    """A commit covers every segment that was written since the last one."""
    log = make_store(disk, "fsync", threads=threads, segment_size=500).open("t")
    answers = Answers()
    batches = [append(log, b"x" * 200) for _ in range(7)]
    log.commit(answers.to("a"))
    threads.run()
    disk.power_cut()
    assert everything(make_store(disk, "fsync", seed=2).open("t")) == batches
    assert answers.got == [("a", None)]


def test_a_failed_commit_over_several_segments(disk: SimulatedDisk, threads: Threads) -> None:
    """All segments after the last good commit go."""
    log = make_store(disk, "fsync", threads=threads, segment_size=500).open("t")
    answers = Answers()
    kept = append(log, b"x" * 200)
    log.commit(answers.to("a"))
    threads.run()
    for _ in range(7):
        append(log, b"y" * 200)
    log.commit(answers.to("b"))
    disk.failures["datasync"] = errno.EIO
    threads.run()
    assert everything(log) == [kept]
    assert len([n for n in disk.listdir("nsqd.topics/t") if n.endswith(".log")]) == 1
    disk.failures.clear()
    assert read_all(log) == kept.records


def test_checkpoints_are_committed_too(
    disk: SimulatedDisk, log: TopicLog, threads: Threads
) -> None:
    """A channel that was saved before a commit exists after a power cut."""
    answers = Answers()
    for number in range(5):
        state = make_state(log.end, *[f"c{n}" for n in range(number)])
        log.save(state)
        append(log, b"x")
        log.commit(answers.to("a"))
        threads.run()
        log.save(make_state(log.end, "torn"))
        disk.power_cut()
        loaded = make_store(disk, "fsync", seed=2).open("t").load()
        assert loaded == state


@pytest.mark.parametrize("what", ["datasync .log", "datasync checkpoint"])
def test_a_checkpoint_whose_sync_failed_is_written_again(
    what: str, disk: SimulatedDisk, log: TopicLog, threads: Threads
) -> None:
    """A sync that succeeds after a failed one says nothing about the old bytes."""
    answers = Answers()
    state = make_state(log.end, "c")
    log.save(state)
    append(log, b"x")
    log.commit(answers.to("a"))
    disk.failures[what] = errno.EIO
    threads.run()
    disk.failures.clear()
    append(log, b"y")
    log.commit(answers.to("b"))
    threads.run()
    assert answers.got[1] == ("b", None)
    disk.power_cut()
    assert make_store(disk, "fsync", seed=2).open("t").load() == state


def test_saving_during_a_sync_spares_what_is_synced(
    disk: SimulatedDisk, log: TopicLog, threads: Threads
) -> None:
    """However often a checkpoint is saved during a sync, the one that is synced stays whole."""
    answers = Answers()
    log.save(make_state(log.end, "old"))
    log.commit(answers.to("a"))
    threads.run()
    state = make_state(log.end, "c")
    log.save(state)
    log.commit(answers.to("b"))
    for number in range(5):
        log.save(make_state(log.end, f"later{number}"))
    threads.run_one()
    assert answers.got[1] == ("b", None)
    disk.power_cut()
    assert make_store(disk, "fsync", seed=2).open("t").load() == state


def test_a_deleted_file_cannot_be_committed(
    disk: SimulatedDisk, log: TopicLog, threads: Threads
) -> None:
    """A file without a name is not on stable storage, however well it was synced."""
    answers = Answers()
    append(log, b"a")
    log.commit(answers.to("a"))
    name = next(n for n in disk.listdir("nsqd.topics/t") if n.endswith(".log"))
    disk.unlink(f"nsqd.topics/t/{name}")
    threads.run()
    assert answers.got == [("a", f"sync /data/nsqd.topics/t/{name}: no such file or directory")]


def test_uncommitted_messages_are_not_released(
    disk: SimulatedDisk, log: TopicLog, threads: Threads
) -> None:
    """Even if somebody says that everything was read, what waits for a commit stays."""
    answers = Answers()
    batch = append(log, b"x" * 2_000_000)
    log.release(log.end)
    assert everything(log) == [batch]
    log.commit(answers.to("a"))
    threads.run()
    log.release(log.end)
    assert everything(log) == []


def test_an_error_in_a_callback(log: TopicLog, threads: Threads) -> None:
    """A callback that raises does not keep the others from their answers."""
    answers = Answers()

    def broken(_: StorageError | None) -> None:
        raise RuntimeError("a bug")

    log.commit(answers.to("a"))
    log.commit(broken)
    log.commit(answers.to("b"))
    threads.run_one()
    with pytest.raises(RuntimeError):
        threads.run()
    assert answers.got == [("a", None), ("b", None)]


def test_closing_answers_everybody(disk: SimulatedDisk, log: TopicLog, threads: Threads) -> None:
    """At close a sync is made at once, also of what another is at, and all are answered."""
    answers = Answers()
    batches = [append(log, b"a")]
    log.commit(answers.to("a"))
    batches.append(append(log, b"b"))
    log.commit(answers.to("b"))
    log.close()
    assert answers.got == [("a", None), ("b", None)]
    disk.power_cut()
    assert everything(make_store(disk, "fsync", seed=2).open("t")) == batches
    threads.run()
    assert len(answers.got) == 2
    assert disk.open_files == 0


def test_closing_on_a_failing_disk(disk: SimulatedDisk, threads: Threads) -> None:
    """If the last sync fails, the stop is not an orderly one."""
    store = make_store(disk, "fsync", threads=threads)
    log = store.open("t")
    answers = Answers()
    append(log, b"a")
    log.commit(answers.to("a"))
    disk.failures["datasync"] = errno.EIO
    with pytest.raises(StorageError, match="input/output error"):
        log.close()
    assert answers.got[0][1] is not None
    disk.failures.clear()
    with pytest.raises(StorageError):
        store.close()
    assert "stopped.mark" not in disk.listdir("nsqd.topics")


def test_a_thread_that_cannot_run(log: TopicLog, threads: Threads) -> None:
    """When there is no thread any more, who waits gets an error."""
    answers = Answers()
    append(log, b"a")
    log.commit(answers.to("a"))
    _, done = threads.jobs.pop()
    done(RuntimeError("no threads"))
    assert answers.got[0][1] is not None
    assert answers.got[0][1].endswith("no threads")


def test_saves_alone_are_synced_in_time(disk: SimulatedDisk) -> None:
    """A checkpoint that no commit takes along is synced at the sync timeout."""
    now, threads = Now(), Threads()
    log = make_store(disk, "fsync", now=now, threads=threads).open("t")
    state = make_state(log.end, "c")
    log.save(state)
    now.seconds += 2
    log.tick()
    threads.run()
    disk.power_cut()
    assert make_store(disk, "fsync", seed=2).open("t").load() == state
