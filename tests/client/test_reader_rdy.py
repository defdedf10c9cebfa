"""A Reader and its RDYs, as nsqds see them (client section 14.2)."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from nsqtx.client.events import RdyLimited
from nsqtx.wire.limits import Limits
from tests.support.logged import Logged
from tests.support.reading import Reading


def test_r1_shares_follow_the_connections() -> None:
    """R1: 10, 5/5, 4/3/3; what is lowered is lowered before another is raised."""
    with Reading(max_in_flight=10) as reading:
        assert reading.rdy == [10]
        reading.log.clear()
        reading.join()
        assert reading.rdy == [5, 5]
        reading.join()
        assert reading.rdy == [4, 3, 3]
        assert [line for line in reading.log if "RDY" in line] == [
            "0: RDY 5",
            "1: RDY 5",
            "0: RDY 4",
            "1: RDY 3",
            "2: RDY 3",
        ]


def test_r1b_what_is_in_flight_counts() -> None:
    """R1b: a connection that joins gets RDY as the others' messages are answered."""
    with Reading(max_in_flight=10) as reading:
        reading.put(*[b"x"] * 20)
        reading.sent()
        second = reading.join()
        second.put("t", *[b"y"] * 20)
        assert reading.sent() == ["RDY 5"]
        assert reading.rdy == [5, 0]
        for answered in range(1, 6):
            reading.finish()
            assert reading.rdy == [5, answered]
            assert sum(reading.in_flight) == 10
        while reading.messages:
            reading.finish()
            assert sum(reading.in_flight) <= 10


def test_r2_survivors_are_raised() -> None:
    """R2: when a connection is lost, the others have its share at once."""
    with Reading(nsqds=3, max_in_flight=10) as reading:
        assert sorted(reading.rdy) == [3, 3, 4]
        reading.nsqds[2].stop()
        assert reading.rdy == [5, 5, 0]


def test_r3_max_in_flight_changes() -> None:
    """R3: in both directions, exactly, at once."""
    with Reading(nsqds=2, max_in_flight=10) as reading:
        for max_in_flight, share in ((2, 1), (6, 3), (100, 50), (10, 5)):
            reading.reader.set_max_in_flight(max_in_flight)
            assert reading.rdy == [share, share]
            assert reading.reader.max_in_flight == max_in_flight
        with pytest.raises(ValueError, match="at least 0"):
            reading.reader.set_max_in_flight(-1)


def test_r4_fewer_than_connections() -> None:
    """R4: some have RDY 1, and who has none gets its turn."""
    with Reading(nsqds=4, max_in_flight=12) as reading:
        assert reading.rdy == [3, 3, 3, 3]
        reading.reader.set_max_in_flight(3)
        assert sorted(reading.rdy) == [0, 1, 1, 1]
        had = set()
        for _ in range(20):
            reading.advance(5)
            assert sorted(reading.rdy) == [0, 1, 1, 1]
            had.add(reading.rdy.index(0))
        assert had == {0, 1, 2, 3}


@pytest.mark.parametrize("state", ["normal", "block", "test"])
def test_r5_nothing_wins(state: str) -> None:
    """R5: paused in any state, RDY is 0 everywhere, and stays so when a block is over."""
    with Reading(nsqds=2, max_in_flight=4) as reading:
        if state != "normal":
            reading.put(b"x")
            reading.fail()
            reading.advance(2 if state == "test" else 1)
        assert reading.reader.stats().backoff_state == state
        reading.reader.pause()
        assert reading.reader.paused
        assert reading.rdy == [0, 0]
        reading.log.clear()
        reading.advance(20)
        assert [line for line in reading.log if "RDY" in line] == []
        reading.reader.resume()
        assert sorted(reading.rdy) == ([2, 2] if state == "normal" else [0, 1])


def test_r6_the_slot_finds_the_messages() -> None:
    """R6: of three connections only one has messages; it gets the only slot soon."""
    with Reading(lambda _: None, nsqds=3, max_in_flight=1) as reading:
        idle = reading.rdy.index(0)
        reading.put(*[b"x"] * 5, nsqd=idle)
        reading.advance(2 * (10 + 5))
        assert reading.nsqds[idle].channel("t", "c").finished == [b"x"] * 5


