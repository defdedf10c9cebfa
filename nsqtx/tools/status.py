"""Lines that say how long requests take (apps section 8.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from twisted.logger import Logger

__all__ = ["Statuses"]

log = Logger(namespace="nsqtx.tools.status")


class _Metric:
    """The last ``every`` durations; after as many again there is a line about them."""

    def __init__(self, prefix: str, every: int) -> None:
        self._prefix = prefix
        self._every = every
        self._durations: list[float] = []
        if every < 100:
            log.warn(
                "Warning: use more than 100 status values for accurate percentiles "
                "(configured with {every})",
                every=every,
            )

    def add(self, seconds: float) -> None:
        if len(self._durations) == self._every:
            self._say()
            self._durations = []
        self._durations.append(seconds)

    def _say(self) -> None:
        milliseconds = sorted(each * 1000 for each in self._durations)
        log.info(
            "{prefix} finished {count} - 99th: {p99:.2f}ms - 95th: {p95:.2f}ms - avg: {avg:.2f}ms",
            prefix=self._prefix,
            count=self._every,
            p99=_percentile(99, milliseconds),
            p95=_percentile(95, milliseconds),
            avg=sum(milliseconds) / len(milliseconds),
        )


def _percentile(percent: float, ordered: Sequence[float]) -> float:
    index = math.ceil(percent / 100 * len(ordered) + 0.5)
    return ordered[min(index, len(ordered) - 1)]


class Statuses:
    """A metric for all hosts together, and one for each if there are several."""

    def __init__(self, hosts: Sequence[str], every: int) -> None:
        self._all: _Metric | None = None
        self._each: dict[str, _Metric] = {}
        if every > 0:
            self._all = _Metric("[aggregate]:", every)
            if len(hosts) > 1:
                self._each = {host: _Metric(f"[{host}]:", every) for host in hosts}

    def add(self, host: str, seconds: float) -> None:
        """A request to this host took so long."""
        if self._all is not None:
            self._all.add(seconds)
        if host in self._each:
            self._each[host].add(seconds)
