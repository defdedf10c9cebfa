"""S1: at durability ``fsync``, what was answered OK survives a power cut."""

from __future__ import annotations

import errno
from random import Random

import pytest

from nsqtx.interfaces import Batch, StorageError, TopicState
from nsqtx.storage.log import TopicLog
from tests.support.disk import Killed, SimulatedDisk
from tests.support.storage import Now, Threads, append, everything, make_state, make_store


class Broker:
    """A topic's worth of a broker: appends, waits for commits, saves and releases."""

    def __init__(self, log: TopicLog, random: Random) -> None:
        self.log = log
        self.random = random
        self.answered: list[Batch] = []
        self.floor = 0
        self.channels: list[str] = []
        #: Channels that existed when a message was answered OK.
        self.promised: set[str] = set()
        self.used = log.end

    def publish(self) -> None:
        """Append something; it counts once it is answered."""
        bodies = [self.random.randbytes(self.random.choice((1, 30, 700)))] * self.random.randint(
            1, 3
        )
        self.used = self.log.end + len(bodies)
        batch = append(self.log, *bodies)
        channels = set(self.channels)

        def done(error: StorageError | None) -> None:
            if error is None:
                self.answered.append(batch)
                self.promised |= channels

        self.log.commit(done)

    def make_channel(self) -> None:
        """A new channel is checkpointed at once."""
        name = f"c{len(self.channels)}"
        self.log.save(make_state(self.log.end, *self.channels, name))
        self.channels.append(name)

    def release(self) -> None:
        """Some of what was answered is finished."""
        if self.answered:
            self.floor = max(self.floor, self.random.choice(self.answered).first)
            self.log.release(self.floor)


def _run(disk: SimulatedDisk, now: Now, random: Random, brokers: list[Broker]) -> None:
    threads = Threads()
    store = make_store(
        disk, "fsync", seed=random.randint(0, 10**9), now=now, threads=threads, segment_size=2000
    )
    log = store.open("t")
    broker = Broker(log, random)
    brokers.append(broker)
    for _ in range(40):
        action = random.choice("ppppprrccs")
        now.seconds += random.choice((0, 0.001, 0.6))
        if action == "p":
            broker.publish()
        elif action == "r" and threads.jobs:
            threads.run_one()
        elif action == "c":
            broker.make_channel()
        elif action == "s":
            broker.release()
            log.tick()


@pytest.mark.parametrize("seed", range(60))
def test_s1_what_was_answered_survives(seed: int) -> None:
    """After a power cut at any moment, every answered batch and its channels are there."""
    random = Random(seed)
    disk = SimulatedDisk()
    now = Now()
    disk.operations_left = random.randint(1, 150)
    disk.tear = random.choice((0.0, 0.3, 1.0))
    brokers: list[Broker] = []
    try:
        _run(disk, now, random, brokers)
    except Killed:
        pass
    disk.power_cut(random if seed % 3 else None)
    now.seconds += 1
    if not brokers:
        return
    broker = brokers[0]
    log = make_store(disk, "fsync", seed=4711, now=now).open("t")
    found = everything(log)
    missing = [b for b in broker.answered if b.first >= broker.floor and b not in found]
    assert missing == []
    assert log.end >= broker.used
    loaded: TopicState | None = log.load()
    names = {channel.name for channel in loaded.channels} if loaded else set()
    assert broker.promised <= names
    assert everything(log) == found
    after = append(log, b"after")
    assert everything(log) == [*found, after]


def test_s1_directories_of_a_run_that_was_killed() -> None:
    """They were made and not synced, so the next run sees to them before it promises anything."""
    total = SimulatedDisk()
    append(make_store(total, "fsync").open("t"), b"x")
    for left in range(total.operations):
        disk = SimulatedDisk()
        disk.operations_left = left
        with pytest.raises(Killed):
            append(make_store(disk, "fsync").open("t"), b"x")
        disk.restart()
        now = Now()
        now.seconds += 1
        threads = Threads()
        log = make_store(disk, "fsync", seed=2, now=now, threads=threads).open("t")
        batch = append(log, b"y")
        log.commit(lambda _: None)
        threads.run()
        disk.power_cut()
        now.seconds += 1
        assert batch in everything(make_store(disk, "fsync", seed=3, now=now).open("t"))


