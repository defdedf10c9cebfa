"""Random histories of a log, compared with a list."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from nsqtx.interfaces import Batch, StorageError, TopicState
from tests.support.disk import SimulatedDisk
from tests.support.storage import Now, Threads, append, everything, make_state, make_store


class LogHistory(RuleBasedStateMachine):
    """A log and what should be in it.

    Kills and clean stops keep everything that was written; a full disk refuses, and takes nothing
    that was there.
    """

    @initialize(
        durability=st.sampled_from(["memory", "os", "fsync"]),
        segment_size=st.sampled_from([200, 2000]),
    )
    def begin(self, durability: str, segment_size: int) -> None:
        """An empty data path."""
        self.disk = SimulatedDisk()
        self.now = Now()
        self.threads = Threads()
        self.durability = durability
        self.segment_size = segment_size
        self.seed = 0
        self.batches: list[Batch] = []
        self.floor = 0
        self.used = 0
        self.state: TopicState | None = None
        #: One whose write failed. It may be there all the same, and is then as good.
        self.refused: TopicState | None = None
        self.start()

    def start(self) -> None:
        """Another run of the daemon."""
        self.seed += 1
        self.threads.jobs.clear()
        self.store = make_store(
            self.disk,
            self.durability,
            now=self.now,
            threads=self.threads,
            seed=self.seed,
            segment_size=self.segment_size,
            mem_queue_size=5,
        )
        self.log = self.store.open("t")

    @rule(sizes=st.lists(st.integers(1, 150), min_size=1, max_size=4), late=st.booleans())
    def publish(self, sizes: list[int], late: bool) -> None:
        """Append a batch."""
        try:
            batch = append(self.log, *[b"x" * size for size in sizes], due=99 if late else 0)
        except StorageError:
            assert self.disk.capacity is not None
            return
        self.batches.append(batch)
        self.used = self.log.end

    @rule()
    def commit(self) -> None:
        """Sync everything."""
        try:
            self.log.commit(lambda _: None)
        except StorageError:
            assert self.disk.capacity is not None
        self.threads.run()

    @rule(share=st.floats(0, 1))
    def release(self, share: float) -> None:
        """Finish with the first part of it."""
        at = int(len(self.batches) * share)
        if at:
            self.floor = max(self.floor, self.batches[at - 1].first + 1)
            self.log.release(self.floor)

    @rule()
    def save(self) -> None:
        """Write a checkpoint."""
        state = make_state(self.log.end, f"c{self.seed}")
        try:
            self.log.save(state)
        except StorageError:
            assert self.disk.capacity is not None
            self.refused = state
            return
        self.state, self.refused = state, None

    @rule(seconds=st.sampled_from([0.01, 1.0, 100.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now.seconds += seconds
        try:
            self.log.tick()
        except StorageError:
            assert self.disk.capacity is not None

    @rule()
    def fill_disk(self) -> None:
        """Another program takes all but a little room."""
        self.disk.capacity = self.disk.used() + 90

    @rule()
    def empty_disk(self) -> None:
        """And gives it back."""
        self.disk.capacity = None

    @precondition(lambda self: self.durability != "memory")
    @rule()
    def kill(self) -> None:
        """The process is killed and started again."""
        self.disk.restart()
        self.now.seconds += 1
        self.start()
        if self.refused is not None and self.log.load() == self.refused:
            self.state = self.refused
        self.refused = None

    @rule()
    def stop(self) -> None:
        """An orderly stop, and a start."""
        self.disk.capacity = None
        state = make_state(self.log.end, "clean", clean=True)
        self.log.save(state)
        self.state, self.refused = state, None
        self.log.close()
        self.store.close()
        self.start()
        assert self.log.end == state.end

    @invariant()
    def nothing_is_lost(self) -> None:
        """What is at or after the floor is there, in order, however it is read."""
        assert self.log.end >= self.used
        assert self.log.load() == self.state
        wanted = [batch for batch in self.batches if batch.first + len(batch.records) > self.floor]
        found = everything(self.log)
        assert found[len(found) - len(wanted) :] == wanted
        assert [batch for batch in found if batch not in self.batches] == []
        if not wanted:
            return
        start = wanted[0].first
        records: list[bytes] = []
        while start < self.log.end:
            some, start = self.log.read(start, self.log.end, 300)
            records += some
        assert records == [r for batch in wanted if not batch.due for r in batch.records]
        positions = [
            position
            for batch in wanted
            for position in range(batch.first, batch.first + len(batch.records))
        ]
        assert self.log.fetch(positions) == [r for batch in wanted for r in batch.records]


TestLogHistory = pytest.mark.timeout(240)(LogHistory.TestCase)
TestLogHistory.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
