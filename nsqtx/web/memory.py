"""What a daemon says about its memory (nsqd-http section 8.1).

The names are those of Go's runtime, the numbers CPython's nearest:

===========================  ====================================================================
``heap_objects``             blocks that Python's allocator has handed out
``heap_in_use_bytes``        memory of the process that is resident
``heap_idle_bytes``          private memory that is reserved, but not resident
``heap_released_bytes``      what was resident at the peak and is no more
``gc_pause_usec_…``          percentiles of the last garbage collections, microseconds
``next_gc_bytes``            about where ``heap_in_use_bytes`` is at the next collection
``gc_total_runs``            collections so far
===========================  ====================================================================
"""

from __future__ import annotations

import gc
import sys
from collections import deque
from resource import RUSAGE_SELF, getpagesize, getrusage
from time import perf_counter
from typing import Any

__all__ = ["memory_stats", "record_pauses"]

_PAGE = getpagesize()
#: ``ru_maxrss`` is in KiB, except on macOS.
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024

#: The last pauses, in microseconds. Garbage collection belongs to the process, so does this.
_pauses: deque[int] = deque(maxlen=256)
_began = 0.0


def _collecting(phase: str, info: dict[str, Any]) -> None:
    global _began
    if phase == "start":
        _began = perf_counter()
    else:
        _pauses.append(int((perf_counter() - _began) * 1e6))


def record_pauses() -> None:
    """From now on keep how long collections take. Costs about a microsecond a collection."""
    if _collecting not in gc.callbacks:
        gc.callbacks.append(_collecting)


def _percentile(ordered: list[int], percent: int) -> int:
    if not ordered:
        return 0
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _pages() -> tuple[int, int]:
    """Resident and private bytes."""
    peak = getrusage(RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT
    try:
        with open("/proc/self/statm", "rb") as statm:
            fields = statm.read().split()
    except OSError:
        return peak, peak  # no Linux: the peak is all there is to know cheaply
    return int(fields[1]) * _PAGE, int(fields[5]) * _PAGE


def memory_stats() -> dict[str, int]:
    """The nine figures, in the order of the specification."""
    resident, private = _pages()
    peak = getrusage(RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT
    objects = sys.getallocatedblocks()
    threshold = gc.get_threshold()[0]
    due = max(0, threshold - gc.get_count()[0]) if gc.isenabled() and threshold else 0
    pauses = sorted(_pauses)
    return {
        "heap_objects": objects,
        "heap_idle_bytes": max(0, private - resident),
        "heap_in_use_bytes": resident,
        "heap_released_bytes": max(0, peak - resident),
        "gc_pause_usec_100": _percentile(pauses, 100),
        "gc_pause_usec_99": _percentile(pauses, 99),
        "gc_pause_usec_95": _percentile(pauses, 95),
        "next_gc_bytes": resident + due * (resident // max(1, objects)),
        "gc_total_runs": sum(generation["collections"] for generation in gc.get_stats()),
    }
