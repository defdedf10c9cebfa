"""The memory figures (nsqd-http section 8.1)."""

from __future__ import annotations

import gc

from nsqtx.web.memory import memory_stats, record_pauses

NAMES = [
    "heap_objects",
    "heap_idle_bytes",
    "heap_in_use_bytes",
    "heap_released_bytes",
    "gc_pause_usec_100",
    "gc_pause_usec_99",
    "gc_pause_usec_95",
    "next_gc_bytes",
    "gc_total_runs",
]


def test_figures() -> None:
    """There are nine of them, in order, all integers that are not negative."""
    stats = memory_stats()
    assert list(stats) == NAMES
    assert all(type(value) is int and value >= 0 for value in stats.values())


def test_figures_are_real() -> None:
    """They follow what happens: memory taken, a collection run and how long it took."""
    record_pauses()
    record_pauses()
    gc.collect()  # what earlier tests left must not go while we count
    before = memory_stats()
    kept = [[] for _ in range(500_000)]  # type: list[list[object]]
    gc.collect()
    after = memory_stats()
    assert after["heap_objects"] > before["heap_objects"] + len(kept) * 9 // 10
    assert after["heap_in_use_bytes"] > before["heap_in_use_bytes"]
    assert after["gc_total_runs"] > before["gc_total_runs"]
    assert after["gc_pause_usec_100"] > 0
    assert after["gc_pause_usec_100"] >= after["gc_pause_usec_99"] >= after["gc_pause_usec_95"]
    assert gc.callbacks.count(gc.callbacks[-1]) == 1
