"""Dead letters go back to the channel they come from."""

from __future__ import annotations

import sys

import pytest
from twisted.internet.task import Clock

from nsqtx.broker.backlog import Backlog
from nsqtx.broker.broker import Broker
from nsqtx.broker.errors import Exiting
from nsqtx.broker.redrive import Redrive
from nsqtx.interfaces import StorageError
from tests.support.brokers import SECOND, consume, make_broker
from tests.support.lists import ListLog, ListStore
from tests.support.subscribers import RecordingSubscriber


def kill_all(broker: Broker, clock: Clock, topic: str, channel: str, into: str = "") -> None:
    """Everything ready on a channel becomes a dead letter."""
    target = broker.topics[topic].channels[channel]
    target.limit_attempts(1, into)
    subscriber = RecordingSubscriber()
    subscription = target.subscribe(subscriber, 60 * SECOND, 900 * SECOND)
    subscription.set_ready(target.depth)
    for id in subscriber.take():
        subscription.requeue(id, 0)
    subscription.leave()
    while target.dead_letters.waiting:
        clock.advance(0.1)
        broker.scan()


def make(store: ListStore, *channels: str, **settings: int) -> tuple[Broker, Clock]:
    """A broker with topic t."""
    clock = Clock()
    clock.advance(1_700_000_000)
    broker = make_broker(store, clock, **settings)
    for channel in channels:
        broker.get_topic("t").get_channel(channel)
    return broker, clock


def redrive(broker: Broker, channel: str = "c", limit: int = sys.maxsize, topic: str = "t") -> int:
    """All steps of a redrive; how many messages came back."""
    work = Redrive(broker, broker.topics[topic], broker.topics[topic].channels[channel], limit)
    while not work.done:
        assert work.step().done
    return work.count


def restarted(store: ListStore, clock: Clock) -> Broker:
    """What is there after a crash."""
    broker = make_broker(store, clock)
    broker.load({})
    return broker


def test_only_this_channel_gets_them() -> None:
    """With attempts from 1 again; other channels of the topic, old or new, never see them."""
    store = ListStore()
    broker, clock = make(store, "c", "d")
    broker.topics["t"].publish([b"1", b"2"])
    other = consume(broker, "t", "d")
    other.take()
    kill_all(broker, clock, "t", "c")
    assert redrive(broker) == 2
    assert broker.topics["t.c.dlq"].depth == 0
    assert broker.topics["t"].channels["c"].depth == 2
    broker.topics["t"].get_channel("new")
    broker.topics["t"].publish([b"3"])
    assert other.bodies == [b"3"]
    for name, bodies in (("c", [b"1", b"2", b"3"]), ("new", [b"3"])):
        consumer = consume(broker, "t", name)
        assert sorted(consumer.bodies) == bodies
        assert set(consumer.attempts) == {1}
    assert redrive(broker) == 0


@pytest.mark.parametrize("checkpointed", [True, False])
@pytest.mark.parametrize("paused", [True, False])
def test_a_restart_keeps_them_apart(paused: bool, checkpointed: bool) -> None:
    """In the checkpoint, or only in the log; whether the topic hands on or holds."""
    store = ListStore()
    broker, clock = make(store, "c", "d")
    topic = broker.topics["t"]
    topic.publish([b"1", b"2"])
    kill_all(broker, clock, "t", "c")
    if paused:
        topic.pause()
    broker.tick()
    assert redrive(broker) == 2
    topic.publish([b"3"])
    if checkpointed:
        broker.tick()
    again = restarted(store, clock)
    assert again.topics["t.c.dlq"].depth == (0 if checkpointed else 2)
    assert again.topics["t"].depth == (1 if paused else 0)
    again.topics["t"].unpause()
    assert sorted(consume(again, "t", "d").bodies) == [b"1", b"2", b"3"]
    consumer = consume(again, "t", "c")
    assert sorted(consumer.bodies) == [b"1", b"2", b"3"]
    assert set(consumer.attempts) == {1}


def test_messages_of_a_channel_that_is_gone() -> None:
    """Nobody gets them after the channel was deleted, and a new one of that name is new."""
    store = ListStore()
    broker, clock = make(store, "c", "d")
    broker.topics["t"].publish([b"1"])
    kill_all(broker, clock, "t", "c")
    broker.tick()
    redrive(broker)
    del store.logs["t"].saved.channels[0]  # type: ignore[union-attr]
    again = restarted(store, clock)
    assert list(again.topics["t"].channels) == ["d"]
    assert consume(again, "t", "d").bodies == [b"1"]
    again.topics["t"].get_channel("c")
    assert consume(again, "t", "c").bodies == []


