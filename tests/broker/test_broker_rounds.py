"""Deadlines, due times, checkpoints and logs are looked after in pieces (`Broker.scan`, `tick`)."""

from __future__ import annotations

from itertools import pairwise

from tests.support.brokers import SECOND, Bench, make_broker
from tests.support.lists import ListStore


def test_many_messages_time_out_in_pieces() -> None:
    """Some thousand in one go, whoever has them; connections have their turn in between."""
    bench = Bench()
    others = [bench.topic.get_channel(name) for name in "de"]
    count = 3000
    bench.publish(*[b"x"] * count)
    channels = [bench.channel, *others]
    for channel in channels:
        for _ in range(2):
            bench.consumer(count // 2, timeout=SECOND, channel=channel)
    bench.clock.advance(1)
    taken = [0]
    more = True
    while more:
        more = bench.broker.scan()
        taken.append(sum(channel.timeout_count for channel in channels))
    pieces = [later - earlier for earlier, later in pairwise(taken)]
    assert sum(pieces) == 3 * count
    assert max(pieces) <= 2000
    assert len(pieces) < 8


def test_many_messages_are_due_in_pieces() -> None:
    """Each once, in the order in which they are due; what is not due yet waits."""
    bench = Bench()
    now = bench.broker.now()
    count = 5000
    for number in range(count):
        bench.publish(b"%d" % number, due=now + (number + 1) * SECOND // 1000)
    bench.publish(b"later", due=now + 100 * SECOND)
    consumer, _ = bench.consumer(2 * count)
    bench.clock.advance(count / 1000)
    had = []
    more = True
    while more:
        more = bench.broker.scan()
        had.append(len(consumer.bodies))
    assert consumer.bodies == [b"%d" % number for number in range(count)]
    assert had[:2] == [2000, 4000]


def test_a_round_has_an_end() -> None:
    """What becomes due meanwhile is for the next one, which knows of all channels again."""
    bench = Bench()
    now = bench.broker.now()
    for number in range(30_000):
        bench.publish(b"x", due=now + number * SECOND // 6000)
    consumer, _ = bench.consumer(30_000)
    bench.clock.advance(1)
    pieces = 1
    while bench.broker.scan():
        # 3,000 more are due, and 2,000 are let go.
        bench.clock.advance(0.5)
        pieces += 1
    assert pieces == 4
    assert len(consumer.bodies) == 6001


def test_a_channel_that_goes_during_a_scan() -> None:
    """The rest of the round is for the others."""
    bench = Bench()
    other = bench.topic.get_channel("d")
    bench.publish(*[b"x"] * 3000)
    bench.consumer(3000, timeout=SECOND)
    bench.consumer(3000, timeout=SECOND, channel=other)
    bench.clock.advance(1)
    assert bench.broker.scan()
    bench.topic.delete_channel("c")
    while bench.broker.scan():
        pass
    assert other.timeout_count == 3000
    assert bench.channel.timeout_count == 2000


def test_connections_have_their_turn_between_topics() -> None:
    """Topics are looked after a few at a time, all of them, each once; a lost one is left out."""
    store = ListStore()
    broker = make_broker(store)
    names = [f"t{number}" for number in range(200)]
    for name in names:
        broker.get_topic(name).publish([b"1"])
        store.logs[name].saved = None
    assert broker.tick()
    done = [name for name in names if store.logs[name].saved is not None]
    assert 0 < len(done) < 100
    broker.delete_topic(names[-1])
    while broker.tick():
        pass
    assert all(store.logs[name].saved is not None for name in names[:-1])
    assert [store.logs[name].ticks for name in names[:-1]] == [1] * 199
