"""Young garbage does not wait until there is very much of it, and freed blocks are used again."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from weakref import ref

import pytest
from twisted.internet.task import Clock

from nsqtx.heap import DAY, INTERVAL, Heap


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


def test_old_garbage_is_collected() -> None:
    """What was used when young garbage was looked for is found later, within the day."""
    clock = Clock()
    heap = Heap(clock)
    heap.settle()
    for minutes in (10, DAY):
        cycle = Cycle()
        found = ref(cycle)
        for _ in range(minutes - 1):
            clock.advance(INTERVAL)
        del cycle
        clock.advance(INTERVAL)
        assert found() is None
        heap.stop()
        heap = Heap(clock)
        heap.settle()
    heap.stop()


def test_what_was_there_is_not_looked_at() -> None:
    """A daemon's own modules and options are left out of every collection."""
    heap = Heap(Clock())
    heap.settle()
    heap.stop()
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold() == (50_000, 20, 50)


_FAULTS = """
import os, resource
from nsqtx.heap import keep_blocks
kept = keep_blocks(os.environ) is not None
blocks = [b"x" * (1 << 20) for _ in range(20)]
del blocks
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    blocks = [b"x" * (1 << 20) for _ in range(20)]
    del blocks
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**environ: str) -> tuple[str, int]:
    """Pages that a process asks for which frees 20 MiB and takes them again, ten times."""
    command = [sys.executable, "-c", _FAULTS]
    done = subprocess.run(
        command, env={**os.environ, **environ}, capture_output=True, text=True, check=True
    )
    kept, count = done.stdout.split()
    return kept, int(count)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told")
def test_freed_blocks_are_used_again() -> None:
    """They do not go back to the system, unless the operator has a say in that."""
    kept, count = faults()
    assert kept == "True"
    assert count < 1_000
    assert faults(MALLOC_TRIM_THRESHOLD_="131072")[0] == "False"


_SIZES = """
import gc, os
from twisted.internet.task import Clock
from nsqtx.heap import INTERVAL, Heap

def size():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

clock = Clock()
Heap(clock).settle()
before = size()
blocks = [b"x" * 100_000 for _ in range(1000)]
some = blocks[::100]
del blocks
then = size()
clock.advance(INTERVAL)
print(then - before, size() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told")
def test_freed_blocks_go_back_within_a_minute() -> None:
    """All that is free, wherever it is."""
    command = [sys.executable, "-c", _SIZES]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    then, later = map(int, done.stdout.split())
    assert then > 80
    assert later < 10