def test_a_shared_dead_letter_topic() -> None:
    """Each channel gets its own back; what others put there, and what was published, stays."""
    store = ListStore()
    broker, clock = make(store, "c", "d", mem_queue_size=3)
    for i in range(4):
        broker.topics["t"].publish([b"%d" % i])
        kill_all(broker, clock, "t", "c", "dead")
        kill_all(broker, clock, "t", "d", "dead")
        broker.topics["dead"].publish([b"published"])
    dead = broker.topics["dead"]
    assert dead.depth == 12
    assert redrive(broker, "c") == 4
    assert dead.depth == 8
    assert broker.topics["t"].channels["d"].depth == 0
    assert sorted(consume(broker, "t", "c").bodies) == [b"0", b"1", b"2", b"3"]
    broker.tick()
    again = restarted(store, clock)
    assert again.topics["dead"].depth == 8
    assert redrive(again, "d") == 4
    assert redrive(again, "d") == 0
    again.topics["dead"].get_channel("rest")
    assert consume(again, "dead", "rest").bodies == [b"published"] * 4


def test_a_limit() -> None:
    """The oldest ones come first, and the rest the next time."""
    broker, clock = make(ListStore(), "c")
    broker.topics["t"].publish([b"%d" % i for i in range(9)])
    kill_all(broker, clock, "t", "c")
    assert redrive(broker, limit=4) == 4
    assert broker.topics["t.c.dlq"].depth == 5
    assert consume(broker, "t", "c").bodies == [b"0", b"1", b"2", b"3"]
    assert redrive(broker, limit=100) == 5


def test_many_go_in_slices() -> None:
    """No step moves more than about a thousand messages, or a mebibyte."""
    broker, clock = make(ListStore(), "c", mem_queue_size=100)
    topic = broker.topics["t"]
    for _ in range(5):
        topic.publish([b"x"] * 600)
    topic.publish([b"x" * 600_000] * 5)
    kill_all(broker, clock, "t", "c")
    work = Redrive(broker, topic, topic.channels["c"], sys.maxsize)
    counts = []
    while not work.done:
        before = work.count
        work.step()
        counts.append(work.count - before)
    assert sum(counts) == 3005
    assert max(counts) <= 1024
    assert len(counts) >= 5


def test_what_dies_while_it_runs_is_not_taken_again() -> None:
    """A redrive ends, though the channel may give everything up again at once."""
    broker, clock = make(ListStore(), "c")
    topic = broker.topics["t"]
    topic.publish([b"%d" % i for i in range(1500)])
    kill_all(broker, clock, "t", "c")
    work = Redrive(broker, topic, topic.channels["c"], sys.maxsize)
    steps = 0
    while not work.done:
        work.step()
        kill_all(broker, clock, "t", "c")
        steps += 1
    assert work.count == 1500
    assert steps < 10
    assert broker.topics["t.c.dlq"].depth == 1500


def test_a_dead_letter_topic_with_a_channel_holds_nothing() -> None:
    """What was handed to a channel is that channel's."""
    broker, clock = make(ListStore(), "c")
    broker.topics["t"].publish([b"1"])
    kill_all(broker, clock, "t", "c")
    broker.topics["t.c.dlq"].get_channel("look")
    assert redrive(broker) == 0
    assert consume(broker, "t.c.dlq", "look").bodies == [b"1"]


def test_nothing_to_redrive() -> None:
    """A channel without dead letters, with or without the topic for them."""
    broker, _ = make(ListStore(), "c")
    assert redrive(broker) == 0
    broker.get_topic("t.c.dlq")
    assert redrive(broker) == 0


