"""What nsqd does by the clock."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock

from nsqtx.nsqd.rounds import Rounds
from tests.support.logged import Logged


class Work:
    """Rounds of some pieces. ``meanwhile`` is asked for at each of them."""

    def __init__(self, pieces: int, meanwhile: Callable[[], None]) -> None:
        self.clock = Clock()
        self.done: list[str] = []
        self.rounds = Rounds(self.clock, 1.0, self.piece)
        self._pieces = self._left = pieces
        self._meanwhile = meanwhile

    def piece(self) -> bool:
        """One of them."""
        self.done.append("piece")
        self.clock.callLater(0, self._meanwhile)
        self._left = (self._left or self._pieces) - 1
        return self._left > 0

    def run(self, seconds: float) -> list[str]:
        """What is done in that time."""
        self.rounds.start()
        self.clock.pump([0.25] * round(seconds * 4))
        return self.done


def test_others_have_their_turn_between_the_pieces_of_a_round() -> None:
    """The pieces follow each other at once, rounds once an interval."""
    work = Work(3, lambda: work.done.append("served"))
    assert work.run(1.5) == ["piece", "served"] * 3
    work.clock.advance(1)
    assert work.done == ["piece", "served"] * 6
    work.rounds.stop()
    assert not work.clock.getDelayedCalls()
    work.rounds.stop()


def test_a_stop_in_the_middle_of_a_round() -> None:
    """The rest of it is left."""
    work = Work(3, lambda: work.rounds.stop())
    assert work.run(1.5) == ["piece"]
    assert not work.clock.getDelayedCalls()


def test_a_round_that_is_late() -> None:
    """The next one does not begin before it has ended."""
    late = [2.0, 0.0, 0.0]

    def pass_time() -> None:
        work.clock.rightNow += late.pop(0)

    work = Work(3, pass_time)
    work.rounds.start()
    work.clock.advance(1)
    assert work.done == ["piece"] * 3
    work.rounds.stop()


def test_a_bug_in_one_round() -> None:
    """It is logged, and the next one comes."""
    clock = Clock()
    times: list[float] = []

    def broken() -> bool:
        times.append(clock.seconds())
        raise RuntimeError("a bug")

    rounds = Rounds(clock, 1.0, broken)
    rounds.start()
    with Logged() as said:
        clock.pump([0.5] * 7)
    assert times == [1.0, 2.0, 3.0]
    assert said.failures == [RuntimeError] * 3
    assert said.lines == ["F periodic work"] * 3
    rounds.stop()
