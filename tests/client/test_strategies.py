"""Which nsqd a publish goes to."""

from __future__ import annotations

from collections import Counter
from random import Random

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from nsqtx.client.strategies import Candidate, strategy_named


@attrs.frozen
class Nsqd:
    address: str
    outstanding: int = 0


def nsqds(*outstanding: int) -> list[Candidate]:
    return [Nsqd(f"10.0.0.{n}:4150", count) for n, count in enumerate(outstanding)]


def test_round_robin_goes_round() -> None:
    """Each has its turn, also when there are fewer in between."""
    choose = strategy_named("round_robin", Random(1))
    three = nsqds(0, 0, 0)
    assert [choose(three, "t") for _ in range(4)] == [0, 1, 2, 0]
    assert choose(three[:1], "t") == 0
    assert [choose(three, "t") for _ in range(3)] == [1, 2, 0]


def test_random_takes_all() -> None:
    """Each is taken about as often."""
    choose = strategy_named("random", Random(1))
    counts = Counter(choose(nsqds(0, 0, 0), "t") for _ in range(300))
    assert set(counts) == {0, 1, 2}
    assert min(counts.values()) > 70


def test_least_outstanding() -> None:
    """The one that owes the fewest answers, the first of equals."""
    choose = strategy_named("least_outstanding", Random(1))
    assert choose(nsqds(3, 1, 2), "t") == 1
    assert choose(nsqds(3, 2, 2), "t") == 1


def test_first() -> None:
    """The one that was named first, of those that can take it."""
    assert strategy_named("first", Random(1))(nsqds(9, 0), "t") == 0


@settings(max_examples=50)
@given(st.sets(st.integers(0, 255), min_size=2, max_size=6), st.text(max_size=20), st.data())
def test_sticky_moves_only_what_it_must(numbers: set[int], key: str, data: st.DataObject) -> None:
    """A key stays at its nsqd, whatever the order, until that one is gone."""
    choose = strategy_named("sticky", Random(1))
    candidates: list[Candidate] = [Nsqd(f"10.0.0.{number}:4150") for number in sorted(numbers)]
    chosen = candidates[choose(candidates, key)]
    shuffled = data.draw(st.permutations(candidates))
    assert shuffled[choose(shuffled, key)] == chosen
    other = data.draw(st.sampled_from([each for each in candidates if each != chosen]))
    fewer = [each for each in candidates if each != other]
    assert fewer[choose(fewer, key)] == chosen


def test_sticky_spreads_keys() -> None:
    """Many keys go to all."""
    choose = strategy_named("sticky", Random(1))
    counts = Counter(choose(nsqds(0, 0, 0), f"key {number}") for number in range(300))
    assert min(counts[index] for index in range(3)) > 60
