"""Which host gets the next request."""

from __future__ import annotations

from random import Random

import pytest
from twisted.internet.task import Clock

from nsqtx.tools.hostpool import MODES, EpsilonGreedy, HostPool, RoundRobin, pool_named


def picked(pool: HostPool, count: int) -> str:
    """The next hosts, one letter each."""
    return "".join(pool.pick() for _ in range(count))


def test_round_robin_takes_each_in_turn() -> None:
    """From the second on, whatever fails."""
    pool = RoundRobin("abc")
    pool.failed("b")
    assert "".join(pool.pick() for _ in range(5)) == "bcabc"


def test_a_host_that_failed_is_left_alone_ever_longer() -> None:
    """30 s, 60 s, up to 15 minutes; until it answers."""
    clock = Clock()
    pool = HostPool("abc", clock.seconds)
    assert picked(pool, 4) == "abca"
    pool.failed("b")
    assert picked(pool, 3) == "cac"
    clock.advance(30)
    assert picked(pool, 3) == "abc"
    pool.failed("b")
    clock.advance(59)
    assert "b" not in picked(pool, 6)
    clock.advance(1)
    assert "b" in picked(pool, 3)
    for _ in range(10):
        clock.advance(900)
        assert "b" in picked(pool, 3)
    pool.succeeded("b", 0.1)
    assert sorted(picked(pool, 6)) == list("aabbcc")


def test_if_all_have_failed_the_first_is_tried() -> None:
    """All are alive again then."""
    pool = HostPool("ab", Clock().seconds)
    pool.failed("a")
    pool.failed("b")
    assert picked(pool, 3) == "aba"


def test_fast_hosts_are_preferred() -> None:
    """By one over their time; others are explored, ever more seldom."""
    clock = Clock()
    clock.advance(1000)
    pool = EpsilonGreedy("ab", clock.seconds, Random(1))
    seconds = {"a": 0.001, "b": 0.01}
    counts = {"a": 0, "b": 0}
    for _ in range(2000):
        host = pool.pick()
        counts[host] += 1
        pool.succeeded(host, seconds[host])
    assert 6 < counts["a"] / counts["b"] < 14


def test_newer_times_weigh_more() -> None:
    """And those of more than five minutes ago are forgotten."""
    clock = Clock()
    clock.advance(1000)
    pool = EpsilonGreedy("ab", clock.seconds, Random(1))
    pool.succeeded("a", 10.0)
    clock.advance(299)
    pool.succeeded("a", 1.0)
    assert 1.0 < pool._average(pool._hosts[0]) < 1.2
    clock.advance(290)
    assert pool._average(pool._hosts[0]) == 1.0
    clock.advance(10)
    assert pool._average(pool._hosts[0]) == 0.0
    for _ in range(300):
        clock.advance(2.5)
        pool.succeeded("a", 1.0)
    assert len(pool._hosts[0].times) <= 121


def test_dead_hosts_are_not_chosen() -> None:
    """Of those that are known to be fast."""
    clock = Clock()
    pool = EpsilonGreedy("ab", clock.seconds, Random(1))
    for host in "ab":
        pool.succeeded(host, 0.1)
    pool.failed("a")
    assert picked(pool, 20) == "b" * 20


@pytest.mark.parametrize("mode", MODES)
def test_by_name(mode: str) -> None:
    """Each mode is a class of its own."""
    pool = pool_named(mode, ["a"], Clock().seconds, Random())
    assert {"round-robin": RoundRobin, "hostpool": HostPool, "epsilon-greedy": EpsilonGreedy}[
        mode
    ] is type(pool)
