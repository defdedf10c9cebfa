"""The tables of differences speak of sessions that exist and of answers that really differ."""

from __future__ import annotations

import pytest

from tests.golden.differences import EXPECTED_DIFFERENCES, LATER, REPLAYED_NOW
from tests.golden.recordings import load_recordings
from tests.golden.replay import STEP_KEYS

RECORDINGS = load_recordings()
SESSIONS = {(r.file, r.name): r.session for r in RECORDINGS}
FILES = {r.file for r in RECORDINGS}


def test_recordings_have_one_name_each() -> None:
    """No session hides another, and they are all there."""
    assert len(SESSIONS) == len(RECORDINGS) > 400


@pytest.mark.parametrize("key", EXPECTED_DIFFERENCES, ids="/".join)
def test_expected_difference(key: tuple[str, str]) -> None:
    """An expected difference has a reason and changes recorded steps."""
    difference = EXPECTED_DIFFERENCES[key]
    assert difference.reason
    assert difference.steps
    for number, changes in difference.steps.items():
        step = SESSIONS[key]["steps"][number]
        assert changes
        for name, value in changes.items():
            assert step.get(name) != value, f"step {number}: {name} is as recorded"


def test_later_sessions_exist() -> None:
    """Nothing waits that was never recorded, and nothing both waits and differs."""
    for file, name in LATER:
        assert file in FILES
        assert name == "*" or (file, name) in SESSIONS
    assert not REPLAYED_NOW - SESSIONS.keys()
    assert not LATER.keys() & EXPECTED_DIFFERENCES.keys()


def test_steps_are_understood() -> None:
    """The replayer knows every key of every step, also of sessions that wait."""
    for recording in RECORDINGS:
        for number, step in enumerate(recording.session["steps"]):
            assert not step.keys() - STEP_KEYS, f"{recording.id}, step {number}"
