"""Simulated clusters in trouble keep the promises of doc/reliability.md."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.bugs import FOUND, Bug
from tests.simulation.cluster import profile_of, simulate
from tests.simulation.profiles import PROFILES

#: Seeds of one test, so that tests can run side by side, and of all.
CHUNK = 10
SEEDS = int(os.environ.get("NSQTX_SEEDS", "50"))


def failed(seed: int, profile: str | None = None) -> list[str]:
    """What went wrong, and how to repeat it."""
    profile = profile or profile_of(seed)
    violations = simulate(seed, profile).history.violations
    how = f"repeat it: python -m tests.simulation --seeds {seed} --profile {profile}"
    return [*(f"{promise}: {text}" for promise, text in violations), how] if violations else []


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
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


def test_d1_in_any_process() -> None:
    """Nor does the order of hashes matter, which is another one in every process."""
    command = [sys.executable, "-m", "tests.simulation", "--seeds", "3", "--trace"]
    traces = set()
    for salt in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": salt}
        root = Path(__file__).parents[2]
        run = subprocess.run(command, env=environment, cwd=root, capture_output=True, check=True)
        traces.add(run.stdout.partition(b"\ntrace ")[2].split()[0])
    assert len(traces) == 1


@pytest.mark.parametrize("bug", FOUND, ids=lambda bug: bug.name)
def test_what_was_found_stays_fixed(bug: Bug) -> None:
    """The simulation that found a bug of nsqd goes well."""
    assert failed(bug.seed, bug.profile) == []
