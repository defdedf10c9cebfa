"""Random histories with a limit of deliveries, dead letters and redrives, against the same law."""

from __future__ import annotations

import sys
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from nsqtx.broker.redrive import Redrive
from tests.broker.test_law import History

DLQ = "t.c.dlq"


class DeadLetterHistory(History):
    """What was published is ready, in flight, deferred, finished, or a dead letter."""

    @precondition(lambda self: self.channel)
    @rule(limit=st.sampled_from([0, 1, 1, 2]))
    def limit_attempts(self, limit: int) -> None:
        assert self.channel is not None
        self.channel.limit_attempts(limit)

    @precondition(lambda self: self.channel)
    @rule(limit=st.sampled_from([1, 3, sys.maxsize]))
    def redrive(self, limit: int) -> None:
        assert self.channel is not None
        dead = self.dead()
        work = Redrive(self.broker, self.topic, self.channel, limit)
        while not work.done:
            work.step()
        assert work.count == min(limit, sum(dead.values()))
        for body in dead - self.dead():
            self.attempts.pop(body, None)

    def dead(self) -> Counter[bytes]:
        """What the dead-letter topic holds."""
        topic = self.broker.topics.get(DLQ)
        if topic is None:
            return Counter()
        return Counter(record[34:] for record in topic.held.first(sys.maxsize))

    @rule()
    def crash(self) -> None:
        """As before, and a message may be in both topics, if no checkpoint came in between."""
        super().crash()
        self.finished -= set(self.dead())

    @invariant()
    def nothing_is_lost(self) -> None:
        places = self.in_places() | set(self.dead())
        assert set(self.published) - places - self.finished == set()

    @invariant()
    def counts_agree(self) -> None:
        channel, dead = self.channel, sum(self.dead().values())
        places = self.topic.depth
        if channel is not None:
            places += channel.depth + channel.in_flight_count + channel.deferred_count
        unfinished = len(self.published) - len(self.finished)
        if self.crashed:
            assert places + dead >= unfinished
        else:
            assert places + dead == unfinished
            assert not self.in_places() & set(self.dead())


TestDeadLetterHistory = DeadLetterHistory.TestCase
TestDeadLetterHistory.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)
