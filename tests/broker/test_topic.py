"""Topics: who gets which message, what is held back, commits, the end of a topic."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from nsqtx.broker.errors import Exiting
from nsqtx.interfaces import StorageError
from tests.support.brokers import SECOND, consume, make_broker
from tests.support.lists import ListStore
from tests.support.subscribers import RecordingSubscriber


def test_the_first_channel_gets_what_was_held_and_later_ones_do_not() -> None:
    """A topic without channels keeps its messages for the first channel alone (engine 4.2)."""
    broker = make_broker(ListStore())
    topic = broker.get_topic("t")
    topic.publish([b"1", b"2"])
    assert topic.depth == 2
    topic.get_channel("a")
    topic.get_channel("b")
    assert topic.depth == 0
    topic.publish([b"3"])
    assert consume(broker, "t", "a").bodies == [b"1", b"2", b"3"]
    assert consume(broker, "t", "b").bodies == [b"3"]


def test_every_channel_gets_the_same_bytes() -> None:
    """A message is one object, whatever the number of channels."""
    broker = make_broker(ListStore())
    topic = broker.get_topic("t")
    channels = [topic.get_channel(name) for name in "abc"]
    topic.publish([b"1"])
    assert len({id(channel.backlog.fresh[0]) for channel in channels}) == 1


@pytest.mark.parametrize("mem_queue_size", [10000, 3])
def test_a_paused_topic_holds_messages_back(mem_queue_size: int) -> None:
    """While a topic is paused, channels get nothing new; after, they get all of it in order."""
    broker = make_broker(ListStore(), mem_queue_size=mem_queue_size)
    topic = broker.get_topic("t")
    topic.get_channel("c")
    topic.publish([b"0"])
    topic.pause()
    topic.publish([b"%d" % i for i in range(1, 9)])
    consumer = consume(broker, "t", "c")
    assert (consumer.bodies, topic.depth) == ([b"0"], 8)
    topic.unpause()
    assert consumer.bodies == [b"%d" % i for i in range(9)]
    assert topic.depth == topic.backend_depth == 0


@pytest.mark.parametrize("mem_queue_size", [10000, 3])
def test_emptying_a_topic_leaves_its_channels_alone(mem_queue_size: int) -> None:
    """Only what the topic holds is dropped; a channel's backlog around the hole is intact."""
    store = ListStore()
    broker = make_broker(store, mem_queue_size=mem_queue_size)
    topic = broker.get_topic("t")
    topic.get_channel("c")
    topic.publish([b"%d" % i for i in range(5)])
    topic.pause()
    topic.publish([b"dropped"] * 5)
    topic.empty()
    topic.publish([b"%d" % i for i in range(5, 10)])
    topic.unpause()
    topic.publish([b"10"])
    assert topic.channels["c"].depth == 11
    broker.checkpoint(topic)
    again = make_broker(store, mem_queue_size=mem_queue_size)
    again.load({})
    for each in (again, broker):
        assert consume(each, "t", "c").bodies == [b"%d" % i for i in range(11)]


def test_s7_mpub_is_all_or_nothing() -> None:
    """When the log refuses a batch, no message of it is counted, kept or delivered."""
    store = ListStore()
    broker = make_broker(store)
    topic = broker.get_topic("t")
    topic.get_channel("c")
    consumer = consume(broker, "t", "c")
    store.logs["t"].refuse = "write t: no space left on device"
    with pytest.raises(StorageError):
        topic.publish([b"1", b"2"])
    assert (topic.message_count, consumer.records) == (0, [])
    store.logs["t"].refuse = None
    topic.publish([b"3"])
    assert consumer.bodies == [b"3"]


def test_s5_deferred_messages_come_when_they_are_due() -> None:
    """A deferred message is not in the depth, and is delivered at its time, never before (S5)."""
    clock = Clock()
    clock.advance(1_700_000_000)
    broker = make_broker(ListStore(), clock)
    topic = broker.get_topic("t")
    channel = topic.get_channel("c")
    consumer = consume(broker, "t", "c")
    topic.publish([b"later"], due=broker.now() + 5 * SECOND)
    topic.publish([b"now"])
    assert (channel.depth, channel.deferred_count, consumer.bodies) == (0, 1, [b"now"])
    clock.advance(4.9)
    broker.scan()
    assert consumer.bodies == [b"now"]
    clock.advance(0.2)
    broker.scan()
    assert consumer.bodies == [b"now", b"later"]
    assert consumer.attempts == [1, 1]


def test_a_publish_waits_for_its_commit() -> None:
    """At durability fsync nothing is delivered or counted before the log is committed."""
    store = ListStore(must_commit=True)
    broker = make_broker(store)
    topic = broker.get_topic("t")
    topic.get_channel("c")
    consumer = consume(broker, "t", "c")
    commit = topic.publish([b"1"])
    assert commit is not None
    outcomes: list[StorageError | None] = []
    commit.add(outcomes.append)
    assert (consumer.bodies, outcomes) == ([], [])
    store.logs["t"].commits.pop()(None)
    assert (consumer.bodies, outcomes) == ([b"1"], [None])


