"""Backoff: levels, blocks and tests (client sections 7.7, 7.8 and 14.3)."""

from __future__ import annotations

from random import Random

import attrs
import pytest
from twisted.internet.task import Clock

from nsqtx.client.backoff import (
    HIGHEST_LEVEL,
    Backoff,
    BackoffState,
    Exponential,
    FullJitter,
    Strategy,
    Transition,
)
from nsqtx.client.ready import Share
from tests.support.ready import Nsqds

NORMAL, BLOCK, TEST = BackoffState.NORMAL, BackoffState.BLOCK, BackoffState.TEST


class Consumer:
    """A backoff and the RDY that follows it, and what its one nsqd sees, with the times."""

    def __init__(
        self,
        strategy: Strategy | None = None,
        max_duration: float = 120,
        max_in_flight: int = 5,
        enabled: bool = True,
    ) -> None:
        self.nsqds = Nsqds(max_in_flight)
        self.clock = self.nsqds.clock
        self.transitions: list[Transition] = []
        self.backoff = Backoff(
            strategy or Exponential(), max_duration, self.clock, self._changed, enabled
        )
        self.seen: list[str] = []
        self.share = self.join()

    def join(self) -> Share:
        share = self.nsqds.join()
        self._look()
        return share

    def leave(self, share: Share) -> None:
        self.nsqds.leave(share)
        self._look()

    def _changed(self, transition: Transition) -> None:
        self.transitions.append(transition)
        self.nsqds.set_mode(transition.state)
        self._look()

    def _look(self) -> None:
        self.seen += [f"RDY {rdy}" for _, rdy in self.nsqds.taken()]

    def answer(self, outcome: str) -> None:
        """Answer one message: ok, fail, or neutral."""
        if outcome == "ok":
            if self.backoff.level:
                self.backoff.succeeded()
            self.seen.append("FIN")
        else:
            (self.backoff.failed if outcome == "fail" else self.backoff.neutral)()
            self.seen.append("REQ")
        self.nsqds.answer(self.share)
        self._look()

    def handle(self, outcomes: str) -> None:
        """One message at a time; a block is waited for, and its seconds written down."""
        for outcome in outcomes.split():
            if self.backoff.state is BLOCK:
                self.wait()
            assert self.nsqds.push(self.share) == 1
            self.answer(outcome)

    def wait(self) -> float:
        """The seconds that the block lasted."""
        seconds = self.backoff.remaining
        self.clock.advance(seconds - 0.001)
        assert self.backoff.state is BLOCK
        self.seen.append(f"{seconds:g}s")
        self.clock.advance(0.002)
        assert self.backoff.state is TEST
        self._look()
        return seconds


def test_two_failures_and_back() -> None:
    """B1, B9: the first trace of section 7.7; each RDY precedes the answer it belongs to."""
    consumer = Consumer()
    consumer.handle("ok ok ok fail fail ok ok")
    assert " ".join(consumer.seen) == (
        "RDY 5 FIN FIN FIN RDY 0 REQ 2s RDY 1 RDY 0 REQ 4s RDY 1 RDY 0 FIN 2s RDY 1 RDY 5 FIN"
    )
    assert consumer.backoff.level == 0
    assert consumer.backoff.remaining == 0


def test_a_neutral_answer_blocks_again() -> None:
    """B2: the second trace of section 7.7; the level stays, and the duration."""
    consumer = Consumer()
    consumer.handle("fail fail neutral ok ok ok ok")
    assert " ".join(consumer.seen) == (
        "RDY 5 RDY 0 REQ 2s RDY 1 RDY 0 REQ 4s RDY 1 RDY 0 REQ 4s RDY 1 RDY 0 FIN 2s RDY 1"
        " RDY 5 FIN FIN FIN"
    )


def test_a_neutral_answer_alone_is_nothing() -> None:
    """At level 0 it changes nothing."""
    consumer = Consumer()
    consumer.handle("neutral ok")
    assert consumer.transitions == []


def test_messages_that_fail_together_block_once() -> None:
    """B3: three in flight fail: level 1, and no further RDY."""
    consumer = Consumer()
    consumer.nsqds.push(consumer.share, 3)
    for _ in range(3):
        consumer.answer("fail")
    assert consumer.seen == ["RDY 5", "RDY 0", "REQ", "REQ", "REQ"]
    assert consumer.backoff.level == 1
    assert consumer.wait() == 2


def test_answers_during_a_block_mean_nothing() -> None:
    """B4: neither good nor bad nor neutral ones."""
    consumer = Consumer()
    consumer.nsqds.push(consumer.share, 4)
    for outcome in ("fail", "ok", "neutral", "fail"):
        consumer.answer(outcome)
    assert consumer.backoff.level == 1
    assert len(consumer.transitions) == 1


