"""The soak test (`tests.soak`), for seconds rather than for half an hour."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak.verdict import MIB, Sample, faults_of
from tests.soak.vitals import Vitals


@pytest.mark.timeout(120)
def test_s8_a_cluster_at_work(tmp_path: Path) -> None:
    """All that was answered OK is delivered, nobody logs an error, no memory, descriptors or disk

    are used up.
    """
    command = [sys.executable, "-m", "tests.soak", "--minutes=0.07", "--rate=200", "--pace=0.7"]
    record = tmp_path / "record.csv"
    done = subprocess.run([*command, f"--csv={record}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all is well" in done.stdout
    assert len(record.read_text().splitlines()) >= 3


def growing(rss: float = 0.0, fds: float = 0.0, disk: float = 0.0) -> list[Sample]:
    """A run of 20 minutes in which so much is added each minute."""
    return [
        Sample(
            60.0 * minute,
            {"nsqd": Vitals(int(50 * MIB + rss * minute), int(20 + fds * minute), 0.0)},
            {"nsqd": int(4 * MIB + disk * minute)},
            0,
        )
        for minute in range(21)
    ]


@pytest.mark.parametrize(
    ("samples", "fault"),
    [
        (growing(), ""),
        (growing(rss=100_000), ""),
        (growing(rss=2 * MIB), "memory"),
        (growing(fds=2), "descriptors"),
        (growing(disk=2 * MIB), "disk"),
    ],
)
def test_what_grows_is_noticed(samples: list[Sample], fault: str) -> None:
    """Memory, descriptors, disk."""
    faults = faults_of(samples)
    assert len(faults) == bool(fault)
    assert fault in "".join(faults)
