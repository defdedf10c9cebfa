"""The soak test (`tests.soak`), for seconds rather than for half an hour."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


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
