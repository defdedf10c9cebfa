"""The process is killed between any two operations, or in the middle of a write."""

from __future__ import annotations

import attrs
import pytest

from nsqtx.interfaces import Batch, TopicState
from nsqtx.storage.log import TopicLog
from nsqtx.storage.store import Store
from tests.support.disk import Killed, SimulatedDisk
from tests.support.storage import Now, Threads, append, everything, make_state, make_store


@attrs.define
class History:
    """What was promised before the kill, and what was under way."""

    kept: list[Batch] = attrs.Factory(list)
    floor: int = 0
    used: int = 0
    saved: list[TopicState | None] = attrs.Factory(lambda: [None])
    saving: TopicState | None = None
    #: None: the topic is there; False: it is being deleted; True: it is gone.
    deleted: bool | None = None
    stage: str = ""


def _append(log: TopicLog, history: History, *bodies: bytes) -> None:
    history.used = max(history.used, log.end)
    history.kept.append(append(log, *bodies))
    history.used = log.end


def _save(log: TopicLog, history: History, clean: bool = False) -> None:
    history.saving = make_state(log.end, "c", clean=clean)
    log.save(history.saving)
    history.saved.append(history.saving)
    history.saving = None


def _scenario(disk: SimulatedDisk, history: History, now: Now, durability: str) -> None:
    """Two runs with all that happens to a topic."""
    threads = Threads()
    for run in range(2):
        store = make_store(
            disk, durability, seed=10 + run, now=now, threads=threads, segment_size=250
        )
        log = store.open("t")
        _append(log, history, b"a", b"b")
        _save(log, history)
        _append(log, history, b"c" * 90)
        _append(log, history, b"d" * 90)
        log.commit(lambda _: None)
        threads.run()
        history.floor = log.end
        log.release(history.floor)
        _append(log, history, b"e" * 90)
        _save(log, history)
        now.seconds += 40
        log.tick()
        threads.run()
        _append(log, history, b"f" * 90)
        log.release(history.kept[-1].first)
        history.floor = history.kept[-1].first
        _save(log, history, clean=True)
        log.close()
        store.close()
    store = make_store(disk, durability, seed=20, now=now, threads=threads)
    history.deleted = False
    store.delete("t")
    history.deleted = True
    threads.run()
    store.close()


def _check(store: Store, history: History) -> None:
    """What was promised is kept, and nothing is there twice."""
    present = "t" in store.topics()
    log = store.open("t")
    assert log.end >= history.used, "a position could come twice"
    if history.deleted is True or (history.deleted is False and not present):
        assert everything(log) == []
        assert log.load() is None
        return
    found = everything(log)
    assert [b for b in history.kept if b.first >= history.floor and b not in found] == []
    firsts = [batch.first for batch in found]
    assert firsts == sorted(set(firsts))
    extra = [batch for batch in found if batch not in history.kept]
    assert len(extra) <= 1, "only the append under way may be there as well"
    loaded = log.load()
    assert loaded == history.saved[-1] or (loaded == history.saving is not None)
    after = append(log, b"after")
    assert everything(log) == [*found, after]


@pytest.mark.parametrize("tear", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("durability", ["os", "fsync"])
def test_s2_killed_anywhere(durability: str, tear: float) -> None:
    """Wherever a kill comes, what was appended and saved is there after it (S2)."""
    total = SimulatedDisk()
    _scenario(total, History(), Now(), durability)
    assert total.operations > 60
    for left in range(total.operations):
        disk = SimulatedDisk()
        disk.operations_left = left
        disk.tear = tear
        history = History()
        now = Now()
        with pytest.raises(Killed):
            _scenario(disk, history, now, durability)
        disk.restart()
        reports: list[str] = []
        threads = Threads()
        now.seconds += 1
        store = make_store(disk, durability, seed=30, now=now, threads=threads, reports=reports)
        _check(store, history)
        threads.run()
        assert not [name for name in disk.listdir("nsqd.topics") if ".deleted." in name]


def test_killed_over_and_over() -> None:
    """Kills right after each start leave no litter and lose nothing."""
    disk = SimulatedDisk()
    now = Now()
    kept = [append(make_store(disk, now=now).open("t"), b"x")]
    for seed in range(20):
        disk.restart()
        now.seconds += 1
        store = make_store(disk, now=now, seed=seed + 2)
        assert everything(store.open("t")) == kept
    disk.restart()
    for seed in range(20):
        disk.operations_left = 1  # the new segment is made, but never written
        with pytest.raises(Killed):
            append(make_store(disk, now=now, seed=seed + 50).open("t"), b"y")
        disk.restart()
    log = make_store(disk, now=now, seed=99).open("t")
    log.tick()
    log.tick()
    log.tick()
    assert everything(log) == kept
    assert len(disk.listdir("nsqd.topics/t")) == 2, "one segment and its index"
