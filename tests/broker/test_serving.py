"""What is ready is shared out among those with room (`nsqtx.broker.serving`)."""

from __future__ import annotations

import pytest

from nsqtx.broker.subscription import DELIVER_BYTES, JOINED
from tests.support.brokers import Bench
from tests.support.subscribers import RecordingSubscriber


def test_one_each() -> None:
    """Many consumers with RDY 1 get a message each of one look at the channel, in their order."""
    bench = Bench()
    consumers = [bench.consumer(1)[0] for _ in range(5)]
    bench.publish(*[b"%d" % number for number in range(7)])
    assert [each.bodies for each in consumers] == [[b"0"], [b"1"], [b"2"], [b"3"], [b"4"]]
    assert bench.channel.depth == 2


def test_those_who_waited_come_first() -> None:
    """Who was served last is served last: with one message at a time all take their turns."""
    bench = Bench()
    consumers = [bench.consumer(10)[0] for _ in range(3)]
    for number in range(6):
        bench.publish(b"%d" % number)
    assert [each.bodies for each in consumers] == [[b"0", b"3"], [b"1", b"4"], [b"2", b"5"]]


def test_large_messages_are_shared_too() -> None:
    """What is taken from the channel at once is bounded, and the next ones get what is next."""
    bench = Bench()
    bench.publish(*[bytes([number]) * DELIVER_BYTES for number in range(4)])
    bench.channel.paused = True
    consumers = [bench.consumer(2)[0] for _ in range(2)]
    bench.channel.unpause()
    assert [[body[0] for body in each.bodies] for each in consumers] == [[0, 2], [1, 3]]
    assert max(each.writes for each in consumers) == 2


def test_long_records_are_not_joined() -> None:
    """Each is a write of its own: a copy of a megabyte costs more than that."""
    bench = Bench()
    bench.publish(*[b"x" * (JOINED + 1)] * 3, *[b"y"] * 3)
    consumer, _ = bench.consumer(3)
    assert (consumer.writes, len(consumer.records)) == (3, 3)


class Failing(RecordingSubscriber):
    """A consumer with a bug."""

    def deliver(self, data: bytes, count: int) -> None:
        raise ZeroDivisionError


def test_a_bug_in_a_delivery_loses_nothing() -> None:
    """What one consumer could not be sent is in flight with it, the rest comes to the others."""
    bench = Bench()
    bench.channel.paused = True
    first, _ = bench.consumer(1)
    broken = bench.channel.subscribe(Failing(), 60 * 10**9, 900 * 10**9)
    broken.ready = 1
    last, _ = bench.consumer(1)
    bench.publish(b"a", b"b", b"c")
    with pytest.raises(ZeroDivisionError):
        bench.channel.unpause()
    assert first.bodies == [b"a"]
    assert len(broken.in_flight) == 1
    assert bench.channel.depth == 1
    bench.channel.pump()
    assert last.bodies == [b"c"]
    broken.leave()
    bench.pass_time(61)
    assert bench.channel.depth + len(broken.in_flight) + bench.channel.in_flight_count == 3
