"""The books that the `History` of a simulation keeps: messages, channels, figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import attrs

__all__ = ["Counts", "Finished", "Ledger", "Place", "Publish", "Violation"]


class Place(NamedTuple):
    """A channel on one nsqd; a topic when ``channel`` is empty."""

    node: str
    topic: str
    channel: str


class Violation(NamedTuple):
    """A promise that was not kept, by its name in doc/reliability.md."""

    promise: str
    text: str


@attrs.define(eq=False)
class Publish:
    """One message on its way in. ``group`` are the bodies that were published with it."""

    body: bytes
    node: str
    topic: str
    delay: float
    sent_at: float
    owed: tuple[Place, ...]
    group: list[bytes]
    #: ``OK``, the text of an error, or None: nobody knows.
    answer: str | None = None
    #: It may be lost, or came only in part.
    forgiven: bool = False


@attrs.define(eq=False)
class Finished:
    """A message whose FIN was taken, or that went otherwise. ``known``: a checkpoint says so."""

    at: float
    known: bool = False
    #: When nsqd ended after that, without a checkpoint.
    ended_at: float | None = None


@attrs.define
class Counts:
    """Figures of a simulation, or of many."""

    simulations: int = 0
    events: int = 0
    seconds: float = 0.0
    kills: int = 0
    power_cuts: int = 0
    stops: int = 0
    faults: int = 0
    published: int = 0
    answered: int = 0
    refused: int = 0
    delivered: int = 0
    again: int = 0
    finished: int = 0
    requeued: int = 0
    checkpoints: int = 0
    operations: int = 0
    died: int = 0
    forgiven: int = 0
    lost: int = 0

    def add(self, other: Counts) -> None:
        """Add the figures of another one."""
        for field in attrs.fields(Counts):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


class Ledger:
    """What is known of the messages of one channel, by id."""

    def __init__(self) -> None:
        self.finished: dict[bytes, Finished] = {}
        #: FINs that no checkpoint knows yet.
        self.fresh: list[Finished] = []
        self.attempts: dict[bytes, int] = {}
        self.noted_attempts: dict[bytes, int] = {}
        #: Requeued: not before this time of nsqd's clock (ns).
        self.due: dict[bytes, int] = {}
        self.noted_due: dict[bytes, int] = {}
        self.seen: set[bytes] = set()
        self.paid: set[bytes] = set()
        #: Bodies that were delivered as often as they may, and of these the moved dead letters.
        self.spent: set[bytes] = set()
        self.dead: set[bytes] = set()
        #: When the channel was last emptied, or deleted with all it had.
        self.cleared_at = 0.0

    def gone(self, ids: Iterable[bytes], at: float) -> None:
        """Messages that are in the channel no more, and must not come again."""
        for id in ids:
            if id not in self.finished:
                done = self.finished[id] = Finished(at)
                self.fresh.append(done)
