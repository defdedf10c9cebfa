"""A seed is a history; a long run has its figures; what was found stays fixed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.bugs import FOUND, Bug
from tests.simulation.cluster import simulate
from tests.simulation.profiles import PROFILES


@pytest.mark.parametrize("seed", range(len(PROFILES)))
def test_d1_the_same_seed_is_the_same_history(seed: int) -> None:
    """To the last packet, whatever was simulated in between; another seed is another history."""
    first = simulate(seed).world.trace_hash
    other = simulate(seed + 1000).world.trace_hash
    assert first != other
    assert simulate(seed).world.trace_hash == first


def test_d1_in_any_process() -> None:
    """Nor does the order of hashes matter, which is another one in every process."""
    command = [sys.executable, "-m", "tests.simulation", "--seeds", "0-6", "--trace"]
    traces = set()
    for salt in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": salt}
        root = Path(__file__).parents[2]
        run = subprocess.run(command, env=environment, cwd=root, capture_output=True, check=True)
        traces.add(tuple(re.findall(rb"^trace (\w+)$", run.stdout, re.MULTILINE)))
    assert len(traces) == 1
    assert len(traces.pop()) == len(PROFILES)


def test_a_long_run_that_is_cut_short_has_its_figures() -> None:
    """SIGINT ends it with the sums of all processes."""
    command = [sys.executable, "-m", "tests.simulation", "--seeds", "0-10000"]
    command += ["--jobs", "2", "--progress", "1"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        while not run.stdout.readline().startswith(f"{'failed':>12}"):
            assert run.poll() is None
        run.send_signal(signal.SIGINT)
        end = run.stdout.read().partition("ended by a signal")[2]
    figures = {words[0]: int(words[-1].replace(",", "")) for words in table(end)}
    assert run.returncode == 0
    assert figures["simulations"] >= 1
    assert figures["published"] >= figures["answered"] > 0
    assert figures["lost"] == figures["failed"] == 0
    assert "s of CPU" in end


def table(text: str) -> list[list[str]]:
    """The words of the lines that end with a number."""
    lines = [line.split() for line in text.splitlines()]
    return [words for words in lines if words and words[-1].replace(",", "").isdigit()]


#: Simulations that found what is fixed now. What happens in them changes with nsqd, so each fault
#: has a test of its own, too: doc/reliability.md, "What it has found".
REGRESSIONS = [
    ("os", 36),
    ("os", 330),
    ("memory", 2),
    ("fsync", 177),
    ("fsync", 1213),
    ("fsync", 78),
    ("fsync", 40345),
    ("rot", 204593),
]


@pytest.mark.parametrize(("profile", "seed"), REGRESSIONS)
def test_what_found_something_goes_well(profile: str, seed: int) -> None:
    """The simulations as they were named when they failed."""
    assert simulate(seed, profile).history.violations == []


@pytest.mark.parametrize("bug", FOUND, ids=lambda bug: bug.name)
def test_what_was_found_stays_fixed(bug: Bug) -> None:
    """The simulation that found a bug of nsqd goes well."""
    assert simulate(bug.seed, bug.profile).history.violations == []
