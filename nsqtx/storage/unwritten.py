"""Batches that durability ``memory`` has not written yet."""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter

import attrs

from nsqtx.storage.batches import Row

__all__ = ["Unwritten"]

#: Whatever ``--mem-queue-size`` allows in messages, no more bytes than this wait in a topic.
_MOST_BYTES = 8 * 1024 * 1024

_first = itemgetter(0)


@attrs.define(eq=False)
class Unwritten:
    """A queue of batches in ascending order; ``limit`` is in messages."""

    limit: int
    #: First position, count, records joined, due time.
    batches: list[tuple[int, int, bytes, int]] = attrs.Factory(list)
    count: int = 0
    size: int = 0

    @property
    def full(self) -> bool:
        """Whether it holds more than may wait."""
        return self.count > self.limit or self.size > _MOST_BYTES

    def add(self, first: int, count: int, data: bytes, due: int) -> None:
        """Append a batch."""
        self.batches.append((first, count, data, due))
        self.count += count
        self.size += len(data)

    def drop_last(self) -> None:
        """Undo the last `add`."""
        _, count, data, _ = self.batches.pop()
        self.count -= count
        self.size -= len(data)

    def drop_first(self, number: int) -> None:
        """Forget the first ``number`` batches."""
        for _, count, data, _ in self.batches[:number]:
            self.count -= count
            self.size -= len(data)
        del self.batches[:number]

    def release(self, floor: int) -> None:
        """Forget the batches wholly before ``floor``: they need not be written any more."""
        number = 0
        for first, count, _, _ in self.batches:
            if first + count > floor:
                break
            number += 1
        if number:
            self.drop_first(number)

    def rows(self, start: int, size: int) -> list[Row]:
        """Batches with records at or after ``start``, about ``size`` bytes of them."""
        rows: list[Row] = []
        at = max(0, bisect_right(self.batches, start, key=_first) - 1)
        while at < len(self.batches) and size > 0:
            first, count, data, due = self.batches[at]
            if first + count > start:
                rows.append((first, count, due, data, 0))
                size -= len(data)
            at += 1
        return rows
