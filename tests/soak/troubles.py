"""What went wrong in a soak test, and when.

A run of half an hour may be stopped by somebody (SIGSTOP), or its machine may sleep. Then
heartbeats run out, and all that waits for an answer gives up at the same moment. That is nobody's
fault.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

__all__ = ["Stop", "Troubles"]

#: So many seconds without a turn of ours, and almost without processor time, are a stop.
STILL = 5.0
STILL_CPU = 1.0
#: For so long after a stop troubles are its consequences, in seconds: a timeout, and coming back.
AFTER = 30.0


@attrs.frozen
class Stop:
    """Seconds, of the clock that `Troubles` has."""

    began: float
    ended: float


class Troubles:
    """Troubles of one run.

    :param seconds: a clock that goes on in a stop.
    :param cpu: processor time of this process, in seconds.
    """

    def __init__(self, seconds: Callable[[], float], cpu: Callable[[], float]) -> None:
        self._seconds = seconds
        self._cpu = cpu
        self._last = seconds()
        self._last_cpu = cpu()
        self._noted: list[tuple[float, str]] = []
        self.stops: list[Stop] = []

    def note(self, text: str) -> None:
        """Something went wrong just now."""
        self._noted.append((self._seconds(), text))

    def look(self) -> None:
        """Notice a stop. To be called about once a second."""
        now, cpu = self._seconds(), self._cpu()
        if now - self._last > STILL and cpu - self._last_cpu < STILL_CPU:
            self.stops.append(Stop(self._last, now))
        self._last, self._last_cpu = now, cpu

    @property
    def stood_still(self) -> float:
        """Seconds of all stops."""
        return sum(stop.ended - stop.began for stop in self.stops)

    @property
    def faults(self) -> list[str]:
        """All that no stop explains."""
        return [text for time, text in self._noted if not self._is_explained(time)]

    @property
    def explained(self) -> int:
        """How many troubles came of stops."""
        return len(self._noted) - len(self.faults)

    def _is_explained(self, time: float) -> bool:
        return any(stop.began <= time <= stop.ended + AFTER for stop in self.stops)
