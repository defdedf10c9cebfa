"""A stop of the whole soak test is told from troubles."""

from __future__ import annotations

from tests.soak.troubles import AFTER, Troubles


class Clocks:
    """Time, and processor time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.cpu = 3.0
        self.troubles = Troubles(lambda: self.now, lambda: self.cpu)

    def work(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            self.cpu += 0.2
            self.troubles.look()


def test_troubles_without_a_stop() -> None:
    """All of them are faults."""
    clocks = Clocks()
    clocks.work(3)
    clocks.troubles.note("a")
    clocks.work(3)
    assert clocks.troubles.faults == ["a"]
    assert clocks.troubles.explained == 0


def test_troubles_after_a_stop() -> None:
    """Those that come at once when all goes on, or soon after; not those before, or later."""
    clocks = Clocks()
    clocks.work(3)
    clocks.troubles.note("before")
    clocks.work(1)
    clocks.now += 120
    clocks.troubles.note("when it goes on")
    clocks.work(int(AFTER) - 1)
    clocks.troubles.note("soon")
    clocks.work(5)
    clocks.troubles.note("later")
    assert clocks.troubles.faults == ["before", "later"]
    assert clocks.troubles.explained == 2
    assert clocks.troubles.stood_still == 121


def test_a_long_turn_is_no_stop() -> None:
    """Something that takes the processor for ten seconds explains nothing."""
    clocks = Clocks()
    clocks.work(3)
    clocks.now += 10
    clocks.cpu += 10
    clocks.troubles.note("late")
    clocks.work(1)
    assert clocks.troubles.faults == ["late"]
