"""What happened in a simulation, and what of it is not as promised.

Clients say what they published and what they were answered. What nsqd does is seen where it does it
(`tests.simulation.watch`): what is sent, finished, requeued, and when a checkpoint is written. So
times and order are exact, and no packet under way makes a check guess.

A message is *owed* on the channels that existed when its publisher sent it. It is paid when its FIN
was taken there. Debts are only forgiven where doc/reliability.md says so.
"""

from __future__ import annotations

from typing import NamedTuple

import attrs

from tests.simulation.world import World

__all__ = ["Counts", "Finished", "History", "Place", "Publish", "Violation"]

#: How long a checkpoint may be away, at most, where nothing stands in its way (seconds).
CHECKPOINT = 3.0


class Place(NamedTuple):
    """A channel on one nsqd."""

    node: str
    topic: str
    channel: str


class Violation(NamedTuple):
    """A promise that was not kept, by its name in doc/reliability.md."""

    promise: str
    text: str


#: How long an answer of a process that has ended may be under way.
UNDER_WAY = 1.0


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
    """A message whose FIN was taken. ``known``: a checkpoint says so."""

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
    forgiven: int = 0
    lost: int = 0

    def add(self, other: Counts) -> None:
        """Add the figures of another one."""
        for field in attrs.fields(Counts):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


class _Ledger:
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


