"""Simulated clusters in trouble keep the promises of doc/reliability.md."""

from __future__ import annotations

import pytest

from tests.simulation.cluster import profile_of, simulate
from tests.simulation.profiles import PROFILES

#: Seeds of one test, so that tests can run side by side.
CHUNK = 10
#: Seeds that found something once, with their profiles.
REGRESSIONS = [
    (289, "fsync", "a power cut after a kill took directories that nobody had synced"),
    (111, "power", "an empty nsqd.dat, all that was left after a power cut, kept nsqd down"),
    (38, "memory", "a topic that waited for nsqlookupd left an error behind when nsqd stopped"),
    (283, "fsync", "an answer that waited for its commit was sent to a connection that was lost"),
]


def failed(seed: int, profile: str | None = None) -> list[str]:
    """What went wrong, and how to repeat it."""
    profile = profile or profile_of(seed)
    violations = simulate(seed, profile).history.violations
    how = f"repeat it: python -m tests.simulation --seeds {seed} --profile {profile}"
    return [*(f"{promise}: {text}" for promise, text in violations), how] if violations else []


@pytest.mark.parametrize("first", range(0, 200, CHUNK))
def test_promises_are_kept(first: int) -> None:
    """Nothing that was answered OK is lost, nothing is early, doubled or made up; all heals."""
    assert [text for seed in range(first, first + CHUNK) for text in failed(seed)] == []


@pytest.mark.parametrize("seed", range(len(PROFILES)))
def test_d1_the_same_seed_is_the_same_history(seed: int) -> None:
    """To the last packet, whatever was simulated in between; another seed is another history."""
    first = simulate(seed).world.trace_hash
    other = simulate(seed + 1000).world.trace_hash
    assert first != other
    assert simulate(seed).world.trace_hash == first


@pytest.mark.parametrize(("seed", "profile", "what"), REGRESSIONS)
def test_what_was_found_stays_fixed(seed: int, profile: str, what: str) -> None:
    """Each of these failed once."""
    assert failed(seed, profile) == []
