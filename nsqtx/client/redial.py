"""When an address that could not be reached, or was lost, is dialled again."""

from __future__ import annotations

from random import Random

from twisted.internet.interfaces import IReactorTime

__all__ = ["Redial"]

#: The first delay is below this (seconds).
_FIRST_DELAY = 1.0


class Redial:
    """The delays of one address: exponential with full jitter (client section 14.5, D8).

    Each is drawn between 0 and 1, 2, 4 ... seconds, ``max_delay`` at most, so that the clients of
    an nsqd that comes back do not come all at once. A connection that held for longer than the
    delay that would be due now at most was a success, and delays begin anew.
    """

    def __init__(self, clock: IReactorTime, random: Random, max_delay: float) -> None:
        #: Failures in a row, connections included that did not hold.
        self.failures = 0
        self._clock = clock
        self._random = random
        self._max_delay = max_delay
        self._connected_at: float | None = None

    def connected(self) -> None:
        """A connection can be used."""
        self._connected_at = self._clock.seconds()

    def failed(self) -> float:
        """A dial failed, or a connection ended; seconds until the next dial."""
        connected_at, self._connected_at = self._connected_at, None
        if connected_at is not None and self._clock.seconds() - connected_at > self._ceiling():
            self.failures = 0
        delay = self._random.random() * self._ceiling()
        self.failures += 1
        return delay

    def _ceiling(self) -> float:
        # Beyond 2**64 no delay is of use, and a float has its end.
        return min(self._max_delay, _FIRST_DELAY * 2.0 ** min(self.failures, 64))
