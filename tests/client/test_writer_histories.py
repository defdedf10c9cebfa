"""Random histories of a Writer and nsqds that fail: what it says of a publish is true."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError

from nsqtx.client.errors import Outcome, PublishFailed
from tests.support.scriptednsqd import Command, ScriptedConnection
from tests.support.writers import Setting

NSQDS = 2
CODES = (b"E_PUB_FAILED PUB failed", b"E_BAD_TOPIC PUB topic", b"E_AUTH_FAILED AUTH failed")


class Serving:
    """What one nsqd does with what came by one connection, in its own time."""

    def __init__(self, connection: ScriptedConnection, stored: list[bytes]) -> None:
        self.connection = connection
        self.stored = stored
        self.unanswered = 0
        self._todo: list[Command] = []

    def _next(self) -> Command | None:
        self._todo += self.connection.take()
        return self._todo.pop(0) if self._todo else None

    def store(self, count: int) -> None:
        """Do what the next commands say, and keep the answers."""
        for _ in range(count):
            command = self._next()
            if command is None:
                return
            self.stored += command.messages if command.name == b"MPUB" else [command.body]
            self.unanswered += 1

    def answer(self, count: int) -> None:
        """Let some of the answers go."""
        count = min(count, self.unanswered)
        if count:
            self.unanswered -= count
            self.connection.ok(count)

    def refuse(self, code: bytes) -> None:
        """Refuse the next command, behind the answers to those before it, and close."""
        if self._next() is not None:
            self.answer(self.unanswered)
            self.connection.error(code)


class History:
    """A Writer, its nsqds, and what was published."""

    def __init__(self, **config: Any) -> None:
        self.setting = Setting(nsqds=NSQDS, max_reconnect_delay=1, drain_timeout=5, **config)
        self.stored: list[bytes] = []
        self.published: list[tuple[list[bytes], Any]] = []
        self.results: dict[int, Any] = {}
        self._serving: dict[ScriptedConnection, Serving] = {}

    def serving(self, number: int) -> Serving | None:
        nsqd = self.setting.nsqds[number]
        if not nsqd.connections or nsqd.connection.lost:
            return None
        if nsqd.connection not in self._serving:
            self._serving[nsqd.connection] = Serving(nsqd.connection, self.stored)
        return self._serving[nsqd.connection]

    def publish(self, count: int) -> None:
        index = len(self.published)
        bodies = [b"%d.%d" % (index, each) for each in range(max(1, count))]
        writer = self.setting.writer
        deferred = writer.multi_publish("t", bodies) if count else writer.publish("t", bodies[0])
        self.published.append((bodies, deferred))

        def note(value: Any) -> None:
            assert index not in self.results
            self.results[index] = value

        deferred.addErrback(lambda failure: failure.value).addCallback(note)

    def cancel(self, index: int) -> None:
        if self.published:
            self.published[index % len(self.published)][1].cancel()

    def step(self, step: tuple[str, int, int]) -> None:
        """Do something; ``number`` says to which nsqd, ``count`` how much of it."""
        kind, number, count = step
        nsqd, serving = self.setting.nsqds[number], self.serving(number)
        if kind == "publish":
            self.publish(count)
        elif kind == "cancel":
            self.cancel(count)
        elif kind == "time":
            self.setting.advance(count / 4)
        elif kind == "up":
            nsqd.up = count % 2 == 0
        elif serving is None:
            return
        elif kind == "store":
            serving.store(count)
        elif kind == "answer":
            serving.answer(count)
        elif kind == "refuse":
            serving.refuse(CODES[count % len(CODES)])
        elif kind == "lose":
            serving.connection.lose()
        elif kind == "network":
            network = serving.connection.transport.network
            if network is not None:
                (network.pauseProducing if count % 2 else network.resumeProducing)()
        self.check()

    def check(self) -> None:
        """What must be true at any time."""
        config, stats = self.setting.writer.config, self.setting.writer.stats()
        assert 0 <= stats.outstanding <= config.max_outstanding
        for nsqd in stats.nsqds:
            assert nsqd.outstanding <= config.max_outstanding_per_connection

    def end(self) -> None:
        """Stop it; then each publish has a result, which must be true."""
        self.setting.stop()
        assert len(self.results) == len(self.published)
        stored = set(self.stored)
        for index, (bodies, _) in enumerate(self.published):
            outcome = self.results[index]
            there = [body in stored for body in bodies]
            if outcome == b"OK":
                assert all(there)
            elif isinstance(outcome, PublishFailed):
                assert outcome.outcome is Outcome.UNKNOWN or not any(there)
            else:
                assert isinstance(outcome, CancelledError)
        stats = self.setting.writer.stats()
        assert (stats.outstanding, stats.outstanding_bytes, stats.waiting) == (0, 0, 0)
        ok = sum(len(bodies) for n, (bodies, _) in enumerate(self.published) if self.ok(n))
        assert stats.published == ok
        assert stats.failed == sum(len(bodies) for bodies, _ in self.published) - ok

    def ok(self, index: int) -> bool:
        return bool(self.results[index] == b"OK")


KINDS = ("publish", "publish", "store", "answer", "refuse", "lose", "cancel", "time", "up")
STEPS = st.tuples(
    st.sampled_from([*KINDS, "network"]), st.integers(0, NSQDS - 1), st.integers(0, 5)
)


@settings(max_examples=80, deadline=None)
@given(
    steps=st.lists(STEPS, min_size=10, max_size=60),
    strategy=st.sampled_from(["first", "round_robin", "sticky", "least_outstanding"]),
    when_full=st.sampled_from(["wait", "fail"]),
    retry_unknown=st.booleans(),
    limit=st.integers(1, 6),
)
def test_what_it_says_is_true(
    steps: list[tuple[str, int, int]],
    strategy: str,
    when_full: str,
    retry_unknown: bool,
    limit: int,
) -> None:
    """OK means stored, not executed and rejected mean not stored; each publish has one result."""
    history = History(
        strategy=strategy,
        when_full=when_full,
        retry_unknown=retry_unknown,
        publish_timeout=3,
        max_publish_attempts=2,
        max_outstanding=limit,
        max_outstanding_per_connection=max(1, limit // 2),
    )
    for step in steps:
        history.step(step)
    history.end()
