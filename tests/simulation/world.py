"""The simulated world: one clock, one heap of what is to come, one source of chance, one trace.

Everything that happens in a simulation is an event of the world's heap. Events at the same time
happen in the order in which they were asked for. Chance is ``World.random`` and nothing else, so a
seed decides all of it, which the hash of the trace shows.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from hashlib import blake2b
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.network import Host

__all__ = ["START", "World"]

#: When simulations begin: about 2023, in seconds since the epoch.
START = 1_700_000_000.0
#: About so many lines of the trace are hashed at once.
_HASH_TOGETHER = 500
#: A simulation that does not end is a mistake.
MOST_EVENTS = 200_000


class World:
    """Time, chance, and the trace of a simulation. Times are in seconds."""

    def __init__(self, seed: int, keep_trace: bool = False, most_events: int = MOST_EVENTS) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.now = START
        #: The host whose process is at work.
        self.working: Host | None = None
        #: How many events have happened.
        self.events = 0
        #: The lines of the trace, if they are kept.
        self.lines: list[str] | None = [] if keep_trace else None
        #: What is left of processes that have ended.
        self.graveyard: list[object] = []
        self._heap: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._asked = 0
        self._most_events = most_events
        self._hash = blake2b(digest_size=8)
        self._unhashed: list[str] = []

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self.now - START

    def after(self, delay: float, event: Callable[..., object], *args: Any) -> None:
        """Let something happen after ``delay`` seconds, which may be 0."""
        self._asked += 1
        heapq.heappush(self._heap, (self.now + delay, self._asked, event, args))

    def at(self, time: float, event: Callable[..., object], *args: Any) -> None:
        """Let something happen at that time, or now if it is over."""
        self._asked += 1
        heapq.heappush(self._heap, (max(time, self.now), self._asked, event, args))

    def run(self, until: float) -> None:
        """Let happen what happens until that time."""
        heap = self._heap
        pop = heapq.heappop
        while heap and heap[0][0] <= until:
            self.now, _, event, args = pop(heap)
            self.events += 1
            event(*args)
            if self.events > self._most_events:
                raise RuntimeError(f"seed {self.seed}: no end after {self.events} events")
        self.now = max(self.now, until)

    def note(self, *what: object) -> None:
        """Add a line to the trace."""
        line = f"{self.now - START:.6f} {' '.join(map(str, what))}"
        if self.lines is not None:
            self.lines.append(line)
        self._unhashed.append(line)
        if len(self._unhashed) > _HASH_TOGETHER:
            self._hash_lines()

    def _hash_lines(self) -> None:
        self._hash.update("".join(self._unhashed).encode())
        self._unhashed.clear()

    @property
    def trace_hash(self) -> str:
        """What tells one history from another."""
        self._hash_lines()
        return self._hash.hexdigest()
