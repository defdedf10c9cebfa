"""Channels and subscriptions: deliver, finish, requeue, touch, time out, share."""

from __future__ import annotations

import pytest

from nsqtx.broker.errors import NotInFlight, NotOwner, TooManyConsumers
from tests.support.brokers import SECOND, Bench
from tests.support.subscribers import RecordingSubscriber


def test_ready_is_a_ceiling_on_what_is_in_flight() -> None:
    """A client with RDY 2 gets two messages, and one more for each that it finishes."""
    bench = Bench()
    bench.publish(b"1", b"2", b"3", b"4")
    consumer, subscription = bench.consumer(2)
    assert consumer.bodies == [b"1", b"2"]
    assert subscription.finish(consumer.ids[:1]) == []
    bench.channel.pump()
    assert consumer.bodies == [b"1", b"2", b"3"]
    assert (bench.channel.depth, bench.channel.in_flight_count) == (1, 2)


def test_one_write_for_all_that_is_ready() -> None:
    """What is sent to a client in one go leaves in one write."""
    bench = Bench()
    bench.publish(*[b"x"] * 500)
    consumer, _ = bench.consumer(500)
    assert (len(consumer.records), consumer.writes) == (500, 1)


def test_finish_reports_what_was_not_in_flight() -> None:
    """FIN of an unknown or finished message is reported; the others are finished all the same."""
    bench = Bench()
    bench.publish(b"1", b"2", b"3")
    consumer, subscription = bench.consumer(3)
    ids = consumer.ids
    assert subscription.finish([ids[0], b"0" * 16, ids[0], ids[2]]) == [b"0" * 16, ids[0]]
    assert list(subscription.in_flight) == [ids[1]]
    assert subscription.finish_count == 2


def test_only_the_owner_can_finish() -> None:
    """FIN, REQ and TOUCH of another client's message are refused, and say that it is not yours."""
    bench = Bench()
    bench.publish(b"1")
    consumer, _ = bench.consumer(1)
    _, other = bench.consumer(1)
    (id,) = consumer.ids
    assert other.finish([id]) == [id]
    assert isinstance(other.why_not(id), NotOwner)
    with pytest.raises(NotOwner):
        other.requeue(id, 0)
    with pytest.raises(NotOwner):
        other.touch(id, SECOND)
    with pytest.raises(NotInFlight):
        other.touch(b"0" * 16, SECOND)


def test_requeue_counts_attempts_up() -> None:
    """A requeued message comes again with one attempt more."""
    bench = Bench()
    bench.publish(b"1")
    consumer, subscription = bench.consumer(1)
    for _ in range(3):
        subscription.requeue(consumer.ids[-1], 0)
        bench.channel.pump()
    assert consumer.attempts == [1, 2, 3, 4]
    assert bench.channel.requeue_count == 3


def test_requeue_with_a_delay_waits() -> None:
    """REQ with a delay brings the message back after it, not before (S5)."""
    bench = Bench()
    bench.publish(b"1")
    consumer, subscription = bench.consumer(1)
    subscription.requeue(consumer.ids[0], 2 * SECOND)
    bench.pass_time(1.99)
    assert len(consumer.records) == 1
    assert bench.channel.deferred_count == 1
    bench.pass_time(0.02)
    assert consumer.attempts == [1, 2]


def test_timeout_requeues() -> None:
    """A message neither finished nor requeued comes again after its msg_timeout."""
    bench = Bench()
    bench.publish(b"1")
    consumer, subscription = bench.consumer(1, timeout=SECOND)
    bench.pass_time(0.99)
    assert consumer.attempts == [1]
    bench.pass_time(0.02)
    assert consumer.attempts == [1, 2]
    assert (bench.channel.timeout_count, bench.channel.requeue_count) == (1, 0)
    assert subscription.finish(consumer.ids[:1]) == []


