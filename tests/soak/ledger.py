"""What was published, and what is still to come: the memory of a soak test."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

__all__ = ["Ledger", "Tallies"]

#: A topic and a channel.
Place = tuple[str, str]


@attrs.define
class Tallies:
    """Messages counted, of all topics; deliveries of all channels."""

    published: int = 0
    answered: int = 0
    refused: int = 0
    finished: int = 0
    requeued: int = 0
    #: Deliveries of what was finished before, which NSQ allows.
    again: int = 0
    early: int = 0
    topics_made: int = 0
    topics_deleted: int = 0
    consumers_started: int = 0
    #: Connections for one command or one request.
    visits: int = 0


class Ledger:
    """Knows each message by its number until all channels have finished it, and no longer.

    ``seconds`` is the time by which messages are due.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self.tallies = Tallies()
        self._last = 0
        #: For each channel the messages it has not finished, and when they are due.
        self._open: dict[Place, dict[int, float]] = {}
        #: Those that nsqd has answered; the others may come or not.
        self._unanswered: set[int] = set()

    def watch(self, topic: str, channel: str) -> None:
        """From now on the channel is to get everything."""
        self._open[topic, channel] = {}

    def forget(self, topic: str) -> None:
        """The topic is deleted."""
        for place in [place for place in self._open if place[0] == topic]:
            del self._open[place]

    def number(self, topic: str, count: int = 1, after: float = 0.0) -> list[int]:
        """Numbers for messages that are about to be published, due after so many seconds."""
        numbers = list(range(self._last + 1, self._last + 1 + count))
        self._last += count
        self.tallies.published += count
        self._unanswered.update(numbers)
        due = self._seconds() + after if after else 0.0
        for place, unfinished in self._open.items():
            if place[0] == topic:
                unfinished.update(dict.fromkeys(numbers, due))
        return numbers

    def answered(self, numbers: Iterable[int]) -> None:
        """They were answered OK."""
        self._unanswered.difference_update(numbers)
        self.tallies.answered = (
            self.tallies.published - self.tallies.refused - len(self._unanswered)
        )

    def refused(self, numbers: Iterable[int]) -> None:
        """They were not: nobody waits for them."""
        for number in numbers:
            self._unanswered.discard(number)
            self.tallies.refused += 1
            for unfinished in self._open.values():
                unfinished.pop(number, None)

    def finished(self, topic: str, channel: str, number: int) -> None:
        """A consumer has finished it."""
        self.tallies.finished += 1
        due = self._open.get((topic, channel), {}).pop(number, None)
        if due is None:
            self.tallies.again += 1
        elif self._seconds() < due:
            self.tallies.early += 1

    def waiting(self, topic: str = "") -> int:
        """How many deliveries are to come, of a topic or of all."""
        return sum(
            len(unfinished) for place, unfinished in self._open.items() if topic in ("", place[0])
        )

    def missing(self) -> dict[str, int]:
        """How many are to come, by topic and channel."""
        return {
            "/".join(place): len(unfinished)
            for place, unfinished in self._open.items()
            if unfinished
        }