def test_what_was_found_at_the_start_is_stable() -> None:
    """What a run that was killed had not synced is synced before consumers can get it."""
    disk = SimulatedDisk()
    now = Now()
    log = make_store(disk, "fsync", now=now).open("t")
    log.save(make_state(log.end, "c"))
    batches = [append(log, b"x", b"y"), append(log, b"z")]
    disk.restart()
    now.seconds += 1
    log = make_store(disk, "fsync", seed=2, now=now).open("t")
    assert everything(log) == batches
    for _ in range(3):
        # Two of these are overwritten by the third, but not the one that is stable.
        log.save(make_state(log.end, "c"))
    disk.power_cut()
    now.seconds += 1
    log = make_store(disk, "fsync", seed=3, now=now).open("t")
    assert everything(log) == batches
    loaded = log.load()
    assert loaded is not None
    assert [channel.name for channel in loaded.channels] == ["c"]


def test_a_checkpoint_that_only_memory_has_is_not_taken_for_a_stable_one() -> None:
    """Its sync failed, then nsqd was killed: no later sync makes it stable, so it is written anew.

    The channel in it must be there after a power cut, whatever was saved in between.
    """
    disk = SimulatedDisk()
    now = Now()
    threads = Threads()
    log = make_store(disk, "fsync", now=now, threads=threads).open("t")
    log.save(make_state(log.end))
    append(log, b"x")
    log.commit(lambda _: None)
    threads.run()
    log.save(make_state(log.end, "c"))
    log.commit(lambda _: None)
    disk.failures["datasync checkpoint"] = errno.EIO
    threads.run()
    disk.failures.clear()
    disk.restart()
    now.seconds += 1
    log = make_store(disk, "fsync", seed=2, now=now).open("t")
    for _ in range(3):
        log.save(make_state(log.end, "c"))
    disk.power_cut()
    now.seconds += 1
    loaded = make_store(disk, "fsync", seed=3, now=now).open("t").load()
    assert loaded is not None
    assert [channel.name for channel in loaded.channels] == ["c"]


def test_the_test_can_fail() -> None:
    """At durability ``os`` a power cut does lose what was answered; the disk is that bad."""
    disk = SimulatedDisk()
    append(make_store(disk, "os").open("t"), b"x")
    disk.power_cut()
    assert everything(make_store(disk, "os", seed=2).open("t")) == []


def test_os_bounds_the_loss() -> None:
    """At durability ``os`` a sync every so many writes, or seconds, bounds what a cut loses."""
    disk = SimulatedDisk()
    now = Now()
    threads = Threads()
    log = make_store(disk, now=now, threads=threads, sync_every=3, sync_timeout=2.0).open("t")
    batches = [append(log, b"x") for _ in range(3)]
    threads.run()
    batches.append(append(log, b"y"))
    now.seconds += 1.9
    log.tick()
    assert threads.jobs == []
    now.seconds += 0.2
    log.tick()
    threads.run()
    append(log, b"lost")
    disk.power_cut()
    assert everything(make_store(disk, seed=2).open("t")) == batches


def test_positions_of_lost_messages_do_not_come_again() -> None:
    """Consumers may have seen messages that a power cut took; their ids are not used again."""
    disk = SimulatedDisk()
    now = Now()
    log = make_store(disk, now=now).open("t")
    append(log, *[b"x"] * 100)
    end = log.end
    disk.power_cut()
    now.seconds += 0.5
    assert make_store(disk, now=now).open("t").end >= end


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("durability", ["memory", "os", "fsync"])
def test_a_power_cut_after_a_clean_stop(durability: str, seed: int) -> None:
    """Whatever of a clean stop a power cut leaves, no position comes twice and no message goes."""
    disk = SimulatedDisk()
    now = Now()
    store = make_store(disk, durability, now=now)
    log = store.open("t")
    batch = append(log, b"x", b"y")
    log.save(make_state(log.end, clean=True))
    log.close()
    store.close()
    end = log.end
    disk.power_cut(Random(seed) if seed else None)
    now.seconds += 1
    log = make_store(disk, durability, seed=2, now=now).open("t")
    assert everything(log) == [batch]
    assert log.end == end or log.end == int(now.seconds * 1e6)
    if durability == "fsync":
        assert log.end == end


def test_a_power_cut_does_not_bring_a_clean_stop_back() -> None:
    """A run that ends in a power cut is never taken for the clean stop before it."""
    disk = SimulatedDisk()
    now = Now()
    store = make_store(disk, "fsync", now=now)
    log = store.open("t")
    append(log, b"x")
    log.save(make_state(log.end, clean=True))
    log.close()
    store.close()
    log = make_store(disk, "os", seed=2, now=now).open("t")
    append(log, *[b"seen, then lost"] * 9)
    end = log.end
    disk.power_cut()
    now.seconds += 1
    assert make_store(disk, "os", seed=3, now=now).open("t").end >= end
