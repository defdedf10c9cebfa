"""What happened in a simulation, and what of it is not as promised.

Clients say what they published and what they were answered. What nsqd does is seen where it does it
(`tests.simulation.watch`): what is sent, finished, requeued, and when a checkpoint is written. So
times and order are exact, and no packet under way makes a check guess.

A message is *owed* on the channels that existed when its publisher sent it. It is paid when its FIN
was taken there. Debts are only forgiven where doc/reliability.md says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.simulation.ledger import Counts, Finished, Ledger, Place, Publish, Violation
from tests.simulation.pauses import Pauses
from tests.simulation.world import World

__all__ = ["History"]

#: How long a checkpoint may be away, at most, where nothing stands in its way (seconds).
CHECKPOINT = 3.0


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
        #: Whether there is such a channel now.
        self.exists: Callable[[Place], bool] = lambda place: True
        self.pauses = Pauses()
        #: Channels that existed before something was answered OK, which makes them safe.
        self._safe: dict[Place, None] = {}
        self._durability = durability
        #: The disk changes what it keeps, so anything may be lost; but nothing may be made up.
        self._rotten = rotten
        self._ledgers: dict[Place, Ledger] = {}
        self._ids: dict[tuple[str, str, bytes], bytes] = {}

    def fail(self, promise: str, text: str) -> None:
        """A promise was not kept."""
        if len(self.violations) < 20:
            self.violations.append(Violation(promise, f"{self.world.elapsed:.3f} {text}"))
        self.world.note("VIOLATION", promise, text)

    def ledger(self, place: Place) -> Ledger:
        """The book of a channel."""
        found = self._ledgers.get(place)
        if found is None:
            found = self._ledgers[place] = Ledger()
        return found

    # What clients say.

    def channel_exists(self, place: Place) -> None:
        """Somebody was told that there is that channel, maybe by a process that is gone since."""
        if not self.exists(place):
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

    def operated(self, path: str, place: Place, status: int) -> None:
        """An operator was answered."""
        if status != 200:
            return
        self.counts.operations += 1
        if path == "/channel/create":
            self.channel_exists(place)
        elif path.endswith("pause"):
            self.pauses.answered(place, not path.endswith("unpause"))

    # What nsqd does.

    def sent(
        self, place: Place, records: list[bytes], clock: int, offsets: list[float], limit: int
    ) -> None:
        """Messages go out to a consumer. ``clock`` is nsqd's time (ns).

        ``limit`` is how often a message may be delivered; 0: any number of times.
        """
        book = self.ledger(place)
        counts = self.counts
        counts.delivered += len(records)
        held_at = self.pauses.paused_at(place._replace(channel=""))
        if self.pauses.paused_at(place) is not None and not self._rotten:
            self.fail("PAUSE", f"{place} delivers, and is paused")
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
            if held_at is not None and publish.sent_at > held_at:
                self.fail("PAUSE", f"{place} {id!r} was published after the topic was paused")
            if limit and attempts >= limit:
                book.spent.add(body)
                if attempts > limit:
                    self.fail("S9", f"{place} {id!r} has {attempts} attempts, limit {limit}")
            self._check_due(place, book, publish, id, clock, offsets)
            self._check_finished(place, book, id)
            before = book.attempts.get(id, 0)
            if attempts <= before:
                self.fail("S6", f"{place} {id!r} has {attempts} attempts after {before}")
            book.attempts[id] = attempts
            counts.again += body in book.seen
            book.seen.add(body)

    def _check_due(
        self, place: Place, book: Ledger, publish: Publish, id: bytes, clock: int,
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

    def _check_finished(self, place: Place, book: Ledger, id: bytes) -> None:
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

    def buried(self, place: Place, frames: list[bytes]) -> None:
        """Dead letters of a channel are safe in their topic."""
        book = self.ledger(place)
        self.counts.died += len(frames)
        book.gone((frame[18:34] for frame in frames), self.world.now)
        book.dead.update(frame[34:] for frame in frames)
        for frame in frames:
            self.world.note("died", *place, frame[18:34])

    def cleared(self, place: Place, ids: Iterable[bytes], deleted: bool) -> None:
        """A channel is emptied, or deleted. ``ids`` are some that it has and nobody has seen."""
        self.world.note("cleared", *place, deleted)
        book = self.ledger(place)
        book.cleared_at = self.world.now
        book.gone([*book.attempts, *ids], self.world.now)
        self._forgive_at(place, lambda publish: True)
        if deleted:
            self.channels.get(place[:2], {}).pop(place.channel, None)
            self._safe.pop(place, None)
            self.pauses.gone(place)

    def topic_emptied(self, topic: Place, deleted: bool) -> None:
        """What the topic holds, and no channel has yet, is dropped."""
        self.world.note("emptied", *topic, deleted)
        for name in self.channels.get(topic[:2], {}):
            place = topic._replace(channel=name)
            seen = self.ledger(place).seen
            self._forgive_at(place, lambda publish, seen=seen: publish.body not in seen)  # type: ignore[misc]
        if deleted:
            self.pauses.gone(topic)

    def _forgive_at(self, place: Place, which: Callable[[Publish], bool]) -> None:
        """What was published until now needs not be delivered there."""
        self.ledger(place).dead.clear()
        for publish in self.published.values():
            if place in publish.owed and which(publish):
                publish.owed = tuple(each for each in publish.owed if each != place)

    def paused(self, place: Place, paused: bool) -> None:
        """A topic or channel is paused from now on, or not any more."""
        self.world.note("paused", *place, paused)
        self.pauses.set(place, paused, self.world.now)

    def started(self, node: str, paused: Callable[[Place], bool | None]) -> None:
        """A process has started; ``paused`` says what is paused, None: it is not there."""
        for place, wanted in self.pauses.of(node).items():
            found = paused(place)
            if found is not wanted and not self._rotten:
                self.fail("PAUSE", f"{place} is paused: {found}, and was: {wanted}")
                self.pauses.gone(place)

    def checkpoint(self, node: str, topic: str) -> None:
        """A checkpoint of a topic was written."""
        self.counts.checkpoints += 1
        self.pauses.checkpoint(node, topic)
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
        self.pauses.ended(node, how, self.hindered.get(node, 0.0))
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
                if self._durability != "fsync":
                    book.dead.clear()
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
            if not self._rotten
            for place in publish.owed
            if self._owes(publish, self.ledger(place))
        ]

    def _owes(self, publish: Publish, book: Ledger) -> bool:
        """Whether a message must still come: it was answered OK, or was a dead letter (S9)."""
        if publish.body in book.paid:
            return False
        answered = publish.answer == "OK" and not publish.forgiven
        return answered or publish.body in book.dead

    def check_end(self) -> None:
        """Everything was healed, and there was time enough."""
        for place, publish in self.owed():
            book = self.ledger(place)
            seen, spent = publish.body in book.seen, publish.body in book.spent
            self.counts.lost += spent or not seen
            what = "was delivered and never finished" if seen else "is lost"
            kept = "S9" if spent else "S1" if self._durability == "fsync" else "S2"
            self.fail(kept if spent or not seen else "L1", f"{place} {publish.body[:16]!r} {what}")
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
            if place[:2] != (first.node, first.topic) or first.sent_at <= book.cleared_at:
                continue
            if place not in first.owed and (self.counts.power_cuts or place.node in self.hindered):
                continue  # a channel that was made later, with all it had, may be gone
            seen = sum(body in book.seen for body in first.group)
            if 0 < seen < len(first.group):
                self.fail("S7", f"{place} has {seen} of {len(first.group)}: {first.body[:16]!r}")