def test_r7_a_busy_slot_moves_too() -> None:
    """R7: with both always busy, each has the slot at least every low_rdy_timeout."""
    with Reading(nsqds=2, max_in_flight=1) as reading:
        for nsqd in (0, 1):
            reading.put(*[b"x"] * 200, nsqd=nsqd)
        holders = []
        for _ in range(150):
            reading.advance(1)
            reading.finish(len(reading.messages))
            holders.append(reading.rdy.index(1))
        moves = [at for at in range(1, 150) if holders[at] != holders[at - 1]]
        assert len(moves) >= 3
        assert max(b - a for a, b in pairwise(moves)) <= 36


def test_r8_an_idle_share_is_lent() -> None:
    """R8: the busy one has what the idle one does not use, and gives it back."""
    with Reading(nsqds=2, max_in_flight=11, lend_idle_rdy=True) as reading:
        assert sorted(reading.rdy) == [5, 6]
        for _ in range(16):
            reading.advance(1)
            reading.put(b"x")
            reading.finish(len(reading.messages))
        assert reading.rdy == [10, 1]
        reading.put(b"y", nsqd=1)
        reading.finish(1)
        assert sorted(reading.rdy) == [5, 6]


def test_r9_what_was_under_way_is_handled() -> None:
    """R9: messages that come after RDY 0 are as good as others."""
    with Reading(max_in_flight=5) as reading:
        reading.reader.pause()
        ids = [reading.connection.message(b"late") for _ in range(3)]
        reading.reactor.settle()
        assert [each.id for each in reading.messages] == ids
        reading.finish(3)


@pytest.mark.parametrize("seed", range(6))
def test_r10_whatever_happens(seed: int) -> None:
    """R10: nsqds come and go, messages succeed and fail, limits change: the bounds hold."""
    random = Random(seed)
    with Logged(), Reading(nsqds=3, max_in_flight=6, msg_timeout=900) as reading:
        reader = reading.reader
        held_before = 0
        for _ in range(120):
            action = random.randrange(8)
            at = random.randrange(3)
            if action == 0:
                reading.nsqds[at].stop()
                reading.messages = [each for each in reading.messages if not _lost(each)]
            elif action == 1 and not reading.nsqds[at].open:
                reading.nsqds[at].start()
            elif action == 2:
                reader.set_max_in_flight(random.choice([0, 1, 2, 3, 6, 10]))
            elif action == 3 and reading.messages:
                reading.fail()
            elif action in (4, 5) and reading.messages:
                reading.finish(random.randint(1, len(reading.messages)))
            elif action == 6:
                reading.put(*[b"x"] * random.randint(1, 4), nsqd=at)
            else:
                reading.advance(random.choice([0.5, 2, 5, 11]))
            reading.reactor.settle()
            stats = reader.stats()
            held = sum(max(a, b) for a, b in zip(reading.rdy, reading.in_flight, strict=True))
            # When it is lowered, what is in flight already may be more, but it only falls.
            assert held <= max(reader.max_in_flight, held_before)
            assert sum(reading.rdy) <= reader.max_in_flight
            held_before = held
            if stats.backoff_state == "block":
                assert not any(reading.rdy)
            if stats.backoff_state == "test":
                assert sum(reading.rdy) <= 1
        for nsqd in reading.nsqds:
            if not nsqd.open:
                nsqd.start()
        reader.set_max_in_flight(6)
        reading.advance(150)
        # Back at full speed once what is left was answered.
        for _ in range(400):
            reading.put(b"x", nsqd=random.randrange(3))
            reading.finish(len(reading.messages))
            reading.advance(1)
        assert reader.stats().backoff_state == "normal"
        assert reading.rdy == [2, 2, 2]


def _lost(message: object) -> bool:
    return bool(message.source.connection.closed)  # type: ignore[attr-defined]


def test_h11_an_nsqd_that_takes_little() -> None:
    """H11: RDY is never above what the nsqd takes, and that is told."""
    with Reading(nsqd={"limits": Limits(max_rdy_count=5)}, max_in_flight=10) as reading:
        assert reading.rdy == [5]
        assert reading.told(RdyLimited) == [RdyLimited(reading.nsqds[0].address, 5)]


def test_more_handlers_than_messages_is_warned_of() -> None:
    """A concurrency above max_in_flight comes to nothing."""
    with Logged() as logged:
        Reading(concurrency=8)
    assert logged.lines == [
        "W t: of 8 handlers at once no more than max_in_flight, 1, will run",
    ]
