"""How a daemon keeps its memory: Python's garbage collector and the C library, set for long runs.

What a daemon holds is freed by reference counts: connections, requests and topics are no cycles of
objects. So the collector is asked seldom. Some cycles are Twisted's own, and small: work in a
thread (each sync of a log), a connection of an HTTP client, and of HTTPS. They are young when they
end, so they are looked for once a minute, and that takes a millisecond or two. What is older is
looked through every ten minutes, and once a day everything, which takes 0.2 s with 10,000 topics.

Bodies of a megabyte, and reads and writes of a quarter, are blocks that the C library would give
back to the system and ask for again, page by page: that was two thirds of the time of an nsqd that
delivers them. So up to `KEPT` bytes stay with the process, and go back once a minute, too. That is
also what keeps memory flat: without it, what was needed at most at any time stays, in pieces.
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Callable, Mapping
from functools import partial

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

__all__ = ["Heap", "keep_blocks"]

#: How often young garbage is collected, and free memory given back, in seconds.
INTERVAL = 60.0
#: In intervals.
DAY = 24 * 60
#: How much memory that was freed stays with the process until then, in bytes.
KEPT = 128 * 1024 * 1024
#: Larger blocks go back to the system when they are freed: the most that glibc takes.
LARGEST_KEPT = 32 * 1024 * 1024
# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
#: By these an operator sets the same, and is obeyed.
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_blocks(environ: Mapping[str, str]) -> Callable[[], object] | None:
    """Let freed blocks stay with the process; what gives back those that are free now.

    None: ``environ`` or the C library is against it.
    """
    if any(name in environ for name in _VARIABLES):
        return None
    library = ctypes.CDLL(None)
    mallopt = getattr(library, "mallopt", None)
    trim = getattr(library, "malloc_trim", None)
    if mallopt is None or trim is None:
        return None  # another C library
    if not (mallopt(_M_TRIM_THRESHOLD, KEPT) and mallopt(_M_MMAP_THRESHOLD, LARGEST_KEPT)):
        return None
    return partial(trim, ctypes.c_size_t(0))


class Heap:
    """The objects of this process. ``clock`` is the reactor."""

    def __init__(self, clock: IReactorTime) -> None:
        self._minutes = 0
        self._give_back: Callable[[], object] | None = None
        self._loop = LoopingCall(self._tidy)
        self._loop.clock = clock

    def settle(self) -> None:
        """Say that what there is will stay, and that there is seldom more to look for.

        Messages in flight are tuples, registrations are in dicts: the default thresholds would have
        the collector go through all of them again and again.
        """
        # This one comes before anybody is served, so it is not among the pauses that are shown.
        callbacks, gc.callbacks[:] = gc.callbacks[:], []
        gc.collect()
        gc.callbacks[:] = callbacks
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        self._give_back = keep_blocks(os.environ)
        self._loop.start(INTERVAL, now=False)

    def _tidy(self) -> None:
        self._minutes += 1
        gc.collect(2 if self._minutes % DAY == 0 else 1 if self._minutes % 10 == 0 else 0)
        if self._give_back is not None:
            self._give_back()

    def stop(self) -> None:
        """Collect no more by the clock."""
        if self._loop.running:
            self._loop.stop()
