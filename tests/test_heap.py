"""Young garbage does not wait until there is very much of it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from weakref import ref

import pytest
from twisted.internet.task import Clock

from nsqtx.heap import INTERVAL, Heap


class Cycle:
    """One object, and one more."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def settings_of_the_collector() -> Iterator[None]:
    """Put them back as they were."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_young_garbage_is_collected() -> None:
    """Once a minute, as long as the daemon runs."""
    clock = Clock()
    heap = Heap(clock)
    heap.settle()
    cycle = ref(Cycle())
    clock.advance(INTERVAL - 1)
    assert cycle() is not None
    clock.advance(1)
    assert cycle() is None
    cycle = ref(Cycle())
    heap.stop()
    clock.advance(INTERVAL)
    assert cycle() is not None
    assert clock.getDelayedCalls() == []


def test_what_was_there_is_not_looked_at() -> None:
    """A daemon's own modules and options are left out of every collection."""
    heap = Heap(Clock())
    heap.settle()
    heap.stop()
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold() == (50_000, 20, 50)
