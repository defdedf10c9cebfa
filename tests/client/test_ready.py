"""RDY: shares, slots, backoff, pauses, and what is in flight (client section 14.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsqtx.client.backoff import BackoffState
from nsqtx.client.ready import shares
from tests.support.ready import Nsqds

NORMAL, BLOCK, TEST = BackoffState.NORMAL, BackoffState.BLOCK, BackoffState.TEST


@given(st.integers(0, 200), st.lists(st.integers(0, 60), max_size=12))
def test_shares_are_even_and_give_all(max_in_flight: int, caps: list[int]) -> None:
    """Nothing is lost, nobody is above its cap, and who is below another by 2 is at its cap."""
    result = shares(max_in_flight, caps)
    assert sum(result) == min(max_in_flight, sum(caps))
    for given_, cap in zip(result, caps, strict=True):
        assert 0 <= given_ <= cap
        assert given_ == cap or given_ >= max(result) - 1


def test_connections_that_join_share() -> None:
    """R1: 10, then 5/5, then 4/3/3, and what is too high is lowered first."""
    nsqds = Nsqds(10)
    nsqds.join()
    assert nsqds.taken() == [(0, 10)]
    nsqds.join()
    assert nsqds.rdys == [5, 5]
    assert [rdy for _, rdy in nsqds.sent] == [5, 5]
    nsqds.join()
    assert nsqds.rdys == [4, 3, 3]


def test_a_new_connection_grows_as_the_old_is_answered() -> None:
    """R1b: with 10 in flight on the first, the second has only what was answered."""
    nsqds = Nsqds(10)
    first = nsqds.join()
    assert nsqds.push(first, 20) == 10
    second = nsqds.join()
    assert nsqds.rdys == [5, 0]
    assert nsqds.ready.waiting
    for answered in range(1, 6):
        nsqds.answer(first)
        assert nsqds.rdys == [5, answered]
        nsqds.push(second, 10)
        assert first.in_flight + second.in_flight == 10
    assert not nsqds.ready.waiting
    nsqds.taken()
    nsqds.answer(first)
    assert nsqds.taken() == []


def test_survivors_are_raised_at_once() -> None:
    """R2: one of three is lost, and the others share what it had."""
    nsqds = Nsqds(10)
    _, lost, _ = nsqds.joined(3)
    nsqds.push(lost, 3)
    nsqds.leave(lost)
    assert nsqds.rdys == [5, 5]
    nsqds.ready.leave(lost)
    assert nsqds.rdys == [5, 5]


def test_max_in_flight_changes_exactly() -> None:
    """R3: 10, 2, 6, 100 for two connections are 1/1, 3/3, 50/50."""
    nsqds = Nsqds(10)
    nsqds.joined(2)
    for max_in_flight, each in ((2, 1), (6, 3), (100, 50), (10, 5)):
        nsqds.set_max_in_flight(max_in_flight)
        assert nsqds.rdys == [each, each]


def test_lowering_waits_for_no_answer() -> None:
    """Lowered while all is in flight: RDY falls at once, and rises only as it fits again."""
    nsqds = Nsqds(10)
    first, second = nsqds.joined(2)
    nsqds.push(first, 5)
    nsqds.push(second, 5)
    nsqds.set_max_in_flight(2)
    assert nsqds.rdys == [1, 1]
    nsqds.set_max_in_flight(4)
    assert nsqds.rdys == [1, 1]
    nsqds.answer(first, 5)
    assert nsqds.rdys == [1, 1]
    nsqds.answer(second, 3)
    assert nsqds.rdys == [2, 2]


def test_more_connections_than_messages_take_turns() -> None:
    """R4: 12 down to 3 with four connections: three have RDY 1, and all have it in time."""
    nsqds = Nsqds(12)
    every = nsqds.joined(4)
    nsqds.set_max_in_flight(3)
    assert sorted(nsqds.rdys) == [0, 1, 1, 1]
    had = set()
    for _ in range(4):
        nsqds.tick()
        assert sorted(nsqds.rdys) == [0, 1, 1, 1]
        had.add(nsqds.rdys.index(0))
        nsqds.tick()
    assert len(had) > 1
    nsqds.leave(every[had.pop()])
    assert nsqds.rdys == [1, 1, 1]


@pytest.mark.parametrize("mode", [NORMAL, TEST, BLOCK])
def test_a_pause_wins(mode: BackoffState) -> None:
    """R5: with nothing allowed all are at 0 in every state, whatever happens then."""
    nsqds = Nsqds(10)
    nsqds.joined(3)
    nsqds.set_mode(BLOCK)
    nsqds.set_mode(mode)
    nsqds.set_max_in_flight(0)
    assert nsqds.rdys == [0, 0, 0]
    nsqds.taken()
    nsqds.set_mode(TEST)
    nsqds.join()
    nsqds.tick(40)
    assert nsqds.taken() == []
    nsqds.set_max_in_flight(10)
    assert sorted(nsqds.rdys) == [0, 0, 0, 1]


@pytest.mark.parametrize("seed", range(6))
def test_the_only_slot_finds_the_messages(seed: int) -> None:
    """R6: one slot and three connections: the third has it after two idle timeouts at most."""
    nsqds = Nsqds(1, seed)
    *_, third = nsqds.joined(3)
    for _ in range(4):
        if third.rdy:
            break
        nsqds.tick()
    assert third.rdy == 1
    assert sum(nsqds.rdys) == 1


def test_a_busy_slot_moves_too() -> None:
    """R7: two busy connections and one slot: neither keeps it longer than low_rdy_timeout."""
    nsqds = Nsqds(1)
    first, second = nsqds.joined(2)
    moves, holder = 0, first
    since = 0.0
    while nsqds.clock.seconds() < 200:
        for share in (first, second):
            nsqds.answer(share)
            nsqds.push(share)
        nsqds.tick()
        for share in (first, second):
            nsqds.answer(share)
        now_holds = first if first.rdy else second
        if now_holds is not holder:
            assert nsqds.clock.seconds() - since <= 30
            moves, holder, since = moves + 1, now_holds, nsqds.clock.seconds()
    assert moves == 6


def test_a_slow_handler_is_not_idle() -> None:
    """A slot in use stays for low_rdy_timeout; the next has it once the message is answered."""
    nsqds = Nsqds(1)
    slow, other = nsqds.joined(2)
    nsqds.push(slow)
    nsqds.tick(25)
    assert nsqds.rdys == [1, 0]
    nsqds.tick(5)
    assert nsqds.rdys == [0, 0]
    assert nsqds.ready.waiting
    nsqds.answer(slow)
    assert nsqds.rdys == [0, 1]
    assert other.since == 30


def test_a_new_slot_is_not_idle_at_once() -> None:
    """It has low_rdy_idle_timeout from when it got RDY, however long nothing came before."""
    nsqds = Nsqds(1)
    nsqds.joined(2)
    nsqds.tick(60)
    holder = nsqds.rdys.index(1)
    nsqds.tick(5)
    assert nsqds.rdys[holder] == 1
    nsqds.tick(5)
    assert nsqds.rdys[holder] == 0


def test_the_slot_held_longest_moves_first() -> None:
    """Two could move and one connection waits: only the older slot goes there."""
    nsqds = Nsqds(1)
    nsqds.joined(2)
    nsqds.tick(60)
    assert nsqds.rdys == [0, 1]
    nsqds.clock.advance(1)
    nsqds.set_max_in_flight(2)
    nsqds.join()
    assert nsqds.rdys == [1, 1, 0]
    nsqds.tick(60)
    assert nsqds.rdys == [1, 0, 1]


def test_who_has_a_slot_keeps_it_before_who_waits() -> None:
    """One slot is left of two: not for the connection that had no room yet."""
    nsqds = Nsqds(2)
    _, has = nsqds.joined(2)
    nsqds.set_mode(BLOCK)
    nsqds.arrive(has, 2)
    nsqds.set_mode(NORMAL)
    assert nsqds.rdys == [0, 1]
    nsqds.set_max_in_flight(1)
    assert nsqds.rdys == [0, 1]


def test_what_is_idle_is_lent() -> None:
    """R8: 6/5, then 1/10 while the first is idle, and back on its first message."""
    nsqds = Nsqds(11, lending=True)
    first, second = nsqds.joined(2)
    nsqds.clock.advance(6)
    nsqds.push(second)
    nsqds.tick(5)
    assert nsqds.rdys == [1, 10]
    assert (first.lent, second.lent) == (True, False)
    nsqds.push(second, 9)
    nsqds.push(first)
    assert nsqds.rdys == [1, 5]
    assert not first.lent
    nsqds.answer(second, 10)
    assert nsqds.rdys == [6, 5]


def test_nothing_is_lent_while_all_are_idle() -> None:
    """There is nobody to lend to; without the option never anything is lent."""
    for lending in (True, False):
        nsqds = Nsqds(11, lending=lending)
        _, second = nsqds.joined(2)
        nsqds.tick(60)
        assert nsqds.rdys == [6, 5]
        nsqds.push(second)
        nsqds.tick()
        assert nsqds.rdys == ([1, 10] if lending else [6, 5])


def test_lenders_take_what_the_busy_cannot() -> None:
    """The largest RDY of the busy connection is below what is left: the idle ones have the rest."""
    nsqds = Nsqds(11, lending=True)
    nsqds.join()
    busy = nsqds.join(7)
    nsqds.clock.advance(60)
    nsqds.push(busy)
    nsqds.tick()
    assert nsqds.rdys == [4, 7]


def test_late_messages_are_no_error() -> None:
    """R9: what was under way as RDY went to 0 counts, and keeps others from being raised."""
    nsqds = Nsqds(4)
    first, _ = nsqds.joined(2)
    nsqds.set_mode(BLOCK)
    assert nsqds.rdys == [0, 0]
    nsqds.arrive(first, 4)
    nsqds.set_mode(TEST)
    assert nsqds.rdys == [0, 0]
    assert nsqds.ready.waiting
    nsqds.answer(first)
    assert nsqds.rdys == [0, 1]


def test_a_test_moves_to_another_connection() -> None:
    """B6: the one with RDY 1 is lost, and another has it without waiting for anything."""
    nsqds = Nsqds(5)
    every = nsqds.joined(3)
    nsqds.set_mode(BLOCK)
    nsqds.set_mode(TEST)
    assert sorted(nsqds.rdys) == [0, 0, 1]
    nsqds.leave(every[nsqds.rdys.index(1)])
    assert sorted(nsqds.rdys) == [0, 1]
    nsqds.set_mode(NORMAL)
    assert nsqds.rdys == [3, 2]


def test_a_connection_that_comes_during_a_test_gets_it() -> None:
    """B5: none was there when the block was over."""
    nsqds = Nsqds(5)
    nsqds.set_mode(BLOCK)
    nsqds.set_mode(TEST)
    nsqds.join()
    assert nsqds.rdys == [1]


def test_a_closing_connection_counts_till_it_left() -> None:
    """It is sent nothing, and what it has in flight is not given to others."""
    nsqds = Nsqds(10)
    first, _ = nsqds.joined(2)
    nsqds.push(first, 5)
    nsqds.taken()
    nsqds.close(first)
    assert nsqds.taken() == []
    assert nsqds.rdys == [0, 5]
    nsqds.answer(first, 2)
    assert nsqds.rdys == [0, 7]
    nsqds.leave(first)
    assert nsqds.rdys == [10]


def test_after_stop_nothing_is_sent() -> None:
    """Closing one connection after the other raises nobody."""
    nsqds = Nsqds(10)
    first, second = nsqds.joined(2)
    nsqds.taken()
    nsqds.ready.stop()
    nsqds.close(first)
    nsqds.leave(second)
    nsqds.join()
    nsqds.tick(60)
    assert nsqds.sent == []
    assert not nsqds.ready.waiting


def test_no_more_than_nsqd_takes() -> None:
    """H11: max_rdy_count bounds a share, and others have what it leaves."""
    nsqds = Nsqds(10)
    nsqds.join(3)
    assert nsqds.rdys == [3]
    nsqds.join(100)
    assert nsqds.rdys == [3, 7]
    nsqds.join(0)
    assert nsqds.rdys == [3, 7, 0]


def test_starved() -> None:
    """Nearly all of RDY in flight, also at RDY 0, but not without a message."""
    nsqds = Nsqds(20)
    first, _ = nsqds.joined(2)
    ready = nsqds.ready
    assert not ready.starved
    nsqds.push(first, 7)
    assert not ready.starved
    nsqds.push(first)
    assert ready.starved
    nsqds.answer(first, 7)
    assert not ready.starved
    nsqds.set_mode(BLOCK)
    assert ready.starved
    nsqds.answer(first)
    assert not ready.starved


def test_the_snapshot_tells_all() -> None:
    """What is wanted, what was sent, and what is in flight."""
    nsqds = Nsqds(10)
    first = nsqds.join()
    nsqds.push(first, 8)
    nsqds.join()
    shown = nsqds.ready.snapshot()
    assert (shown.mode, shown.max_in_flight, shown.connections) == (NORMAL, 10, 2)
    assert (shown.rdy, shown.target, shown.in_flight, shown.starved) == (7, 10, 8, True)
