"""A store whose logs are lists: the broker's tests need no files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs
from zope.interface import implementer

from nsqtx.interfaces import Batch, IStore, ITopicLog, StorageError, TopicState
from nsqtx.wire.frames import split_records

__all__ = ["ListLog", "ListStore"]


@implementer(ITopicLog)
@attrs.define(eq=False)
class ListLog:
    """A log in memory. ``refuse`` makes every write fail; ``hold_commits`` collects commits."""

    end: int = 1000
    must_commit: bool = False
    batches: list[Batch] = attrs.Factory(list)
    saved: TopicState | None = None
    released: int = 0
    refuse: str | None = None
    refuse_reads: str | None = None
    commits: list[Callable[[StorageError | None], None]] = attrs.Factory(list)
    closed: bool = False
    reads: int = 0
    ticks: int = 0

    def _check(self) -> None:
        if self.refuse is not None:
            raise StorageError(self.refuse)

    def _check_read(self) -> None:
        if self.refuse_reads is not None:
            raise StorageError(self.refuse_reads)

    def append(
        self, count: int, data: bytes, due: int = 0, channel: str = "", origin: str = ""
    ) -> None:
        self._check()
        records = split_records(data)
        assert len(records) == count
        self.batches.append(Batch(self.end, records, due, channel, origin))
        self.end += count

    def commit(self, done: Callable[[StorageError | None], None]) -> None:
        self.commits.append(done)

    def read(self, start: int, stop: int, size: int) -> tuple[list[bytes], int]:
        self.reads += 1
        self._check_read()
        records: list[bytes] = []
        position = start
        for batch in self.batches:
            end = batch.first + len(batch.records)
            if end <= start or batch.first >= stop:
                continue
            position = min(end, stop)
            if not batch.due and not batch.channel:
                records += batch.records[max(0, start - batch.first) : position - batch.first]
            if sum(map(len, records)) >= size:
                return records, position
        return records, stop

    def fetch(self, positions: Sequence[int]) -> list[bytes | None]:
        self._check_read()
        assert list(positions) == sorted(positions)
        known = {b.first + i: record for b in self.batches for i, record in enumerate(b.records)}
        return [known.get(position) for position in positions]

    def load(self) -> TopicState | None:
        return self.saved

    def replay(self, start: int) -> Iterator[Batch]:
        for batch in list(self.batches):
            skip = max(0, start - batch.first)
            if skip < len(batch.records):
                yield attrs.evolve(batch, first=batch.first + skip, records=batch.records[skip:])

    def save(self, state: TopicState) -> None:
        self._check()
        self.saved = state

    def release(self, floor: int) -> None:
        self.released = max(self.released, floor)
        self.batches = [b for b in self.batches if b.first + len(b.records) > floor]

    def tick(self) -> bool:
        self.ticks += 1
        return False

    def close(self) -> None:
        self.closed = True


@implementer(IStore)
@attrs.define(eq=False)
class ListStore:
    """Logs by topic; `reopened` is what a restart would find."""

    logs: dict[str, ListLog] = attrs.Factory(dict)
    must_commit: bool = False
    deleted: list[str] = attrs.Factory(list)

    def topics(self) -> list[str]:
        return sorted(self.logs)

    def open(self, topic: str) -> ITopicLog:
        return self.logs.setdefault(topic, ListLog(must_commit=self.must_commit))

    def delete(self, topic: str) -> None:
        self.deleted.append(topic)
        self.logs.pop(topic, None)
