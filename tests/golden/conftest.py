"""Recordings that wait for a later feature are deselected, and counted where everyone sees it.

``NSQTX_GOLDEN_ALL=1`` runs them all the same.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.golden.recordings import Recording

LATER_COUNT = pytest.StashKey[Counter[str]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take the sessions of later features out of the run."""
    counted: Counter[str] = Counter()
    deselected = []
    for item in list(items):
        if "replays" not in getattr(item, "fixturenames", ()) or not hasattr(item, "callspec"):
            continue
        recording = item.callspec.params["recording"]
        if isinstance(recording, Recording) and recording.later:
            counted[recording.later] += 1
            deselected.append(item)
    config.stash[LATER_COUNT] = counted
    if deselected and not os.environ.get("NSQTX_GOLDEN_ALL"):
        gone = set(map(id, deselected))
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if id(item) not in gone]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many recordings wait, and for what."""
    counted = terminalreporter.config.stash.get(LATER_COUNT, Counter())
    if counted:
        waiting = ", ".join(f"{feature}: {count}" for feature, count in sorted(counted.items()))
        terminalreporter.write_line(f"golden recordings that wait for a later feature: {waiting}")
