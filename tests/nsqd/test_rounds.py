"""What nsqd does by the clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.task import Clock

from nsqtx.nsqd.rounds import Rounds
from tests.support.logged import Logged


class Work:
    """In place of broker and store. ``meanwhile`` is asked for at each piece of a round."""

    def __init__(self, pieces: int, meanwhile: Callable[[], None]) -> None:
        self.clock = Clock()
        self.done: list[str] = []
        self.rounds = Rounds(self, Store(), self.clock)  # type: ignore[arg-type]
        self._pieces = self._left = pieces
        self._meanwhile = meanwhile

    def scan(self) -> None:
        """Deadlines."""
        self.done.append("scan")

    def tick(self) -> bool:
        """One piece."""
        self.done.append("piece")
        self.clock.callLater(0, self._meanwhile)
        self._left = (self._left or self._pieces) - 1
        return self._left > 0

    def run(self, seconds: float) -> list[str]:
        """What is done in that time, without what comes ten times a second."""
        self.rounds.start()
        self.clock.pump([0.05] * round(seconds * 20))
        return [each for each in self.done if each != "scan"]


class Store:
    """Nothing to do."""

    def tick(self) -> None:
        """Nothing."""


def test_others_have_their_turn_between_the_pieces_of_a_round() -> None:
    """The pieces follow each other at once, rounds once a second."""
    work = Work(3, lambda: work.done.append("served"))
    assert work.run(1.5) == ["piece", "served"] * 3
    assert work.done.count("scan") == 15
    work.clock.pump([0.05] * 20)
    assert work.done.count("piece") == 6
    work.rounds.stop()
    assert not work.clock.getDelayedCalls()


def test_a_stop_in_the_middle_of_a_round() -> None:
    """The rest of it is left."""
    work = Work(3, lambda: work.rounds.stop())
    assert work.run(1.5) == ["piece"]
    assert not work.clock.getDelayedCalls()


@pytest.mark.parametrize("what", ["tick", "scan"])
def test_a_bug_in_one_round(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logged, and the next one comes."""
    work = Work(2, lambda: None)
    times: list[float] = []

    def broken(*_: Any) -> None:
        times.append(work.clock.seconds())
        raise RuntimeError("a bug")

    monkeypatch.setattr(work, what, broken)
    with Logged() as said:
        work.run(3.5)
    assert len(times) >= (3 if what == "tick" else 30)
    assert said.failures == [RuntimeError] * len(times)
    assert set(said.lines) == {"F periodic work"}
    work.rounds.stop()
