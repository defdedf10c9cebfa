"""Simulated clusters in trouble keep the promises of doc/reliability.md."""

from __future__ import annotations

import os

import pytest

from tests.simulation.cluster import profile_of, simulate

#: Seeds of one test, so that tests can run side by side, and of all.
CHUNK = 10
SEEDS = int(os.environ.get("NSQTX_SEEDS", "200"))


def failed(seed: int) -> list[str]:
    """What went wrong, and how to repeat it."""
    profile = profile_of(seed)
    violations = simulate(seed, profile).history.violations
    how = f"repeat it: python -m tests.simulation --seeds {seed} --profile {profile}"
    return [*(f"{promise}: {text}" for promise, text in violations), how] if violations else []


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_promises_are_kept(first: int) -> None:
    """Nothing that was answered OK is lost, nothing is early, doubled or made up; all heals."""
    assert [text for seed in range(first, first + CHUNK) for text in failed(seed)] == []
