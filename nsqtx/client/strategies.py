"""Which nsqd of a Writer gets a publish (client section 9.7).

A strategy is given those that can take one now, at least one, in the order in which they were
named, and the key of the publish. It is a function, so a program may have its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

__all__ = ["Candidate", "Strategy", "strategy_named"]


class Candidate(Protocol):
    """An nsqd as strategies see it."""

    @property
    def address(self) -> str:
        """As it was named."""

    @property
    def outstanding(self) -> int:
        """How many answers are to come from it."""


Strategy = Callable[[Sequence[Candidate], str], int]


def _first(_: Sequence[Candidate], __: str) -> int:
    return 0


def _least_outstanding(candidates: Sequence[Candidate], _: str) -> int:
    return min(range(len(candidates)), key=lambda index: candidates[index].outstanding)


def _sticky(candidates: Sequence[Candidate], key: str) -> int:
    """Rendezvous hashing: when one goes, only its own keys move. The same in every process."""

    def weight(index: int) -> bytes:
        text = f"{candidates[index].address}\n{key}"
        return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()

    return max(range(len(candidates)), key=weight)


def strategy_named(name: str, random: Random) -> Strategy:
    """The strategy of `WriterConfig.strategy`: the index of the candidate that gets the publish."""
    if name == "round_robin":
        turn = -1

        def round_robin(candidates: Sequence[Candidate], _: str) -> int:
            nonlocal turn
            turn = (turn + 1) % len(candidates)
            return turn

        return round_robin
    if name == "random":
        return lambda candidates, _: random.randrange(len(candidates))
    return {
        "first": _first,
        "least_outstanding": _least_outstanding,
        "sticky": _sticky,
    }[name]
