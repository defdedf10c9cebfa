"""What became of an action, for the page that is shown after it."""

from __future__ import annotations

import secrets

import attrs
from twisted.internet.interfaces import IReactorTime

__all__ = ["Note", "Notes"]

#: How long a note is shown (seconds), and how many are kept.
LIFETIME = 60.0
MAX_NOTES = 500
#: Warnings can be long where many nodes are down.
MAX_WARNINGS = 20


@attrs.frozen
class Note:
    """What was done, and what went wrong meanwhile."""

    text: str
    warnings: list[str]


class Notes:
    """Notes by the id in a URL, so that what pages say never comes from a URL itself."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._notes: dict[str, tuple[float, Note]] = {}

    def keep(self, text: str, warnings: list[str]) -> str:
        """Keep one; its id."""
        id = secrets.token_urlsafe(9)
        self._notes[id] = (self._clock.seconds(), Note(text, warnings[:MAX_WARNINGS]))
        while len(self._notes) > MAX_NOTES:
            del self._notes[next(iter(self._notes))]
        return id

    def find(self, id: str) -> Note | None:
        """A note, as long as it is new."""
        at, note = self._notes.get(id, (0.0, None))
        return note if note is not None and self._clock.seconds() - at <= LIFETIME else None
