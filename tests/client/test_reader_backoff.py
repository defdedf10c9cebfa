"""A Reader that backs off, as an nsqd sees it (client section 14.3)."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from nsqtx.client.events import BackoffChanged
from tests.support.reading import Reading


def trace(reading: Reading, outcomes: str) -> list[str]:
    """One message after the other, each with an outcome: ok, fail, neutral. What the nsqd sees."""
    seen = []
    for outcome in outcomes.split():
        waited = 0.0
        reading.put(b"x")
        while not reading.messages:
            reading.advance(0.5)
            waited += 0.5
            assert waited < 300
        if waited:
            seen += [f"({waited:g} s)", *reading.sent()]
        if outcome == "ok":
            reading.finish()
        elif outcome == "fail":
            reading.fail()
        else:
            reading.messages.pop(0).requeue(0.0, backoff=False)
            reading.reactor.settle()
        seen += [line.split()[0] if "RDY" not in line else line for line in reading.sent()]
        for channel in reading.nsqds[0].topic("t").channels.values():
            channel.stop()
            channel.clear()
        reading.messages.clear()
    return seen


def test_b1_there_and_back() -> None:
    """B1: two failures, two successes: blocks of 2, 4 and 2 s, and RDY before each answer."""
    with Reading(max_in_flight=5) as reading:
        assert reading.sent() == ["RDY 5"]
        assert trace(reading, "ok ok ok fail fail ok ok") == [
            *("FIN", "FIN", "FIN"),
            *("RDY 0", "REQ", "(2 s)", "RDY 1"),
            *("RDY 0", "REQ", "(4 s)", "RDY 1"),
            *("RDY 0", "FIN", "(2 s)", "RDY 1"),
            *("RDY 5", "FIN"),
        ]
        assert [
            (each.state, each.level, each.duration) for each in reading.told(BackoffChanged)
        ] == [
            ("block", 1, 2),
            ("test", 1, 0),
            ("block", 2, 4),
            ("test", 2, 0),
            ("block", 1, 2),
            ("test", 1, 0),
            ("normal", 0, 0),
        ]


def test_b2_neutral_changes_no_level() -> None:
    """B2: a requeue without backoff blocks again for as long."""
    with Reading(max_in_flight=5) as reading:
        assert reading.sent() == ["RDY 5"]
        assert trace(reading, "fail fail neutral ok ok ok ok") == [
            *("RDY 0", "REQ", "(2 s)", "RDY 1"),
            *("RDY 0", "REQ", "(4 s)", "RDY 1"),
            *("RDY 0", "REQ", "(4 s)", "RDY 1"),
            *("RDY 0", "FIN", "(2 s)", "RDY 1"),
            *("RDY 5", "FIN", "FIN", "FIN"),
        ]


def test_b3_one_block_for_all_that_fail() -> None:
    """B3: three fail at once: one block, three answers."""
    with Reading(max_in_flight=5) as reading:
        reading.put(b"a", b"b", b"c")
        reading.sent()
        reading.fail(3)
        assert reading.sent() == ["RDY 0", "REQ 1 90000", "REQ 2 90000", "REQ 3 90000"]
        assert reading.reader.stats().backoff_level == 1


def test_b4_what_was_in_flight_means_nothing() -> None:
    """B4: a success in a block leaves the level."""
    with Reading(max_in_flight=5) as reading:
        reading.put(b"a", b"b")
        reading.fail()
        reading.sent()
        reading.finish()
        assert reading.sent() == ["FIN 2"]
        stats = reading.reader.stats()
        assert (stats.backoff_state, stats.backoff_level) == ("block", 1)
        assert stats.backoff_remaining == 2


def test_b5_nobody_is_there_when_a_block_ends() -> None:
    """B5: the one that comes back is tried."""
    with Reading(max_in_flight=5) as reading:
        reading.put(b"a")
        reading.fail()
        reading.nsqds[0].stop()
        reading.advance(10)
        assert reading.reader.stats().backoff_state == "test"
        reading.nsqds[0].start()
        reading.advance(30)
        assert reading.rdy == [1]


def test_b6_the_one_under_test_is_lost() -> None:
    """B6: another is tried at once."""
    with Reading(nsqds=2, max_in_flight=5) as reading:
        reading.put(b"a")
        reading.fail()
        reading.advance(2)
        assert sorted(reading.rdy) == [0, 1]
        tested = reading.rdy.index(1)
        reading.nsqds[tested].stop()
        assert reading.rdy[1 - tested] == 1


def test_b7_blocks_have_a_longest() -> None:
    """B7: 2, 4, 8 seconds and so on, then exactly max_backoff_duration."""
    with Reading(max_in_flight=5, max_backoff_duration=20) as reading:
        seen = trace(reading, "fail " * 8)
        assert [text for text in seen if "s)" in text] == [
            *("(2 s)", "(4 s)", "(8 s)", "(16 s)", "(20 s)", "(20 s)", "(20 s)"),
        ]


@pytest.mark.parametrize("off", [{"backoff": False}, {"max_backoff_duration": 0}])
def test_b8_no_backoff(off: dict[str, Any]) -> None:
    """B8: a failure is a REQ, and that is all."""
    with Reading(max_in_flight=5, **off) as reading:
        reading.put(b"a")
        reading.sent()
        reading.fail()
        assert reading.sent() == ["REQ 1 90000"]


def test_b9_rdy_comes_before_the_answer() -> None:
    """B9: on every connection, when a message fails and when one succeeds again."""
    with Reading(nsqds=2, max_in_flight=5) as reading:
        reading.put(b"a")
        reading.log.clear()
        reading.fail()
        assert sorted(reading.log) == ["0: RDY 0", "0: REQ 1 90000", "1: RDY 0"]
        assert reading.log.index("0: RDY 0") < reading.log.index("0: REQ 1 90000")
        reading.advance(2)
        tested = reading.rdy.index(1)
        reading.log.clear()
        reading.put(b"b", nsqd=tested)
        reading.finish()
        own = [line for line in reading.log if line.startswith(f"{tested}:")]
        assert [line.split()[1] for line in own] == ["RDY", "FIN"]


def test_b10_full_jitter() -> None:
    """B10: each block is drawn, below what it would be, and below the longest."""
    random = Random(7)
    given = {"random": random}
    with Reading(
        max_in_flight=5, max_backoff_duration=10, backoff_strategy="full_jitter", reader=given
    ) as reading:
        trace(reading, "fail " * 10)
        blocks = [each for each in reading.told(BackoffChanged) if each.state == "block"]
        assert len(blocks) == 10
        assert all(0 <= each.duration <= min(10, 2.0**each.level) for each in blocks)
        assert len({each.duration for each in blocks}) > 5


def test_late_answers_may_count_as_failures() -> None:
    """With backoff_on_timeout: nsqd's word that an answer came too late makes the Reader block."""
    with Reading(max_in_flight=5, msg_timeout=1, backoff_on_timeout=True) as reading:
        reading.put(b"a")
        reading.advance(1.5)
        # The first copy answers for the second, the second has nothing left to answer.
        reading.finish(2)
        reading.reactor.settle()
        assert reading.reader.stats().backoff_state == "block"
        assert reading.reader.stats().counts.lost == 1
