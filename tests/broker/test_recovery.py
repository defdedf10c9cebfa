"""Checkpoints of a topic, and what a restart makes of them and of the log."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from nsqtx.interfaces import StorageError
from tests.support.brokers import SECOND, consume, make_broker
from tests.support.lists import ListStore
from tests.support.subscribers import RecordingSubscriber


def test_s5_deferred_messages_keep_their_time_over_a_restart() -> None:
    """Checkpointed or not, held or in a channel: after a restart a due time is as it was."""
    for checkpointed in (True, False):
        for held in (True, False):
            clock = Clock()
            clock.advance(1_700_000_000)
            store = ListStore()
            broker = make_broker(store, clock)
            topic = broker.get_topic("t")
            if not held:
                topic.get_channel("c")
            topic.publish([b"later"], due=broker.now() + 5 * SECOND)
            if checkpointed:
                broker.checkpoint(topic)
            clock.advance(3)
            again = make_broker(store, clock)
            again.load({})
            again.topics["t"].get_channel("c")
            consumer = consume(again, "t", "c")
            clock.advance(1.9)
            again.scan()
            assert consumer.bodies == []
            clock.advance(0.2)
            again.scan()
            assert consumer.bodies == [b"later"], (checkpointed, held)


def test_a_checkpoint_does_not_cover_what_waits_for_its_commit() -> None:
    """A checkpoint between append and commit leaves the message to the replay."""
    store = ListStore(must_commit=True)
    broker = make_broker(store)
    topic = broker.get_topic("t")
    topic.get_channel("c")
    topic.publish([b"1"])
    broker.checkpoint(topic)
    store.logs["t"].commits.pop()(None)
    again = make_broker(store)
    again.load({})
    assert consume(again, "t", "c").bodies == [b"1"]


def test_channels_known_from_elsewhere_are_saved_before_anything_is_promised() -> None:
    """Without a checkpoint channels are those of nsqd.dat, which a power cut may take."""
    store = ListStore()
    store.open("t")
    broker = make_broker(store)
    broker.load({"t": ["c"]})
    log = store.logs["t"]
    log.refuse = "full"
    with pytest.raises(StorageError):
        broker.topics["t"].publish([b"1"])
    log.refuse = None
    broker.topics["t"].publish([b"2"])
    assert log.saved is not None
    assert [channel.name for channel in log.saved.channels] == ["c"]


def test_s4_nothing_finished_before_a_checkpoint_comes_again() -> None:
    """After a crash only what was not finished at the last checkpoint is delivered (again)."""
    store = ListStore()
    broker = make_broker(store)
    topic = broker.get_topic("t")
    channel = topic.get_channel("c")
    topic.publish([b"%d" % i for i in range(10)])
    subscriber = RecordingSubscriber()
    subscription = channel.subscribe(subscriber, 60 * SECOND, 900 * SECOND)
    subscription.set_ready(6)
    subscription.finish([subscriber.ids[i] for i in (0, 1, 3)])
    broker.checkpoint(topic)
    again = make_broker(store)
    again.load({})
    assert sorted(consume(again, "t", "c").bodies) == [b"2", *[b"%d" % i for i in range(4, 10)]]


def test_s6_attempts_survive_a_clean_restart() -> None:
    """What was delivered before comes again with one attempt more, whatever state it was in."""
    clock = Clock()
    clock.advance(1_700_000_000)
    store = ListStore()
    broker = make_broker(store, clock)
    topic = broker.get_topic("t")
    channel = topic.get_channel("c")
    topic.publish([b"in flight", b"requeued", b"deferred", b"fresh"])
    subscriber = RecordingSubscriber()
    subscription = channel.subscribe(subscriber, 60 * SECOND, 900 * SECOND)
    subscription.set_ready(3)
    ids = subscriber.ids
    subscription.set_ready(0)
    subscription.requeue(ids[1], 0)
    subscription.requeue(ids[2], SECOND)
    assert broker.stop() == []
    again = make_broker(store, clock)
    again.load({})
    consumer = consume(again, "t", "c")
    clock.advance(1.1)
    again.scan()
    assert dict(zip(consumer.bodies, consumer.attempts, strict=True)) == {
        b"in flight": 2,
        b"requeued": 2,
        b"deferred": 2,
        b"fresh": 1,
    }


def test_pauses_and_channels_survive_a_restart() -> None:
    """Topics, channels and their paused flags are as before; #ephemeral ones are gone."""
    store = ListStore()
    broker = make_broker(store)
    topic = broker.get_topic("t")
    topic.get_channel("a").pause()
    topic.get_channel("b")
    topic.get_channel("e#ephemeral")
    topic.pause()
    broker.get_topic("e#ephemeral")
    broker.tick()
    again = make_broker(store)
    again.load({})
    assert list(again.topics) == ["t"]
    assert again.topics["t"].paused
    assert {n: c.paused for n, c in again.topics["t"].channels.items()} == {"a": True, "b": False}


def test_without_a_checkpoint_the_known_channels_get_the_whole_log() -> None:
    """When both checkpoints are lost, the channels on record get everything once more."""
    store = ListStore()
    broker = make_broker(store)
    topic = broker.get_topic("t")
    topic.get_channel("c")
    topic.publish([b"1", b"2"])
    store.logs["t"].saved = None
    again = make_broker(store)
    again.load({"t": ["c"]})
    assert consume(again, "t", "c").bodies == [b"1", b"2"]


def test_a_crash_between_the_first_channel_and_its_messages() -> None:
    """What was held when the first channel's checkpoint was taken comes first, and once."""
    store = ListStore()
    broker = make_broker(store)
    topic = broker.get_topic("t")
    topic.publish([b"1"])
    topic.get_channel("c")  # its checkpoint still has the message as held
    topic.publish([b"2"])
    again = make_broker(store)
    again.load({})
    assert consume(again, "t", "c").bodies == [b"1", b"2"]


def test_the_floor_is_below_all_that_is_unfinished() -> None:
    """The log may delete what all channels finished, and nothing else."""
    store = ListStore()
    broker = make_broker(store)
    topic = broker.get_topic("t")
    topic.get_channel("a")
    topic.get_channel("b")
    log = store.logs["t"]
    start = log.end
    for i in range(10):
        topic.publish([b"%d" % i])
    subscriptions = []
    for name in "ab":
        subscriber = RecordingSubscriber()
        subscription = topic.channels[name].subscribe(subscriber, SECOND, SECOND)
        subscription.set_ready(5)
        subscriptions.append((subscriber, subscription))
    subscriptions[0][1].finish(subscriptions[0][0].ids)
    subscriptions[1][1].finish(subscriptions[1][0].ids[:3])
    broker.checkpoint(topic)
    assert log.released == start + 3
    subscriptions[1][1].finish(subscriptions[1][0].ids[3:])
    broker.checkpoint(topic)
    assert log.released == start + 5


def test_a_refused_checkpoint_of_a_new_channel_is_made_up_for_before_a_publish() -> None:
    """No message is taken in while the disk does not know a channel that should get it."""
    store = ListStore()
    broker = make_broker(store)
    topic = broker.get_topic("t")
    log = store.logs["t"]
    log.refuse = "disk full"
    topic.get_channel("c")
    with pytest.raises(StorageError):
        topic.publish([b"1"])
    log.refuse = None
    topic.publish([b"2"])
    again = make_broker(store)
    again.load({})
    assert consume(again, "t", "c").bodies == [b"2"]