def test_touch_moves_the_deadline_up_to_the_maximum() -> None:
    """TOUCH starts msg_timeout anew, but never beyond max_msg_timeout after the delivery."""
    bench = Bench()
    bench.publish(b"1")
    subscriber = RecordingSubscriber()
    subscription = bench.channel.subscribe(subscriber, 2 * SECOND, 3 * SECOND)
    subscription.set_ready(1)
    (id,) = subscriber.ids
    for _ in range(5):
        bench.pass_time(0.5)
        subscription.touch(id, 2 * SECOND)
    bench.pass_time(0.4)
    assert subscriber.attempts == [1]
    bench.pass_time(0.2)
    assert subscriber.attempts == [1, 2]


def test_touched_message_does_not_hide_the_others() -> None:
    """Messages around a touched one time out when they are due."""
    bench = Bench()
    bench.publish(b"1", b"2", b"3")
    consumer, subscription = bench.consumer(3, timeout=2 * SECOND)
    bench.pass_time(1)
    subscription.touch(consumer.ids[0], 10 * SECOND)  # a timeout of its own: not in order
    subscription.set_ready(0)
    bench.pass_time(1.1)
    assert (bench.channel.depth, len(subscription.in_flight)) == (2, 1)
    bench.pass_time(9)
    assert (bench.channel.depth, len(subscription.in_flight)) == (3, 0)


def test_departed_client_keeps_its_messages_until_their_deadline() -> None:
    """What a lost client had in flight comes again at its deadline, as a timeout (engine 5.1)."""
    bench = Bench()
    bench.publish(b"1")
    _, subscription = bench.consumer(1, timeout=SECOND)
    subscription.leave()
    consumer, _ = bench.consumer(1)
    assert (bench.channel.in_flight_count, consumer.records) == (1, [])
    bench.pass_time(1.1)
    assert consumer.attempts == [2]
    assert bench.channel.timeout_count == 1


def test_shares_are_fair() -> None:
    """Consumers with equal room get equal shares of a backlog."""
    bench = Bench()
    consumers = [bench.consumer(100)[0] for _ in range(4)]
    bench.publish(*[b"x"] * 40)
    assert [len(each.records) for each in consumers] == [10] * 4
    for _ in range(40):
        bench.publish(b"y")
    assert [len(each.records) for each in consumers] == [20] * 4


def test_requeued_and_fresh_take_turns() -> None:
    """Neither requeued nor fresh messages wait for the other kind to run out."""
    bench = Bench()
    bench.publish(*[b"old"] * 20)
    consumer, subscription = bench.consumer(20)
    subscription.set_ready(0)
    for id in consumer.take():
        subscription.requeue(id, 0)
    bench.publish(*[b"new"] * 20)
    subscription.set_ready(10)
    assert sorted(consumer.bodies) == [b"new"] * 5 + [b"old"] * 5


def test_blocked_client_gets_nothing() -> None:
    """A client whose connection is full gets nothing until it has drained."""
    bench = Bench()
    consumer, subscription = bench.consumer(10)
    subscription.blocked = True
    bench.publish(b"1")
    assert consumer.records == []
    subscription.blocked = False
    bench.channel.pump()
    assert consumer.bodies == [b"1"]


def test_pause_stops_delivery_only() -> None:
    """A paused channel delivers nothing new; what is in flight can be finished."""
    bench = Bench()
    bench.publish(b"1")
    consumer, subscription = bench.consumer(2)
    bench.channel.pause()
    bench.publish(b"2")
    assert subscription.finish(consumer.ids) == []
    assert consumer.bodies == [b"1"]
    bench.channel.unpause()
    assert consumer.bodies == [b"1", b"2"]


def test_empty_forgets_everything() -> None:
    """After emptying, nothing of before is delivered, and FIN finds nothing in flight."""
    bench = Bench()
    bench.publish(b"1", b"2", b"3", b"4")
    consumer, subscription = bench.consumer(2)
    subscription.requeue(consumer.ids[0], 5 * SECOND)
    bench.channel.empty()
    assert bench.channel.depth == bench.channel.in_flight_count == 0
    assert bench.channel.deferred_count == 0
    assert subscription.finish(consumer.ids[1:2]) == consumer.ids[1:2]
    bench.pass_time(6)
    bench.publish(b"5")
    assert consumer.bodies[-1] == b"5"


