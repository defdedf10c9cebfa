"""Waiting for news of a topic: until there is some, the time is over, or nobody waits any more."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from nsqtx.nsqlookupd.entries import ANY
from nsqtx.nsqlookupd.waiters import Waiters


def waiting(waiters: Waiters, *topics: str, seconds: float = 10) -> list[Deferred[None]]:
    return [waiters.wait(topic, seconds) for topic in topics]


def test_a_change_is_told_to_who_waits_for_that_topic() -> None:
    """And to who waits for any; in the next turn, once."""
    clock = Clock()
    waiters = Waiters(clock, 10)
    t, again, other, all_of_them = waiting(waiters, "t", "t", "u", ANY)
    waiters.changed("t")
    waiters.changed("t")
    assert not t.called
    clock.advance(0)
    assert (t.called, again.called, other.called, all_of_them.called) == (True, True, False, True)
    assert waiters.count == 1
    waiters.changed("t")
    clock.advance(0)
    assert len(clock.getDelayedCalls()) == 1


def test_the_wait_is_over_in_time() -> None:
    """Without any news."""
    clock = Clock()
    waiters = Waiters(clock, 10)
    (t,) = waiting(waiters, "t", seconds=2.5)
    clock.advance(2.4)
    assert not t.called
    clock.advance(0.1)
    assert t.called
    assert waiters.count == 0


def test_who_leaves_is_forgotten() -> None:
    """With its timer, also between news and telling it."""
    clock = Clock()
    waiters = Waiters(clock, 10)
    first, second = waiting(waiters, "t", "t")
    first.cancel()
    waiters.changed("t")
    second.cancel()
    for each in (first, second):
        each.addErrback(lambda failure: failure.trap(CancelledError))
    clock.advance(0)
    assert waiters.count == 0
    assert clock.getDelayedCalls() == []


def test_no_more_wait_than_may() -> None:
    """There is room again when one has been told."""
    clock = Clock()
    waiters = Waiters(clock, 2)
    waiting(waiters, "t", "u")
    assert waiters.full
    waiters.changed("u")
    clock.advance(0)
    assert not waiters.full
    assert Waiters(clock, 0).full


def test_a_stop_tells_everybody() -> None:
    """At once, and nobody begins to wait after it."""
    clock = Clock()
    waiters = Waiters(clock, 10)
    told = waiting(waiters, "t", "t", "u")
    waiters.changed("t")
    waiters.stop()
    told += waiting(waiters, "t")
    assert all(each.called for each in told)
    assert waiters.count == 0
    assert clock.getDelayedCalls() == []
