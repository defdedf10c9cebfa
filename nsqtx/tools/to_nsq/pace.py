"""So many a second, and no more."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Pace"]

#: Shortest wait, in seconds: what comes due meanwhile goes together.
SHORTEST = 0.01


class Pace:
    """Tokens that come at a rate, and are kept for a second at most. ``clock`` gives seconds."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._tokens = 1.0
        self._at = clock()

    def take(self, most: int) -> int:
        """Take as many tokens as there are, up to ``most``; how many those were."""
        now = self._clock()
        self._tokens = min(self._tokens + (now - self._at) * self._rate, max(self._rate, 1.0))
        self._at = now
        taken = min(int(self._tokens), most)
        self._tokens -= taken
        return taken

    @property
    def wait(self) -> float:
        """Seconds until it makes sense to `take` again."""
        return max((1.0 - self._tokens) / self._rate, SHORTEST)
