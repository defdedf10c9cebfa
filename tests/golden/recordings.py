"""The recorded sessions, by file and name."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from tests.golden.differences import EXPECTED_DIFFERENCES, later

__all__ = ["DATA", "Recording", "adapted", "load_recordings"]

DATA = Path(__file__).resolve().parent / "data"


class Recording(NamedTuple):
    """Where a session is found. ``file`` is relative to ``data``, without its suffix."""

    file: str
    name: str
    session: dict[str, Any]

    @property
    def id(self) -> str:
        """How the test is called."""
        return f"{self.file}/{self.name}"

    @property
    def later(self) -> str | None:
        """What is missing before this can be replayed; None when it must pass now."""
        return later(self.file, self.name)

    @property
    def seconds(self) -> float:
        """How long the replay waits and sleeps at least."""
        total: int = sum(
            step.get("wait_ms", 0) + step.get("sleep_ms", 0) for step in adapted(self)["steps"]
        )
        return total / 1000


def load_recordings() -> list[Recording]:
    """Every session of every file, in order. A name used again gets its number behind it."""
    recordings = []
    for path in sorted(DATA.glob("*/*.json")):
        file = f"{path.parent.name}/{path.stem}"
        used: Counter[str] = Counter()
        # Those of data paths are of another kind, see test_datapath.
        for session in json.loads(path.read_text(encoding="utf-8")).get("sessions", ()):
            name = session["name"]
            used[name] += 1
            if used[name] > 1:
                name = f"{name} #{used[name]}"
            recordings.append(Recording(file, name, session))
    return recordings


def adapted(recording: Recording) -> dict[str, Any]:
    """The session with what differs on purpose put in place."""
    difference = EXPECTED_DIFFERENCES.get((recording.file, recording.name))
    if difference is None:
        return recording.session
    steps = []
    for number, step in enumerate(recording.session["steps"]):
        changed = {**step, **difference.steps.get(number, {})}
        steps.append({key: value for key, value in changed.items() if value is not None})
    return {**recording.session, "steps": steps}
