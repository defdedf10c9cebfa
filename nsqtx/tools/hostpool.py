"""Which of several hosts gets the next request (apps section 8.1).

A host that failed is left alone for a while, ever longer. `EpsilonGreedy` prefers those that answer
fast, and explores the others now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import attrs

__all__ = ["MODES", "EpsilonGreedy", "HostPool", "Picks", "RoundRobin", "pool_named"]

MODES = ("round-robin", "hostpool", "epsilon-greedy")

#: Seconds until a host that failed is tried again, at first and at most.
RETRY = 30.0
MAX_RETRY = 900.0

#: Chance of exploring: at first, at least, and what it is multiplied by after each time.
EPSILON = 0.3
MIN_EPSILON = 0.01
DECAY = 0.9
#: Response times are gathered in so many buckets, which cover so many seconds.
BUCKETS = 120
COVERED = 300.0


class RoundRobin:
    """Each in its turn, whatever becomes of it. As the original it begins with the second."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._hosts = hosts
        self._turn = 0

    def pick(self) -> str:
        """The next host."""
        self._turn += 1
        return self._hosts[self._turn % len(self._hosts)]

    def succeeded(self, host: str, seconds: float) -> None:
        """It answered, after so long."""

    def failed(self, host: str) -> None:
        """It did not."""


@attrs.define
class _Host:
    name: str
    dead: bool = False
    #: When a dead one is tried again, and how long that was put off.
    retry_at: float = 0.0
    delay: float = 0.0
    #: Seconds of answers, in the bucket of their time: number of the bucket, sum, count.
    times: dict[int, tuple[float, int]] = attrs.Factory(dict)


class HostPool:
    """Round robin over those that are alive, or due to be tried again."""

    def __init__(self, hosts: Sequence[str], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._hosts = [_Host(name) for name in hosts]
        self._by_name = {host.name: host for host in self._hosts}
        self._turn = -1

    def pick(self) -> str:
        """The next host."""
        return self._next_in_turn().name

    def _next_in_turn(self) -> _Host:
        now = self._clock()
        count = len(self._hosts)
        for step in range(1, count + 1):
            host = self._hosts[(self._turn + step) % count]
            if host.dead and now < host.retry_at:
                continue
            self._turn = (self._turn + step) % count
            if host.dead:
                self._put_off(host, host.delay * 2)
            return host
        for host in self._hosts:
            host.dead = False
        self._turn = 0
        return self._hosts[0]

    def _put_off(self, host: _Host, delay: float) -> None:
        host.delay = min(delay, MAX_RETRY)
        host.retry_at = self._clock() + host.delay

    def succeeded(self, host: str, seconds: float) -> None:
        """It answered, after so long."""
        self._by_name[host].dead = False

    def failed(self, host: str) -> None:
        """It did not."""
        found = self._by_name[host]
        if not found.dead:
            found.dead = True
            self._put_off(found, RETRY)


class EpsilonGreedy(HostPool):
    """Mostly those that answer fast."""

    def __init__(self, hosts: Sequence[str], clock: Callable[[], float], random: Random) -> None:
        super().__init__(hosts, clock)
        self._random = random
        self._epsilon = EPSILON

    def pick(self) -> str:
        if self._random.random() < self._epsilon:
            self._epsilon = max(self._epsilon * DECAY, MIN_EPSILON)
            return self._next_in_turn().name
        scores = {}
        for host in self._hosts:
            average = self._average(host)
            if not host.dead and average > 0:
                scores[host.name] = 1 / average
        if not scores:
            return self._next_in_turn().name
        (name,) = self._random.choices(list(scores), list(scores.values()))
        return name

    def succeeded(self, host: str, seconds: float) -> None:
        super().succeeded(host, seconds)
        times = self._by_name[host].times
        bucket = self._bucket()
        total, count = times.get(bucket, (0.0, 0))
        times[bucket] = total + seconds, count + 1
        if len(times) > BUCKETS:
            for old in [each for each in times if each <= bucket - BUCKETS]:
                del times[old]

    def _bucket(self) -> int:
        return int(self._clock() / (COVERED / BUCKETS))

    def _average(self, host: _Host) -> float:
        """Of the last five minutes, the newer the weightier; 0: nothing is known."""
        oldest = self._bucket() - BUCKETS
        weights = total = 0.0
        for bucket, (seconds, count) in host.times.items():
            weight = bucket - oldest
            if weight > 0:
                weights += weight
                total += weight * seconds / count
        return total / weights if weights else 0.0


Picks = RoundRobin | HostPool


def pool_named(
    mode: str, hosts: Sequence[str], clock: Callable[[], float], random: Random
) -> Picks:
    """The pool of one of the `MODES`."""
    if mode == "round-robin":
        return RoundRobin(hosts)
    if mode == "epsilon-greedy":
        return EpsilonGreedy(hosts, clock, random)
    return HostPool(hosts, clock)
