"""When ``nsqd.dat`` is written (`nsqtx.nsqd.metadata_file`)."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from nsqtx.nsqd.metadata_file import REST, MetadataFile
from tests.support.brokers import make_broker
from tests.support.lists import ListStore


class SlowStore:
    """Takes its time to write."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds
        self.written: list[float] = []

    def write_metadata(self, data: bytes) -> None:
        """Note when."""
        self.written.append(self.clock.seconds())
        self.clock.rightNow += self.seconds


def made(seconds: float) -> tuple[Clock, SlowStore, MetadataFile]:
    """A file whose writing takes so long."""
    clock = Clock()
    store: Any = SlowStore(clock, seconds)
    return clock, store, MetadataFile(store, make_broker(ListStore()), "/data", clock)


def test_many_changes_are_one_write() -> None:
    """What changes in a turn of the reactor is written in the next one, once."""
    clock, store, file = made(0.0)
    for _ in range(3):
        file.soon()
    assert store.written == []
    clock.advance(0)
    assert store.written == [0.0]
    file.soon()
    clock.advance(0)
    assert store.written == [0.0, 0.0]


def test_a_long_write_is_followed_by_a_rest() -> None:
    """A file with many topics, which takes long, is not written for each of them."""
    clock, store, file = made(0.1)
    file.soon()
    clock.advance(0)
    file.soon()
    clock.advance(REST * 0.1 - 0.01)
    assert len(store.written) == 1
    clock.advance(0.02)
    assert len(store.written) == 2
    file.write()
    assert len(store.written) == 3


def test_nothing_is_left_behind() -> None:
    """What is called off, or written at once, is not written again."""
    clock, store, file = made(0.0)
    file.soon()
    file.cancel()
    file.soon()
    file.write()
    assert clock.getDelayedCalls() == []
    assert len(store.written) == 1
