"""Consumers that write down what they get."""

from __future__ import annotations

from typing import Any

import attrs
from zope.interface import implementer

from nsqtx.interfaces import ISubscriber
from nsqtx.wire.frames import split_records

__all__ = ["RecordingSubscriber"]


@implementer(ISubscriber)
@attrs.define(eq=False)
class RecordingSubscriber:
    """Keeps the records it was sent."""

    records: list[bytes] = attrs.Factory(list)
    writes: int = 0
    is_dropped: bool = False

    def deliver(self, data: bytes, count: int) -> None:
        records = split_records(data)
        assert len(records) == count
        self.records += records
        self.writes += 1

    def dropped(self) -> None:
        self.is_dropped = True

    def stats(self, topic: str = "") -> dict[str, Any]:
        return {"client_id": "recorder"}

    @property
    def ids(self) -> list[bytes]:
        return [record[18:34] for record in self.records]

    @property
    def bodies(self) -> list[bytes]:
        return [record[34:] for record in self.records]

    @property
    def attempts(self) -> list[int]:
        return [int.from_bytes(record[16:18], "big") for record in self.records]

    def take(self) -> list[bytes]:
        """The ids so far, and forget them."""
        ids = self.ids
        self.records.clear()
        return ids
