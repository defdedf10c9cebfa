"""The one who asks the cluster for all who look."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from nsqtx.nsqadmin.history import History
from nsqtx.nsqadmin.poller import Poller, SharedAnswers
from nsqtx.nsqadmin.rows import Snapshot
from tests.support.adminpages import at_once, small


class Slow:
    """A cluster that answers when the test says so."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.asking: list[Deferred[Any]] = []
        self.poller = Poller(self.gather, self.clock, 5.0, History(), at_once)

    def gather(self) -> Deferred[Any]:
        """Ask."""
        self.asking.append(Deferred())
        return self.asking[-1]


def test_who_comes_first_waits() -> None:
    """Until the first poll is over; nobody else waits."""
    slow = Slow()
    slow.poller.start()
    waiting = slow.poller.known()
    assert not waiting.called
    snapshot = small()
    slow.asking[0].callback(snapshot)
    assert waiting.called
    assert slow.poller.snapshot is snapshot
    assert slow.poller.known().called
    slow.poller.stop()


def test_polls_do_not_pile_up() -> None:
    """The next begins an interval after the end of the last."""
    slow = Slow()
    slow.poller.start()
    slow.clock.advance(60)
    assert len(slow.asking) == 1
    slow.asking[0].callback(small())
    slow.clock.advance(4.9)
    assert len(slow.asking) == 1
    slow.clock.advance(0.1)
    assert len(slow.asking) == 2
    slow.poller.stop()


def test_after_a_change_it_is_asked_anew() -> None:
    """What was asked before the change does not count."""
    slow = Slow()
    slow.poller.start()
    seen = slow.poller.refresh()
    slow.asking[0].callback(small())
    assert not seen.called
    slow.asking[1].callback(small())
    assert seen.called
    seen = slow.poller.refresh()
    slow.clock.advance(0)
    slow.asking[2].callback(small())
    assert seen.called
    slow.poller.stop()


def test_a_stop_lets_go() -> None:
    """Of who waits, and of the question under way."""
    slow = Slow()
    slow.poller.start()
    waiting = slow.poller.known()
    slow.poller.stop()
    assert waiting.called
    assert slow.asking[0].called
    assert slow.poller.refresh().called
    assert slow.clock.getDelayedCalls() == []


def test_an_error_is_kept_until_it_is_over() -> None:
    """And what was known before is not thrown away."""
    slow = Slow()
    slow.poller.start()
    slow.asking[0].callback(small())
    slow.clock.advance(5)
    slow.asking[1].errback(ValueError("nobody there"))
    assert slow.poller.error == "nobody there"
    assert isinstance(slow.poller.snapshot, Snapshot)
    slow.clock.advance(5)
    slow.asking[2].callback(small())
    assert slow.poller.error == ""
    slow.poller.stop()


def test_answers_are_shared() -> None:
    """By all who ask while it is asked and a little later; errors by the first alone."""
    clock = Clock()
    clock.advance(100)
    shared = SharedAnswers(clock, 5.0)
    asking: list[Deferred[Any]] = []

    def ask() -> Deferred[Any]:
        asking.append(Deferred())
        return asking[-1]

    got: list[Any] = []
    for _ in range(3):
        shared.get("a", ask).addBoth(got.append)
    shared.get("b", ask).addBoth(got.append)
    assert len(asking) == 2
    asking[0].callback("answer")
    assert got == ["answer"] * 3
    error = ValueError("no")
    asking[1].errback(error)
    assert got[3].value is error
    shared.get("a", ask).addBoth(got.append)
    assert got[4] == "answer"
    shared.get("b", ask)
    assert len(asking) == 3
    clock.advance(4)
    shared.get("a", ask)
    assert len(asking) == 4


def test_what_was_asked_before_a_change_is_not_shared_after_it() -> None:
    """Nor kept; who asked gets it all the same."""
    clock = Clock()
    clock.advance(100)
    shared = SharedAnswers(clock, 5.0)
    asking: list[Deferred[Any]] = []

    def ask() -> Deferred[Any]:
        asking.append(Deferred())
        return asking[-1]

    before: list[Any] = []
    after: list[Any] = []
    later: list[Any] = []
    shared.get("a", ask).addCallback(before.append)
    shared.forget()
    shared.get("a", ask).addCallback(after.append)
    assert len(asking) == 2
    asking[0].callback("old")
    assert (before, after) == (["old"], [])
    asking[1].callback("new")
    assert after == ["new"]
    shared.get("a", ask).addCallback(later.append)
    assert (later, len(asking)) == (["new"], 2)
