"""Cutting input into records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["Records", "batches"]


class Records:
    """Cuts at a byte, which belongs to no record. Empty records are passed over."""

    def __init__(self, delimiter: bytes) -> None:
        self._delimiter = delimiter
        #: The beginning of a record, in the pieces in which it came.
        self._begun: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """The records that end in this piece of the input."""
        records = data.split(self._delimiter)
        rest = records.pop()
        if not records:
            self._begun.append(rest)
            return records
        if self._begun:
            records[0] = b"".join([*self._begun, records[0]])
        self._begun = [rest]
        return records if all(records) else [record for record in records if record]

    def end(self) -> list[bytes]:
        """The last record, if the input does not end with a delimiter."""
        last = b"".join(self._begun)
        self._begun = []
        return [last] if last else []


def batches(records: Sequence[bytes], count: int, size: int) -> Iterator[Sequence[bytes]]:
    """Parts of the records of at most so many and, unless it is one alone, so many bytes."""
    start = 0
    while start < len(records):
        stop, total = start, 0
        end = min(start + count, len(records))
        while stop < end and (stop == start or total + len(records[stop]) <= size):
            total += len(records[stop])
            stop += 1
        yield records[start:stop]
        start = stop