def test_a_connection_that_returns_is_tested() -> None:
    """B5: none was there when the block was over."""
    consumer = Consumer()
    consumer.handle("fail")
    consumer.leave(consumer.share)
    consumer.clock.advance(60)
    assert consumer.backoff.state is TEST
    consumer.share = consumer.join()
    assert consumer.seen == ["RDY 5", "RDY 0", "REQ", "RDY 1"]
    consumer.handle("ok")
    assert consumer.share.rdy == 5


def test_another_connection_takes_over_the_test() -> None:
    """B6: without waiting for a message."""
    consumer = Consumer()
    first = consumer.share
    second = consumer.join()
    consumer.handle("fail")
    consumer.wait()
    tested, other = (first, second) if first.rdy else (second, first)
    consumer.leave(tested)
    assert other.rdy == 1


def test_the_longest_block_is_reached() -> None:
    """B7: durations double up to the longest exactly, and one success leads one step down."""
    consumer = Consumer(max_duration=50)
    consumer.handle("fail " * 9 + "ok")
    durations = [transition.duration for transition in consumer.transitions if transition.duration]
    assert durations == [2, 4, 8, 16, 32, 50, 50, 50, 50, 32]


def test_a_longest_block_below_the_first_still_blocks() -> None:
    """It is no way to turn backoff off: there is one level, as long as that."""
    consumer = Consumer(max_duration=1.5)
    consumer.handle("fail fail ok ok")
    assert [transition.duration for transition in consumer.transitions] == [1.5, 0, 1.5, 0, 0]
    assert consumer.backoff.level == 0


def test_backoff_can_be_off() -> None:
    """B8: failures are answered REQ, and RDY stays."""
    consumer = Consumer(enabled=False, max_duration=0)
    consumer.handle("fail fail neutral ok")
    assert consumer.seen == ["RDY 5", "REQ", "REQ", "REQ", "FIN"]
    with pytest.raises(ValueError):
        Consumer(max_duration=0)


def test_full_jitter_is_drawn_once() -> None:
    """B10: within [0, 2**n), capped; the level rises by what was not drawn."""
    drawn = Random(7)
    consumer = Consumer(FullJitter(0.5, Random(7)), max_duration=6)
    consumer.handle("fail " * 6)
    durations = [transition.duration for transition in consumer.transitions if transition.duration]
    assert durations == [min(6, drawn.random() * most) for most in (1, 2, 4, 8, 8, 8)]
    assert consumer.backoff.level == 4


def test_a_pause_is_kept_in_a_test() -> None:
    """R5: nothing is sent at the end of a block; the test goes on after the pause."""
    consumer = Consumer()
    consumer.handle("fail")
    consumer.nsqds.set_max_in_flight(0)
    consumer.wait()
    assert consumer.seen[-1] == "2s"
    consumer.nsqds.set_max_in_flight(5)
    consumer.handle("ok")
    assert consumer.seen[-3:] == ["RDY 1", "RDY 5", "FIN"]


@attrs.frozen
class Always:
    """A strategy of one's own: the same at each level."""

    seconds: float

    def duration(self, level: int) -> float:
        return self.seconds

    def ceiling(self, level: int) -> float:
        return self.seconds


@pytest.mark.parametrize("seconds", [3.0, 0.0, -1.0])
def test_a_strategy_that_never_comes_to_the_cap(seconds: float) -> None:
    """The level has an end of its own, and no block is shorter than nothing."""
    clock = Clock()
    backoff = Backoff(Always(seconds), 120, clock, lambda _: None)
    for _ in range(HIGHEST_LEVEL + 5):
        backoff.failed()
        assert backoff.remaining == max(0, seconds)
        clock.advance(3)
    assert backoff.level == HIGHEST_LEVEL


def test_transitions_tell_all() -> None:
    """Where from, where to, at which level, for how long."""
    consumer = Consumer()
    consumer.handle("fail ok")
    assert consumer.transitions == [
        Transition(NORMAL, BLOCK, 1, 2.0),
        Transition(BLOCK, TEST, 1, 0.0),
        Transition(TEST, NORMAL, 0, 0.0),
    ]


def test_what_remains_of_a_block() -> None:
    """It goes down with time."""
    consumer = Consumer()
    assert consumer.backoff.remaining == 0
    consumer.handle("fail")
    consumer.clock.advance(0.5)
    assert consumer.backoff.remaining == 1.5


def test_stop_leaves_no_timer() -> None:
    """S4: stopped in a block, and nothing is told of any more."""
    consumer = Consumer()
    consumer.handle("fail")
    consumer.backoff.stop()
    assert consumer.clock.getDelayedCalls() == []
    consumer.clock.advance(60)
    consumer.backoff.failed()
    consumer.backoff.succeeded()
    consumer.backoff.stop()
    assert len(consumer.transitions) == 1