def test_ok_waits_until_a_channel_made_meanwhile_is_safe() -> None:
    """Who is answered OK is promised all channels of that moment, so their checkpoint is synced."""
    store = ListStore(must_commit=True)
    broker = make_broker(store)
    topic = broker.get_topic("t")
    commit = topic.publish([b"1"])
    assert commit is not None
    topic.get_channel("c")
    log = store.logs["t"]
    log.commits.pop()(None)
    assert topic.channels["c"].depth == 1
    assert not commit.done
    log.commits.pop()(None)
    assert commit.done
    assert log.commits == []


def test_a_failed_commit_is_told_and_nothing_is_delivered() -> None:
    """When the sync fails the publisher hears of it and the message is as if never sent."""
    store = ListStore(must_commit=True)
    broker = make_broker(store)
    topic = broker.get_topic("t")
    topic.get_channel("c")
    consumer = consume(broker, "t", "c")
    log = store.logs["t"]
    before = log.end
    commit = topic.publish([b"1"])
    assert commit is not None
    log.end = before
    log.batches.clear()
    error = StorageError("fdatasync: input/output error")
    log.commits.pop()(error)
    outcomes: list[StorageError | None] = []
    commit.add(outcomes.append)
    assert (outcomes, consumer.records, topic.message_count) == ([error], [], 0)


def test_deleting() -> None:
    """A deleted topic refuses messages, drops its consumers and log; the name starts afresh."""
    store = ListStore()
    broker = make_broker(store)
    topic = broker.get_topic("t")
    topic.get_channel("c")
    topic.publish([b"1"])
    consumer = consume(broker, "t", "c", ready=0)
    broker.delete_topic("t")
    assert consumer.is_dropped
    assert (broker.topics, store.deleted) == ({}, ["t"])
    with pytest.raises(Exiting):
        topic.publish([b"2"])
    assert broker.get_topic("t").depth == 0


class FirmStore(ListStore):
    """A store that deletes nothing."""

    def delete(self, topic: str) -> None:
        raise StorageError("EIO")


def test_a_topic_that_cannot_be_deleted_is_as_it_was() -> None:
    """The disk refuses: whoever deletes is told, and nothing has changed for anybody.

    Found by the simulation of seed 330 (os): nsqlookupd was not told that it was gone, and the next
    start brought it back.
    """
    broker = make_broker(FirmStore())
    topic = broker.get_topic("t")
    topic.get_channel("c")
    consumer = consume(broker, "t", "c")
    heard: list[str] = []
    broker.on_change = lambda kind, topic, channel: heard.append(kind)
    with pytest.raises(StorageError, match="EIO"):
        broker.delete_topic("t")
    topic.publish([b"1"])
    assert consumer.bodies == [b"1"]
    assert not consumer.is_dropped
    assert (broker.topics, heard) == ({"t": topic}, [])


def test_an_ephemeral_topic_goes_with_its_last_channel() -> None:
    """However its last channel goes, an #ephemeral topic goes too, once."""
    broker = make_broker(ListStore())
    gone: list[str] = []
    broker.on_change = lambda kind, topic, channel: gone.append(kind)
    topic = broker.get_topic("t#ephemeral")
    topic.get_channel("c#ephemeral")
    subscriber = RecordingSubscriber()
    subscription = topic.channels["c#ephemeral"].subscribe(subscriber, SECOND, SECOND)
    topic.publish([b"1"])
    subscription.leave()
    assert broker.topics == {}
    assert gone == ["topic made", "channel made", "channel gone", "topic gone"]


def test_an_ephemeral_topic_defers_and_requeues_in_memory() -> None:
    """Without a log, deferred and requeued messages keep their records."""
    clock = Clock()
    clock.advance(1_700_000_000)
    broker = make_broker(ListStore(), clock)
    topic = broker.get_topic("t#ephemeral")
    topic.publish([b"held"], due=broker.now() + SECOND)
    topic.get_channel("c")
    consumer = consume(broker, "t#ephemeral", "c")
    topic.publish([b"1"])
    subscription = topic.channels["c"].subscriptions[0]
    subscription.requeue(consumer.ids[0], SECOND)
    clock.advance(1.1)
    broker.scan()
    assert sorted(zip(consumer.bodies, consumer.attempts, strict=True)) == [
        (b"1", 1),
        (b"1", 2),
        (b"held", 1),
    ]


def test_a_stopped_broker_takes_nothing_more() -> None:
    """After stop every publish is refused, and the state on disk is marked clean."""
    store = ListStore()
    broker = make_broker(store)
    topic = broker.get_topic("t")
    broker.stop()
    with pytest.raises(Exiting):
        topic.publish([b"1"])
    with pytest.raises(Exiting):
        broker.get_topic("u")
    saved = store.logs["t"].saved
    assert saved is not None
    assert saved.clean
    assert store.logs["t"].closed


def test_idle_logs_are_left_alone() -> None:
    """A log is ticked after a change until it has nothing left to do, and then no more."""
    store = ListStore()
    broker = make_broker(store)
    topic = broker.get_topic("t")
    topic.publish([b"1"])
    for _ in range(5):
        broker.tick()
    assert store.logs["t"].ticks == 1
    topic.publish([b"2"])
    broker.tick()
    assert store.logs["t"].ticks == 2
