"""Whatever happens to a consumer, the invariants of RDY hold (client section 14.2, R10)."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nsqtx.client.backoff import BackoffState
from nsqtx.client.ready import Share
from tests.support.ready import Nsqds

WHICH = st.integers(0, 100)


class Histories(RuleBasedStateMachine):
    """`Nsqds` checks the bound at every raise; here is what must be true after each step."""

    @initialize(seed=st.integers(0, 9), max_in_flight=st.integers(0, 20), lending=st.booleans())
    def begin(self, seed: int, max_in_flight: int, lending: bool) -> None:
        self.nsqds = Nsqds(max_in_flight, seed, lending=lending)

    @precondition(lambda self: len(self.nsqds.shares) < 8)
    @rule(max_rdy=st.sampled_from([1, 2, 5, 2500]))
    def join(self, max_rdy: int) -> None:
        self.nsqds.join(max_rdy)

    @precondition(lambda self: self.nsqds.shares)
    @rule(which=WHICH)
    def leave(self, which: int) -> None:
        self.nsqds.leave(self._one(which))

    @precondition(lambda self: self.nsqds.shares)
    @rule(which=WHICH)
    def close(self, which: int) -> None:
        self.nsqds.close(self._one(which))

    @rule(max_in_flight=st.integers(0, 20))
    def set_max_in_flight(self, max_in_flight: int) -> None:
        self.nsqds.set_max_in_flight(max_in_flight)

    @rule(mode=st.sampled_from(list(BackoffState)))
    def set_mode(self, mode: BackoffState) -> None:
        self.nsqds.set_mode(mode)

    @precondition(lambda self: self.nsqds.shares)
    @rule(which=WHICH, count=st.integers(1, 20))
    def push(self, which: int, count: int) -> None:
        self.nsqds.push(self._one(which), count)

    @precondition(lambda self: any(not share.closing for share in self.nsqds.shares))
    @rule(which=WHICH, count=st.integers(1, 3))
    def arrive_late(self, which: int, count: int) -> None:
        self.nsqds.arrive(self._one(which), count)

    @precondition(lambda self: self.nsqds.shares)
    @rule(which=WHICH, count=st.integers(1, 20))
    def answer(self, which: int, count: int) -> None:
        self.nsqds.answer(self._one(which), count)

    @rule(seconds=st.sampled_from([1.0, 5.0, 40.0]))
    def tick(self, seconds: float) -> None:
        self.nsqds.tick(seconds)

    @rule()
    def settle(self) -> None:
        """All is answered: everyone has what is due to it."""
        nsqds = self.nsqds
        for share in nsqds.shares:
            nsqds.answer(share, share.in_flight)
        open_ = [share for share in nsqds.shares if not share.closing]
        wanted = nsqds.ready.max_in_flight
        assert not nsqds.ready.waiting
        if nsqds.ready.mode is BackoffState.NORMAL:
            assert sum(nsqds.rdys) == min(wanted, sum(share.max_rdy for share in open_))
            if wanted >= len(open_):
                assert all(share.rdy for share in open_)
            else:
                assert max(nsqds.rdys) <= 1
        elif nsqds.ready.mode is BackoffState.TEST:
            assert sum(nsqds.rdys) == min(1, wanted, len(open_))

    @invariant()
    def bounds(self) -> None:
        nsqds = self.nsqds
        rdys, ready = nsqds.rdys, nsqds.ready
        assert all(0 <= share.rdy <= share.target for share in nsqds.shares)
        assert sum(share.target for share in nsqds.shares) <= ready.max_in_flight
        assert ready.waiting == any(share.rdy < share.target for share in nsqds.shares)
        assert not any(share.rdy for share in nsqds.shares if share.closing)
        if ready.mode is BackoffState.BLOCK or not ready.max_in_flight:
            assert not any(rdys)
        if ready.mode is BackoffState.TEST:
            assert sum(rdys) <= 1
            room = ready.max_in_flight - sum(share.held for share in nsqds.shares)
            if room > 0 and not all(share.closing for share in nsqds.shares):
                assert sum(rdys) == 1

    def _one(self, which: int) -> Share:
        return self.nsqds.shares[which % len(self.nsqds.shares)]


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
