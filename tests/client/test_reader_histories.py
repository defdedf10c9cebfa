"""Readers in random histories: whatever happens, every message is finished in the end.

And then nothing is left over: no message in flight, in a queue or with a handler, and RDY is what
it was in the beginning.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from nsqtx.client import Batches, Message, Requeue
from tests.support.logged import Logged
from tests.support.reading import Reading


class Handlers:
    """A handler that does anything that one may do, until it is ``calm``."""

    def __init__(self, random: Random) -> None:
        self.calm = False
        self.reading: Reading
        self._random = random

    def __call__(self, message: Message) -> Any:
        choice = 0 if self.calm else self._random.randrange(10)
        if choice == 1:
            raise ValueError("at once")
        if choice == 2:
            raise Requeue(self._random.choice([0.0, 1.0, None]), self._random.random() < 0.2)
        if choice in (3, 4):
            return self._later(message, self._random.random() * 4)
        if choice == 5:
            message.defer_response()
            self.reading.reactor.callLater(self._random.random() * 4, self._answer, message)
        if choice == 6:
            message.finish()
        if choice == 7:
            return Deferred.fromCoroutine(self._later(message, 0.1))
        return None

    def batch(self, messages: list[Message]) -> Any:
        """Likewise for many."""
        return self(self._random.choice(messages))

    async def _later(self, message: Message, seconds: float) -> None:
        await deferLater(self.reading.reactor, seconds)
        if not self.calm and self._random.random() < 0.2:
            raise ValueError("later")

    def _answer(self, message: Message) -> None:
        if message.answered:
            return
        if self._random.random() < 0.5:
            message.touch()
        if self._random.random() < 0.5:
            message.finish()
        else:
            message.requeue(1.0)


def happen(random: Random, reading: Reading) -> None:
    """Something."""
    nsqd = random.choice(reading.nsqds)
    action = random.randrange(12)
    if action < 4:
        bodies = [b"%d" % random.randrange(10**9) for _ in range(random.randint(1, 20))]
        nsqd.put("t", *bodies)
    elif action == 4 and nsqd.open:
        nsqd.connection.drop()
    elif action == 5 and nsqd.open:
        nsqd.connection.close()
    elif action == 6:
        nsqd.stalled = not nsqd.stalled
    elif action == 7:
        reading.reader.set_max_in_flight(random.choice([0, 1, 2, 5, 20]))
    elif action == 8 and nsqd.open:
        nsqd.connection.send_raw(b"garbage!" * 3)
    elif action == 9:
        nsqd.split = random.choice([0, 1, 7, 100])
    elif action == 10:
        nsqd.refuse(random.choice(["SUB", "IDENTIFY", "RDY"]), "E_INVALID no")
    reading.advance(random.choice([0.0, 0.1, 0.7, 3.0, 8.0]))


@pytest.mark.parametrize("kind", ["plain", "some at once", "touched", "batches", "deflate"])
@pytest.mark.parametrize("seed", range(3))
def test_every_message_is_finished(kind: str, seed: int) -> None:
    """After any history, when everything works again: and nothing is left over."""
    random = Random(seed)
    handlers = Handlers(random)
    kinds: dict[str, dict[str, Any]] = {
        "plain": {},
        "some at once": {"concurrency": 3},
        "touched": {"concurrency": 2, "auto_touch": True},
        "batches": {},
        "deflate": {"deflate": True, "nsqd": {"deflate": True}},
    }
    settings = kinds[kind]
    handle: Any = Batches(handlers.batch, 7, 1.0) if kind == "batches" else handlers
    reading = Reading(
        handle,
        nsqds=3,
        max_in_flight=20,
        max_attempts=0,
        msg_timeout=5,
        default_requeue_delay=2,
        max_backoff_duration=4,
        read_timeout=30,
        handshake_timeout=5,
        **settings,
    )
    handlers.reading = reading
    with Logged(), reading:
        for _ in range(80):
            happen(random, reading)
        handlers.calm = True
        for nsqd in reading.nsqds:
            nsqd.stalled = False
            nsqd.split = 0
            nsqd.forgive()
        reading.reader.set_max_in_flight(20)
        for _ in range(60):
            # What goes well takes it out of its backoff.
            for nsqd in reading.nsqds:
                nsqd.put("t", b"well")
            reading.advance(10)
        channels = [nsqd.channel("t", "c") for nsqd in reading.nsqds]
        assert [(each.depth, each.in_flight, each.deferred) for each in channels] == [(0, 0, 0)] * 3
        stats = reading.reader.stats()
        assert (stats.queued, stats.running, stats.ready.in_flight) == (0, 0, 0)
        assert reading.reader._handling.held == set()
        assert stats.backoff_state == "normal"
        assert sorted(reading.rdy) == [6, 7, 7]