def test_max_channel_consumers() -> None:
    """One consumer more than allowed is refused with the text of the original."""
    bench = Bench()
    bench.channel.subscribe(RecordingSubscriber(), SECOND, SECOND, max_consumers=1)
    with pytest.raises(TooManyConsumers) as caught:
        bench.channel.subscribe(RecordingSubscriber(), SECOND, SECOND, max_consumers=1)
    assert str(caught.value) == "consumers for t:c exceeds limit of 1"


def test_s8_the_window_is_bounded_and_refilled_from_the_log() -> None:
    """Beyond mem_queue_size messages stay in the log; they all come, in order."""
    bench = Bench(mem_queue_size=10)
    bodies = [b"%d" % i for i in range(1000)]
    for start in range(0, 1000, 7):
        bench.publish(*bodies[start : start + 7])
    assert len(bench.channel.backlog.fresh) == 10
    assert (bench.channel.depth, bench.channel.backend_depth) == (1000, 990)
    consumer, subscription = bench.consumer(100)
    while len(consumer.records) < 1000:
        before = len(consumer.records)
        subscription.finish(list(subscription.in_flight))
        bench.channel.pump()
        assert len(consumer.records) > before
    assert consumer.bodies == bodies
    assert (bench.channel.depth, bench.channel.backend_depth) == (0, 0)


def test_requeued_messages_beyond_the_window_are_kept_by_position() -> None:
    """A consumer that requeues everything costs numbers, not bodies; nothing is lost."""
    bench = Bench(mem_queue_size=10)
    bodies = [b"%d" % i for i in range(600)]
    bench.publish(*bodies)
    consumer, subscription = bench.consumer(600)
    subscription.set_ready(0)
    for id in consumer.take():
        subscription.requeue(id, 0)
    assert bench.channel.depth == 600
    assert bench.channel.requeued.spilled == 590
    subscription.set_ready(600)
    bench.channel.pump()
    assert sorted(consumer.bodies) == sorted(bodies)
    assert set(consumer.attempts) == {2}


def test_ephemeral_channel_drops_beyond_its_window() -> None:
    """An #ephemeral channel keeps mem_queue_size messages and goes with its last consumer."""
    bench = Bench(mem_queue_size=10)
    channel = bench.topic.get_channel("e#ephemeral")
    consumer, subscription = bench.consumer(0, channel=channel)
    bench.publish(*[b"x"] * 25)
    assert (channel.depth, bench.channel.depth) == (10, 25)
    subscription.leave()
    assert list(bench.topic.channels) == ["c"]
    assert consumer.is_dropped is False


def test_sampling_drops_for_the_channel() -> None:
    """With a sample rate, what is not delivered is gone: neither in flight nor ready."""
    bench = Bench()
    bench.publish(*[b"x"] * 2000)
    subscriber = RecordingSubscriber()
    subscription = bench.channel.subscribe(subscriber, SECOND, SECOND, sample_rate=49)
    subscription.set_ready(2000)
    assert 800 < len(subscriber.records) < 1200
    assert len(subscription.in_flight) == len(subscriber.records)
    assert bench.channel.depth == 0


def test_a_log_that_cannot_be_read_is_tried_again() -> None:
    """While reading fails nothing is lost and it is said once; when it works all of it comes."""
    bench = Bench(mem_queue_size=2)
    failures: list[str] = []
    bench.channel.failed = failures.append
    bodies = [b"%d" % i for i in range(8)]
    bench.publish(*bodies)
    consumer, subscription = bench.consumer(5)
    subscription.set_ready(0)
    log = bench.store.logs["t"]
    for id in consumer.take():
        subscription.requeue(id, 0)
    log.refuse_reads = "read t: input/output error"
    subscription.set_ready(20)
    for _ in range(3):
        bench.pass_time(0.1)
    assert failures == ["read t: input/output error"]
    log.refuse_reads = None
    bench.pass_time(0.1)
    assert sorted(consumer.bodies) == bodies
