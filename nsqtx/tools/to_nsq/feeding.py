"""From input to nsqd: batches that are sent one behind the other, within limits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from nsqtx.tools.to_nsq.pace import Pace
from nsqtx.tools.to_nsq.records import Records, batches

__all__ = ["Feeding"]

#: The largest batch: records, bytes. nsqd takes 5 MiB by default.
MOST_RECORDS = 1000
MOST_BYTES = 256 * 1024
#: Batches that may wait for their OK.
WINDOW = 8

#: Publishes a batch to one nsqd; fires when it has it.
Publish = Callable[[Sequence[bytes]], Deferred[Any]]


class Feeding:
    """Publishes all records of an input by every one of ``publishers``.

    ``read`` gives the next piece of the input, an empty one at its end. Without a pace, what one
    read brought is published together.
    """

    def __init__(
        self,
        read: Callable[[], Deferred[bytes]],
        records: Records,
        publishers: Sequence[Publish],
        pace: Pace | None,
        clock: IReactorTime,
    ) -> None:
        self._read = read
        self._records = records
        self._publishers = publishers
        self._pace = pace
        self._clock = clock
        self._waiting: deque[tuple[int, Deferred[Any]]] = deque()
        #: Bytes read, records that every nsqd has.
        self.bytes = self.published = 0

    async def run(self) -> None:
        """Publish until the end of the input.

        :raises Exception: reading or publishing failed, and nothing more was begun.
        """
        try:
            reading = self._read()
            while data := await reading:
                # The next piece is read while this one is published.
                reading = self._read()
                self.bytes += len(data)
                await self._publish(self._records.feed(data))
            await self._publish(self._records.end())
            await self._drain(0)
        finally:
            reading.addErrback(lambda _: None)
            for _, each in self._waiting:
                each.addErrback(lambda _: None)

    async def _publish(self, records: list[bytes]) -> None:
        if self._pace is None:
            for batch in batches(records, MOST_RECORDS, MOST_BYTES):
                await self._send(batch)
            return
        while records:
            taken = self._pace.take(min(len(records), MOST_RECORDS))
            if taken:
                for batch in batches(records[:taken], MOST_RECORDS, MOST_BYTES):
                    await self._send(batch)
                records = records[taken:]
            else:
                await deferLater(self._clock, self._pace.wait)

    async def _send(self, batch: Sequence[bytes]) -> None:
        for number, publish in enumerate(self._publishers):
            # Counted once, when the last has it.
            count = len(batch) if number == len(self._publishers) - 1 else 0
            self._waiting.append((count, publish(batch)))
        await self._drain((WINDOW - 1) * len(self._publishers))

    async def _drain(self, most: int) -> None:
        """Wait until at most so many wait for their OK."""
        while len(self._waiting) > most:
            count, each = self._waiting.popleft()
            await each
            self.published += count
