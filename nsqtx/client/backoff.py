"""Backoff: how a consumer lets go of its work when messages fail, and feels its way back.

A machine of three states (client sections 7.3 and 7.8). At level 0 it is NORMAL. A failure raises
the level, a success lowers it, and whenever the level is above 0 after a signal, the consumer
BLOCKs (RDY 0 everywhere) for a time that grows with the level. When that is over it TESTs (RDY 1
on one connection) until the next signal. During BLOCK signals mean nothing: they come from
messages that were in flight before.

It sends nothing itself. Its owner is told of each transition, and changes RDY from there, before it
writes the FIN or REQ that was the reason (client section 6.3)::

    if backoff.level:          # the only price of a success in NORMAL
        backoff.succeeded()
    connection.finish(message)
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from random import Random, SystemRandom
from typing import Protocol

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

__all__ = [
    "HIGHEST_LEVEL",
    "Backoff",
    "BackoffState",
    "Exponential",
    "FullJitter",
    "Strategy",
    "Transition",
    "strategy",
]

log = Logger(namespace="nsqtx.client.backoff")

#: No level is above this, also when a strategy never comes up to the longest block.
HIGHEST_LEVEL = 64


class BackoffState(Enum):
    """What a consumer may take."""

    #: All it wants.
    NORMAL = "normal"
    #: Nothing.
    BLOCK = "block"
    #: One message, to see how it goes.
    TEST = "test"


class Strategy(Protocol):
    """How long a block lasts. Neither method may raise."""

    def duration(self, level: int) -> float:
        """Seconds of a block at this level, from 1 up; it may be drawn by lot."""

    def ceiling(self, level: int) -> float:
        """The longest that `duration` may be at this level; never by lot.

        The level rises until this comes up to the longest block there may be.
        """


@attrs.frozen
class Exponential:
    """Twice as long at each level: 2, 4, 8 ... times ``multiplier`` seconds."""

    multiplier: float = 1.0

    def duration(self, level: int) -> float:
        return self.ceiling(level)

    def ceiling(self, level: int) -> float:
        return self.multiplier * 2.0**level


@attrs.frozen
class FullJitter:
    """Drawn between 0 and what `Exponential` says, so that a fleet does not come back in step."""

    multiplier: float = 1.0
    random: Random = attrs.field(factory=SystemRandom)

    def duration(self, level: int) -> float:
        return self.random.random() * self.ceiling(level)

    def ceiling(self, level: int) -> float:
        return self.multiplier * 2.0**level


def strategy(chosen: str | Strategy, multiplier: float, random: Random) -> Strategy:
    """The strategy of that name; or the object itself."""
    if chosen == "exponential":
        return Exponential(multiplier)
    if chosen == "full_jitter":
        return FullJitter(multiplier, random)
    assert not isinstance(chosen, str), chosen
    return chosen


@attrs.frozen
class Transition:
    """A state was entered, maybe the same as before: a block follows a block at another level."""

    previous: BackoffState
    state: BackoffState
    level: int
    #: Seconds that the block lasts; 0 in other states.
    duration: float


class Backoff:
    """The state of one consumer.

    ``max_duration`` is the longest block in seconds, ``changed`` is called at each transition,
    after it happened. Without ``enabled`` failures mean nothing.
    """

    def __init__(
        self,
        strategy: Strategy,
        max_duration: float,
        clock: IReactorTime,
        changed: Callable[[Transition], None],
        enabled: bool = True,
    ) -> None:
        if enabled and max_duration <= 0:
            raise ValueError("the longest block must be above 0 s; to have none, disable backoff")
        #: A success need only be told when this is above 0.
        self.level = 0
        self.state = BackoffState.NORMAL
        self._strategy = strategy
        self._max_duration = max_duration
        self._clock = clock
        self._changed = changed
        # Off for good after `stop`.
        self._enabled = enabled
        self._timer: IDelayedCall | None = None

    @property
    def remaining(self) -> float:
        """Seconds until the block is over; 0 outside of one."""
        if self._timer is None:
            return 0.0
        return max(0.0, self._timer.getTime() - self._clock.seconds())

    def succeeded(self) -> None:
        """A FIN is about to be written."""
        if self.level and self._listens():
            self._settle(self.level - 1)

    def failed(self) -> None:
        """A REQ is about to be written; or, if the owner wants it so, an answer came too late."""
        if self._listens():
            level = self.level
            # By what was not drawn, and by the level we are at: so the longest block is reached.
            if not level or self._strategy.ceiling(level) < self._max_duration:
                level = min(level + 1, HIGHEST_LEVEL)
            self._settle(level)

    def neutral(self) -> None:
        """A REQ is about to be written that says nothing of how we fare."""
        if self.level and self._listens():
            self._settle(self.level)

    def stop(self) -> None:
        """Forget the timer; nothing changes any more."""
        self._enabled = False
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _listens(self) -> bool:
        return self._enabled and self.state is not BackoffState.BLOCK

    def _settle(self, level: int) -> None:
        self.level = level
        if not level:
            self._enter(BackoffState.NORMAL)
            return
        duration = max(0.0, min(self._strategy.duration(level), self._max_duration))
        self._timer = self._clock.callLater(duration, self._unblock)
        self._enter(BackoffState.BLOCK, duration)

    def _unblock(self) -> None:
        self._timer = None
        self._enter(BackoffState.TEST)

    def _enter(self, state: BackoffState, duration: float = 0.0) -> None:
        previous, self.state = self.state, state
        transition = Transition(previous, state, self.level, duration)
        log.info(
            "backoff: {transition.state.value} at level {transition.level}{lasting}",
            transition=transition,
            lasting=f", for {duration:g} s" if state is BackoffState.BLOCK else "",
        )
        self._changed(transition)
