"""Delays between dials (client section 14.5, D8)."""

from __future__ import annotations

from random import Random

from twisted.internet.task import Clock

from nsqtx.client.redial import Redial


class Highest(Random):
    """Draws what is all but 1."""

    def random(self) -> float:
        return 1.0


def test_delays_double_up_to_the_longest() -> None:
    """1, 2, 4 ... seconds at most, and never above the longest, however often it fails."""
    redial = Redial(Clock(), Highest(), 30)
    assert [redial.failed() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    redial.failures = 10_000
    assert redial.failed() == 30


def test_delays_are_drawn() -> None:
    """Anything from 0 up to what is due: full jitter."""
    drawn = Random(3)
    redial = Redial(Clock(), Random(3), 5)
    for most in (1, 2, 4, 5, 5):
        assert redial.failed() == drawn.random() * most


def test_a_connection_that_held_begins_anew() -> None:
    """After five refusals it is connected for an hour."""
    clock = Clock()
    redial = Redial(clock, Highest(), 30)
    for _ in range(5):
        redial.failed()
    redial.connected()
    clock.advance(3600)
    assert redial.failed() == 1
    assert redial.failed() == 2


def test_a_connection_that_did_not_hold_is_a_failure() -> None:
    """An nsqd that accepts and closes is left alone for longer and longer."""
    clock = Clock()
    redial = Redial(clock, Highest(), 30)
    delays = []
    for _ in range(4):
        redial.connected()
        clock.advance(0.5)
        delays.append(redial.failed())
    assert delays == [1, 2, 4, 8]
    redial.connected()
    clock.advance(17)
    assert redial.failed() == 1
