"""Messages that are kept alive (client section 14.4, M9)."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from nsqtx.client import Message
from nsqtx.client.events import TouchLimit
from tests.support.reading import Reading


def test_m9_touched_as_long_as_nsqd_allows() -> None:
    """M9: a handler that takes long has its message touched in time; then there is an event."""
    waiting: Deferred[None] = Deferred()
    limit = {"max_msg_timeout": 10_000}
    with Reading(lambda _: waiting, auto_touch=True, msg_timeout=2, nsqd=limit) as reading:
        reading.put(b"x")
        reading.advance(9)
        assert reading.nsqds[0].channel("t", "c").timed_out == []
        assert not reading.told(TouchLimit)
        assert reading.sent().count("TOUCH 1") == 6
        reading.advance(3)
        assert len(reading.told(TouchLimit)) == 1
        assert reading.nsqds[0].channel("t", "c").timed_out == [b"x"]
        waiting.callback(None)


def test_m9_what_waits_for_its_turn_is_touched() -> None:
    """M9: nsqd's time begins when it sends a message, not when a handler does."""
    waiting: list[Deferred[None]] = []

    def handle(_: Message) -> Deferred[None]:
        waiting.append(Deferred())
        return waiting[-1]

    with Reading(handle, auto_touch=True, msg_timeout=2, concurrency=1, max_in_flight=3) as reading:
        reading.put(b"a", b"b", b"c")
        for _ in range(3):
            reading.advance(5)
            waiting.pop(0).callback(None)
        reading.reactor.settle()
        channel = reading.nsqds[0].channel("t", "c")
        assert channel.finished == [b"a", b"b", b"c"]
        assert channel.timed_out == []


def test_m9_what_is_answered_by_hand_is_touched_until_then() -> None:
    """M9: and there is no timer for it afterwards."""
    with Reading(auto_touch=True, msg_timeout=2) as reading:
        reading.put(b"x")
        before = len(reading.reactor.getDelayedCalls())
        reading.advance(5)
        assert reading.nsqds[0].channel("t", "c").timed_out == []
        reading.finish()
        # Nsqd's for the message, and ours.
        assert len(reading.reactor.getDelayedCalls()) == before - 2
