"""What half an hour's memory must look like, on made-up series."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from math import log
from random import Random

import pytest

from tests.soak.verdict import GROWTH, KIB, MIB, Record, faults_of, growth_of
from tests.soak.vitals import Vitals

PAGE = 4096

#: Of each second the memory beyond 60 MiB, in bytes.
Memory = Callable[[Random, int], list[float]]


def record_of(
    memory: Memory,
    minutes: int = 30,
    seed: int = 1,
    leak: float = 0.0,
    fds: float = 0.0,
    disk: float = 0.0,
) -> Record:
    """A run with one process. ``leak``, ``fds`` and ``disk`` are what is added each minute."""
    random = Random(seed)
    record = Record(["nsqd"], ["nsqd"])
    for second, used in enumerate(memory(random, minutes * 60)):
        minute = second / 60
        rss = int(60 * MIB + used + leak * minute) // PAGE * PAGE
        vitals = Vitals(rss, int(22 + random.randrange(5) + fds * minute), second / 20)
        use = int((2 + 5 * random.random()) * MIB + disk * minute)
        record.add(float(second), {"nsqd": vitals}, {"nsqd": use}, 100)
    return record


def still(random: Random, seconds: int) -> list[float]:
    return [0.0] * seconds


def trembling(random: Random, seconds: int) -> list[float]:
    """Of what was needed at once, most is never given back."""
    return list(accumulate((random.expovariate(5) * MIB for _ in range(seconds)), max))


def breathing(random: Random, seconds: int) -> list[float]:
    """Garbage is collected once a minute, and all of it is given back."""
    return [(random.random() + at % 60 / 20) * MIB for at in range(seconds)]


def stepping(random: Random, seconds: int) -> list[float]:
    """The allocator takes an arena for good, in the middle of what is looked at."""
    return [used + (at > 1200) * MIB for at, used in enumerate(trembling(random, seconds))]


def warming(random: Random, seconds: int) -> list[float]:
    """Caches and pools fill up, ever more slowly."""
    return [used + MIB / 2 * log(1 + at / 20) for at, used in enumerate(trembling(random, seconds))]


def peaking(random: Random, seconds: int) -> list[float]:
    """A backlog comes in the 24th minute, and its memory is kept."""
    return [used + (at > 1440) * 8 * MIB for at, used in enumerate(trembling(random, seconds))]


HONEST = [still, trembling, breathing, stepping, warming, peaking]


@pytest.mark.parametrize("memory", HONEST)
@pytest.mark.parametrize("seed", range(5))
def test_honest_memory_passes(memory: Memory, seed: int) -> None:
    """Bursts, garbage that is collected, one step, a warm-up, a backlog near the end."""
    assert faults_of(record_of(memory, seed=seed)) == []


@pytest.mark.parametrize("memory", HONEST)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "leak",
    [
        pytest.param(140 * KIB, id="1 KiB for each of 140 connections a minute"),
        pytest.param(15_000 * 100, id="100 bytes for each of 15,000 messages a minute"),
    ],
)
def test_a_leak_fails(memory: Memory, leak: int, seed: int) -> None:
    """Whatever else memory does."""
    (fault,) = faults_of(record_of(memory, seed=seed, leak=leak))
    assert "memory grows by" in fault


def test_the_slope() -> None:
    """It is that of what is added, in bytes per minute."""
    record = record_of(still, leak=GROWTH)
    growth = growth_of(record.times, record.processes["nsqd"].rss)
    assert growth is not None
    assert abs(growth - GROWTH) < KIB


def test_a_short_run() -> None:
    """Three minutes say nothing of slow leaks, but many MiB are too much."""
    short = record_of(still, minutes=3, leak=MIB)
    assert growth_of(short.times, short.processes["nsqd"].rss) is None
    assert faults_of(short) == []
    (fault,) = faults_of(record_of(still, minutes=3, leak=15 * MIB))
    assert "its memory grew from" in fault


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (record_of(still, fds=2), "descriptors were open"),
        (record_of(still, disk=2 * MIB), "bytes of disk were used"),
    ],
)
def test_descriptors_and_disk(record: Record, text: str) -> None:
    """They are held to the most that was once needed."""
    (fault,) = faults_of(record)
    assert text in fault
