"""End-to-end latency percentiles of a channel, over a sliding window (nsqd-engine section 12).

Latencies are counted in buckets whose widths grow by one percent, so a percentile is right to
within one percent whatever the distribution, memory is bounded (a few thousand buckets span one
nanosecond to a year), and the windows of a topic's channels merge by adding.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

__all__ = ["LatencyWindow", "summary"]

_GROWTH = math.log(1.01)


@attrs.define(eq=False)
class LatencyWindow:
    """Counts latencies in nanoseconds; forgets them between half a window and one window later."""

    #: Length of the window in nanoseconds.
    length: int
    _since: int = 0
    _current: Counter[int] = attrs.Factory(Counter)
    _previous: Counter[int] = attrs.Factory(Counter)

    def add(self, latencies: Iterable[int], now: int) -> None:
        """Count some latencies at the time ``now`` (ns)."""
        self._turn(now)
        counts = self._current
        log = math.log
        for latency in latencies:
            counts[int(log(latency) / _GROWTH) if latency > 1 else 0] += 1

    def counts(self, now: int) -> Counter[int]:
        """How many latencies of the window fell into each bucket."""
        self._turn(now)
        return self._current + self._previous

    def _turn(self, now: int) -> None:
        half = max(1, self.length // 2)
        if now - self._since < half:
            return
        # After a pause of a whole window nothing of it is left.
        fresh = now - self._since < 2 * half
        self._previous = self._current if fresh else Counter()
        self._current = Counter()
        self._since = now


def summary(
    windows: Iterable[LatencyWindow], quantiles: Sequence[float], now: int
) -> dict[str, Any]:
    """What ``/stats`` shows of one channel, or of the channels of a topic together.

    ``{"count": n, "percentiles": [{"quantile": q, "value": ns}, ...]}``; ``percentiles`` is None
    when there are no quantiles or no windows.
    """
    windows = list(windows)
    if not quantiles or not windows:
        return {"count": 0, "percentiles": None}
    counts: Counter[int] = Counter()
    for window in windows:
        counts.update(window.counts(now))
    total = sum(counts.values())
    buckets = sorted(counts)
    percentiles = []
    for quantile in quantiles:
        value = 0
        rank = math.ceil(quantile * total)
        for bucket in buckets:
            rank -= counts[bucket]
            if rank <= 0:
                value = round(math.exp((bucket + 0.5) * _GROWTH))
                break
        # Numbers as Go writes them: 1, not 1.0.
        whole = int(quantile)
        percentiles.append({"quantile": whole if whole == quantile else quantile, "value": value})
    return {"count": total, "percentiles": percentiles}