class History:
    """See above. ``violations`` is empty as long as all is well."""

    def __init__(self, world: World, durability: str, rotten: bool = False) -> None:
        self.world = world
        self.counts = Counts(simulations=1)
        self.violations: list[Violation] = []
        self.published: dict[bytes, Publish] = {}
        self.channels: dict[tuple[str, str], dict[str, None]] = {}
        #: Nodes whose disk or processor kept them from writing checkpoints, and until when.
        self.hindered: dict[str, float] = {}
        #: Nodes on whose disk a sync has failed: what it was to make safe may be read and is not.
        self.spoilt: dict[str, None] = {}
        #: When a process of a node ended last.
        self._ended_at: dict[str, float] = {}
        #: Channels that existed before something was answered OK, which makes them safe.
        self._safe: dict[Place, None] = {}
        self._durability = durability
        #: The disk changes what it keeps, so anything may be lost; but nothing may be made up.
        self._rotten = rotten
        self._ledgers: dict[Place, _Ledger] = {}
        self._ids: dict[tuple[str, str, bytes], bytes] = {}

    def fail(self, promise: str, text: str) -> None:
        """A promise was not kept."""
        if len(self.violations) < 20:
            self.violations.append(Violation(promise, f"{self.world.elapsed:.3f} {text}"))
        self.world.note("VIOLATION", promise, text)

    def ledger(self, place: Place) -> _Ledger:
        """The book of a channel."""
        found = self._ledgers.get(place)
        if found is None:
            found = self._ledgers[place] = _Ledger()
        return found

    # What clients say.

    def channel_exists(self, place: Place) -> None:
        """A consumer was told that it is on that channel, maybe by a process that is gone since."""
        if self.world.now - self._ended_at.get(place.node, -UNDER_WAY) < UNDER_WAY:
            return
        self.channels.setdefault((place.node, place.topic), {})[place.channel] = None

    def publishing(self, node: str, topic: str, bodies: list[bytes], delay: float) -> list[Publish]:
        """A publisher sends messages, together."""
        names = self.channels.get((node, topic), {})
        owed = tuple(Place(node, topic, name) for name in names)
        made = []
        for body in bodies:
            publish = Publish(body, node, topic, delay, self.world.now, owed, bodies)
            assert body not in self.published
            self.published[body] = publish
            made.append(publish)
        self.counts.published += len(bodies)
        return made

    def answered(self, publishes: list[Publish], answer: str) -> None:
        """A publisher was answered."""
        for each in publishes:
            each.answer = answer
        if answer == "OK":
            self.counts.answered += len(publishes)
            self._safe.update(dict.fromkeys(publishes[0].owed))
        else:
            self.counts.refused += len(publishes)
        self.world.note("answer", publishes[0].body[:16], len(publishes), answer)

    # What nsqd does.

    def sent(self, place: Place, records: list[bytes], clock: int, offsets: list[float]) -> None:
        """Messages go out to a consumer. ``clock`` is nsqd's time (ns)."""
        book = self.ledger(place)
        counts = self.counts
        counts.delivered += len(records)
        for record in records:
            id, attempts, body = record[18:34], int.from_bytes(record[16:18], "big"), record[34:]
            self.world.note("sent", *place, id, attempts)
            publish = self.published.get(body)
            if publish is None or (publish.node, publish.topic) != place[:2]:
                self.fail("S7", f"{place} delivers what nobody published: {body[:40]!r}")
                continue
            if self._rotten:
                continue
            known = self._ids.setdefault((place.node, place.topic, id), body)
            if known != body:
                self.fail("S7", f"{place} {id!r} is {body[:16]!r}, and was {known[:16]!r}")
            self._check_due(place, book, publish, id, clock, offsets)
            self._check_finished(place, book, id)
            before = book.attempts.get(id, 0)
            if attempts <= before:
                self.fail("S6", f"{place} {id!r} has {attempts} attempts after {before}")
            book.attempts[id] = attempts
            counts.again += body in book.seen
            book.seen.add(body)

    def _check_due(
        self, place: Place, book: _Ledger, publish: Publish, id: bytes, clock: int,
        offsets: list[float],
    ) -> None:  # fmt: skip
        # When the clock is set back, what was due before is due all the same.
        clock = max(clock, int((self.world.now + max(offsets)) * 1e9))
        early = book.due.get(id, 0) - clock
        book.due.pop(id, None)
        if publish.delay and id not in book.attempts:
            due = publish.sent_at + min(offsets) + publish.delay
            early = max(early, int(due * 1e9) - clock)
        if early > 1000:
            self.fail("S5", f"{place} {id!r} is delivered {early / 1e9:.3f} s early")

    def _check_finished(self, place: Place, book: _Ledger, id: bytes) -> None:
        finished = book.finished.get(id)
        if finished is None:
            return
        if finished.known:
            self.fail("S4", f"{place} {id!r} comes again after its FIN was in a checkpoint")
        elif finished.ended_at is None:
            self.fail("S4", f"{place} {id!r} comes again after its FIN, without a crash")
        elif finished.ended_at - finished.at > CHECKPOINT:
            hindered = self.hindered.get(place.node, 0.0)
            if hindered < finished.at:
                late = finished.ended_at - finished.at
                self.fail("S4", f"{place} {id!r} comes again {late:.3f} s after its FIN")
        del book.finished[id]

    def finished(self, place: Place, records: list[bytes]) -> None:
        """FINs were taken."""
        book = self.ledger(place)
        self.counts.finished += len(records)
        for record in records:
            done = book.finished[record[18:34]] = Finished(self.world.now)
            book.fresh.append(done)
            book.paid.add(record[34:])
            self.world.note("fin", *place, record[18:34])

    def requeued(self, place: Place, record: bytes, due: int) -> None:
        """A REQ was taken; it comes again at ``due`` (ns)."""
        self.counts.requeued += 1
        self.ledger(place).due[record[18:34]] = due
        self.world.note("req", *place, record[18:34])

    def checkpoint(self, node: str, topic: str) -> None:
        """A checkpoint of a topic was written."""
        self.counts.checkpoints += 1
        for place, book in self._ledgers.items():
            if place[:2] != (node, topic):
                continue
            for finished in book.fresh:
                finished.known = True
            book.fresh.clear()
            book.noted_attempts = dict(book.attempts)
            book.noted_due = dict(book.due)

    def ended(self, node: str, how: str) -> None:
        """A process of nsqd ended: ``stop``, ``kill`` or ``cut``."""
        self._ended_at[node] = self.world.now
        counts = self.counts
        counts.kills += how == "kill"
        counts.power_cuts += how == "cut"
        counts.stops += how == "stop"
        for place, book in self._ledgers.items():
            if place.node != node:
                continue
            for finished in book.fresh:
                finished.ended_at = self.world.now
            book.fresh.clear()
            if how == "cut":
                for finished in book.finished.values():
                    finished.known, finished.ended_at = False, finished.at
                book.noted_attempts, book.noted_due = {}, {}
            if how != "stop" or self.hindered.get(node, 0.0) > self.world.now:
                book.attempts = dict(book.noted_attempts)
                book.due = dict(book.noted_due)
        if how == "cut":
            self._forget_channels(node, self._safe if self._durability == "fsync" else {})
        elif node in self.hindered:
            # The checkpoint with a new channel may have been refused.
            self._forget_channels(node, self._safe)
        if (how == "cut" and self._durability != "fsync") or (
            self._durability == "memory"
            and (how == "kill" or self.hindered.get(node, 0.0) > self.world.now)
        ):
            self._forgive(node)

    def _forget_channels(self, node: str, safe: dict[Place, None]) -> None:
        """A channel that is not safe may be gone, until somebody subscribes again."""
        for key, names in self.channels.items():
            if key[0] == node:
                self.channels[key] = {n: None for n in names if Place(*key, n) in safe}
        for publish in self.published.values():
            if publish.node == node and not publish.answer:
                # Whoever says OK to it will be another process, with the channels it finds.
                publish.owed = tuple(place for place in publish.owed if place in safe)

    def _forgive(self, node: str) -> None:
        for publish in self.published.values():
            if publish.node == node:
                publish.forgiven = True

    # In the end.

    def owed(self) -> list[tuple[Place, Publish]]:
        """What is still to be delivered and finished."""
        return [
            (place, publish)
            for publish in self.published.values()
            if publish.answer == "OK" and not publish.forgiven and not self._rotten
            for place in publish.owed
            if publish.body not in self.ledger(place).paid
        ]

    def check_end(self) -> None:
        """Everything was healed, and there was time enough."""
        for place, publish in self.owed():
            seen = publish.body in self.ledger(place).seen
            self.counts.lost += not seen
            what = "was delivered and never finished" if seen else "is lost"
            kept = "S1" if self._durability == "fsync" else "S2"
            self.fail("L1" if seen else kept, f"{place} {publish.body[:16]!r} {what}")
        self.counts.forgiven = sum(p.forgiven and p.answer == "OK" for p in self.published.values())
        for publish in self.published.values():
            if len(publish.group) > 1 and publish.body is publish.group[0]:
                self._check_group(publish)

    def _check_group(self, first: Publish) -> None:
        """MPUB is all or nothing (S7)."""
        if first.forgiven or self._rotten:
            return
        if first.answer != "OK" and first.node in self.spoilt and self.counts.power_cuts:
            return
        for place, book in self._ledgers.items():
            if place[:2] != (first.node, first.topic):
                continue
            if place not in first.owed and (self.counts.power_cuts or place.node in self.hindered):
                continue  # a channel that was made later, with all it had, may be gone
            seen = sum(body in book.seen for body in first.group)
            if 0 < seen < len(first.group):
                self.fail("S7", f"{place} has {seen} of {len(first.group)}: {first.body[:16]!r}")