def test_at_fsync_the_dead_letter_topic_forgets_after_the_commit() -> None:
    """A refused commit leaves everything as it was, and a repeated redrive brings them back."""
    store = ListStore(must_commit=True)
    broker, _ = make(store, "c")
    topic = broker.topics["t"]
    topic.publish([b"1"])
    store.logs["t"].commits.pop()(None)
    broker.topics["t"].channels["c"].limit_attempts(1)
    subscriber = RecordingSubscriber()
    subscription = topic.channels["c"].subscribe(subscriber, SECOND, SECOND)
    subscription.set_ready(1)
    subscription.set_ready(0)
    subscription.requeue(subscriber.take()[0], 0)
    broker.scan()
    store.logs["t.c.dlq"].commits.pop()(None)
    for error, count in ((StorageError("sync failed"), 0), (None, 1)):
        work = Redrive(broker, topic, topic.channels["c"], sys.maxsize)
        commit = work.step()
        assert not commit.done
        assert broker.topics["t.c.dlq"].depth == 1
        assert topic.channels["c"].depth == 0
        store.logs["t"].commits.pop()(error)
        assert commit.error is error
        assert work.count == count
    assert broker.topics["t.c.dlq"].depth == 0
    assert topic.channels["c"].depth == 1


def test_a_disk_that_refuses() -> None:
    """The error is raised and nothing is moved."""
    store = ListStore()
    broker, clock = make(store, "c")
    broker.topics["t"].publish([b"1"])
    kill_all(broker, clock, "t", "c")
    store.logs["t"].refuse = "disk full"
    with pytest.raises(StorageError):
        redrive(broker)
    assert broker.topics["t.c.dlq"].depth == 1
    store.logs["t"].refuse = None
    assert redrive(broker) == 1


def test_topics_on_their_way_out() -> None:
    """Neither from a topic that is being deleted, nor to a channel."""
    broker, clock = make(ListStore(), "c")
    topic = broker.topics["t"]
    topic.publish([b"1"])
    kill_all(broker, clock, "t", "c")
    for leaving in (broker.topics["t.c.dlq"], topic.channels["c"], topic):
        leaving.exiting = True
        with pytest.raises(Exiting):
            redrive(broker)
        leaving.exiting = False
    assert redrive(broker) == 1


def test_ephemeral_topics() -> None:
    """From memory to memory, as many as there is room for."""
    broker, clock = make(ListStore(), mem_queue_size=4)
    topic = broker.get_topic("t#ephemeral")
    topic.get_channel("c")
    topic.publish([b"%d" % i for i in range(4)])
    kill_all(broker, clock, "t#ephemeral", "c")
    assert broker.topics["t.c.dlq#ephemeral"].depth == 4
    topic.channels["c"].limit_attempts(0)
    assert redrive(broker, limit=3, topic="t#ephemeral") == 3
    assert topic.channels["c"].depth == 3
    assert redrive(broker, topic="t#ephemeral") == 1
    assert broker.topics["t.c.dlq#ephemeral"].depth == 0
    consumer = consume(broker, "t#ephemeral", "c")
    assert sorted(consumer.bodies) == [b"0", b"1", b"2", b"3"]
    assert consumer.attempts == [1] * 4


def test_a_full_ephemeral_channel_gets_no_more() -> None:
    """What has no room in memory stays a dead letter."""
    broker, clock = make(ListStore(), mem_queue_size=2)
    topic = broker.get_topic("t#ephemeral")
    topic.get_channel("c")
    for i in (0, 2):
        topic.publish([b"%d" % i, b"%d" % (i + 1)])
        kill_all(broker, clock, "t#ephemeral", "c", "kept")
    topic.channels["c"].limit_attempts(0, "kept")
    assert broker.topics["kept"].depth == 4
    assert redrive(broker, topic="t#ephemeral") == 2
    assert broker.topics["kept"].depth == 2


@pytest.mark.parametrize("limit", [0, 5, 100])
def test_a_backlog_forgets_ranges(limit: int) -> None:
    """Whether they are in memory or only in the log, at the front, in the middle or at the end."""
    for gone in ([(3, 5)], [(0, 2), (4, 6)], [(0, 10)], [(8, 10)], [(0, 1), (1, 2), (9, 10)], []):
        store = ListStore()
        broker, _ = make(store, mem_queue_size=limit)
        topic = broker.get_topic("t")
        first = topic.end
        for i in range(10):
            topic.publish([b"%d" % i])
        backlog: Backlog = topic.held
        backlog.forget([(first + start, first + stop) for start, stop in gone])
        left = [i for i in range(10) if not any(start <= i < stop for start, stop in gone)]
        assert len(backlog) == len(left)
        topic.publish([b"10"])
        taken: list[bytes] = []
        while len(backlog):
            taken += [record[34:] for record in backlog.take(3)]
        assert taken == [b"%d" % i for i in [*left, 10]]
        assert isinstance(topic.log, ListLog)
