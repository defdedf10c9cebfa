"""A limit of deliveries per channel, and where a message goes that reaches it."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
from twisted.internet.task import Clock

from nsqtx.broker.broker import Broker
from nsqtx.broker.channel import Channel
from nsqtx.broker.dead_letters import bury, dead_letter_name, leads_back
from nsqtx.broker.stats import TopicStats
from nsqtx.broker.subscription import Subscription
from nsqtx.interfaces import StorageError
from nsqtx.wire.frames import attempts_of, body_of, timestamp_of
from nsqtx.wire.names import valid_name
from tests.support.brokers import SECOND, make_broker
from tests.support.lists import ListStore
from tests.support.subscribers import RecordingSubscriber

DLQ = "t.c.dlq"


@attrs.define
class Case:
    """A channel with a limit, and one consumer with RDY 0."""

    store: ListStore = attrs.Factory(ListStore)
    clock: Clock = attrs.Factory(Clock)
    settings: dict[str, int] = attrs.Factory(dict)
    limit: int | None = 2
    topic: str = "t"
    name: str = "c"
    failures: list[str] = attrs.Factory(list)
    broker: Broker = attrs.field(init=False)
    consumer: RecordingSubscriber = attrs.field(init=False)
    subscription: Subscription = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.clock.advance(1_700_000_000)
        self.start()
        self.broker.get_topic(self.topic).get_channel(self.name)
        if self.limit is not None:
            self.channel.limit_attempts(self.limit)
        self.consume()

    def start(self) -> None:
        """A broker of its own on the same store."""
        self.broker = make_broker(self.store, self.clock, **self.settings)
        self.broker.on_failure = self.failures.append
        self.broker.load({})

    @property
    def channel(self) -> Channel:
        return self.broker.topics[self.topic].channels[self.name]

    def consume(self) -> None:
        self.consumer = RecordingSubscriber()
        self.subscription = self.channel.subscribe(self.consumer, 60 * SECOND, 900 * SECOND)

    def publish(self, *bodies: bytes) -> None:
        self.broker.topics[self.topic].publish(list(bodies))

    def refuse(self, count: int = 1, delay: int = 0) -> None:
        """A consumer gives the next messages back."""
        for _ in range(count):
            self.consumer.records.clear()
            self.subscription.set_ready(1)
            self.subscription.set_ready(0)
            self.subscription.requeue(self.consumer.ids[0], delay)

    def scan(self, seconds: float = 0.1) -> None:
        self.clock.advance(seconds)
        self.broker.scan()

    def crash(self) -> None:
        self.start()
        self.consume()

    def dead(self, topic: str = DLQ) -> list[bytes]:
        """The bodies that a dead-letter topic holds."""
        if topic not in self.broker.topics:
            return []
        held = self.broker.topics[topic].held
        return [body_of(record) for record in held.first(10_000)]

    @property
    def places(self) -> tuple[int, int, int, int]:
        """Depth, in flight, deferred, and dead letters counted."""
        channel = self.channel
        return (
            channel.depth,
            channel.in_flight_count,
            channel.deferred_count,
            channel.dead_letters.count,
        )


def test_a_requeued_message() -> None:
    """It is delivered as often as the limit says; then it is the dead-letter topic's."""
    case = Case()
    case.publish(b"x", b"y")
    case.refuse(1)
    assert case.places == (2, 0, 0, 0)
    case.refuse(1)
    case.refuse(1)
    assert case.dead() == []
    case.scan()
    assert case.dead() == [b"x"]
    assert case.places == (1, 0, 0, 1)
    case.refuse(1)
    case.scan()
    assert case.dead() == [b"x", b"y"]
    assert case.places == (0, 0, 0, 2)


def test_a_dead_letter_is_the_same_message_under_another_id() -> None:
    """Body and time of publishing are kept, attempts begin again."""
    case = Case(limit=1)
    case.publish(b"x")
    published = case.broker.now()
    case.clock.advance(5)
    case.refuse()
    case.scan()
    (record,) = case.broker.topics[DLQ].held.first(1)
    assert timestamp_of(record) == published
    assert attempts_of(record) == 1
    (batch,) = case.store.logs[DLQ].batches
    assert (batch.records, batch.origin, batch.channel) == ([record], "t/c", "")


def test_a_delay_does_not_keep_a_message_alive() -> None:
    """REQ with a delay of a message that reached its limit does not wait for the delay."""
    case = Case(limit=1)
    case.publish(b"x")
    case.refuse(delay=3600 * SECOND)
    case.scan()
    assert case.dead() == [b"x"]


def test_a_message_that_times_out() -> None:
    """The delivery that timed out counts."""
    case = Case(limit=1)
    case.publish(b"x")
    case.subscription.set_ready(1)
    case.scan(59.9)
    assert case.dead() == []
    case.scan(0.2)
    assert case.dead() == [b"x"]
    assert case.channel.timeout_count == 1


def test_a_deferred_message_is_judged_when_it_is_due() -> None:
    """By the limit that is set then."""
    case = Case(limit=2)
    case.publish(b"x")
    case.refuse(delay=5 * SECOND)
    case.channel.limit_attempts(1)
    case.scan(4.9)
    assert case.dead() == []
    case.scan(0.2)
    case.scan()
    assert case.dead() == [b"x"]


def test_off_means_off() -> None:
    """Without a limit a message comes again and again."""
    case = Case(limit=None)
    case.publish(b"x")
    case.refuse(100)
    case.scan()
    assert list(case.broker.topics) == ["t"]
    assert case.places == (1, 0, 0, 0)


def test_a_lower_limit_counts_for_what_waits_and_a_higher_one_too() -> None:
    """Messages to be delivered again become dead letters, and those not moved yet come back."""
    case = Case(limit=0, settings={"mem_queue_size": 2})
    bodies = [b"%d" % i for i in range(6)]
    case.publish(*bodies)
    case.subscription.set_ready(6)
    case.subscription.set_ready(0)
    for id in case.consumer.take():
        case.subscription.requeue(id, 0)
    case.channel.limit_attempts(1)
    assert len(case.channel.requeued) == 0
    case.channel.limit_attempts(0)
    assert len(case.channel.requeued) == 6
    case.channel.limit_attempts(1)
    case.scan()
    assert case.dead() == bodies
    assert case.places == (0, 0, 0, 6)


@pytest.mark.parametrize("checkpointed", [True, False])
def test_the_limit_survives_a_restart(checkpointed: bool) -> None:
    """Limit, topic and what reached the limit while nsqd was away."""
    case = Case(limit=1)
    case.channel.limit_attempts(1, "other")
    case.publish(b"x")
    case.subscription.set_ready(1)
    case.broker.tick()
    if checkpointed:
        assert case.broker.stop() == []
    case.crash()
    assert case.channel.dead_letters.topic == "other"
    case.scan()
    assert case.dead("other") == [b"x"]


def test_the_default_limit() -> None:
    """--max-attempts is for channels without a limit of their own, and no ephemeral ones."""
    case = Case(limit=None, settings={"max_attempts": 3})
    topic = case.broker.topics["t"]
    assert case.channel.max_attempts == 3
    assert topic.get_channel("e#ephemeral").max_attempts == 0
    case.channel.limit_attempts(0)
    assert case.channel.max_attempts == 0
    case.broker.checkpoint(topic)
    case.crash()
    assert case.channel.max_attempts == 0
    assert case.broker.topics["t"].get_channel("d").max_attempts == 3


def _refuse_writes(case: Case) -> Callable[[], None]:
    log = case.store.logs[DLQ]
    log.refuse = "disk full"

    def mend() -> None:
        log.refuse = None

    return mend


def _hold_back(case: Case) -> Callable[[], None]:
    topic = case.broker.topics[DLQ]
    topic.exiting = True

    def mend() -> None:
        topic.exiting = False

    return mend


@pytest.mark.parametrize("trouble", [_refuse_writes, _hold_back])
def test_a_dead_letter_topic_that_takes_nothing(
    trouble: Callable[[Case], Callable[[], None]],
) -> None:
    """The messages stay with the channel, it is said once, and they are moved when it works."""
    case = Case(limit=1)
    case.broker.get_topic(DLQ)
    mend = trouble(case)
    case.publish(b"x", b"y")
    case.refuse(2)
    for _ in range(50):
        case.scan()
    assert case.places == (2, 0, 0, 0)
    assert len(case.failures) == 1
    assert "dead letters of t:c cannot go to topic t.c.dlq - " in case.failures[0]
    state = case.channel.state()
    assert [pending.attempts for pending in state.pending] == [1, 1]
    mend()
    case.scan(1)
    assert case.dead() == [b"x", b"y"]
    assert case.places == (0, 0, 0, 2)
    case.broker.scan()
    assert case.channel not in case.broker._busy


def test_a_log_that_cannot_be_read() -> None:
    """What is only in the topic's log waits there until it can be read."""
    case = Case(limit=1, settings={"mem_queue_size": 0})
    case.publish(b"x")
    case.refuse()
    case.store.logs["t"].refuse_reads = "I/O error"
    case.scan()
    assert case.places == (1, 0, 0, 0)
    case.store.logs["t"].refuse_reads = None
    case.scan(1.1)
    assert case.dead() == [b"x"]


def test_what_is_gone_from_the_log_is_not_waited_for() -> None:
    """Damage takes messages, but keeps no others from being moved."""
    case = Case(limit=1, settings={"mem_queue_size": 0})
    case.publish(b"x")
    case.publish(b"y")
    case.refuse(2)
    del case.store.logs["t"].batches[0]
    case.scan()
    assert case.dead() == [b"y"]
    assert case.places == (0, 0, 0, 1)


def test_a_deleted_dead_letter_topic_is_made_anew() -> None:
    """With the next dead letter."""
    case = Case(limit=1)
    case.publish(b"x", b"y")
    case.refuse()
    case.scan()
    case.broker.delete_topic(DLQ)
    case.refuse()
    case.scan()
    assert case.dead() == [b"y"]


def test_at_fsync_the_channel_forgets_after_the_commit() -> None:
    """Before it, the message is in the channel's checkpoint; a failed commit leaves it there."""
    case = Case(ListStore(must_commit=True), limit=1)
    case.publish(b"x")
    case.store.logs["t"].commits.pop()(None)
    case.refuse()
    case.scan()
    log = case.store.logs[DLQ]
    assert (case.places, case.dead()) == ((1, 0, 0, 0), [])
    assert [pending.attempts for pending in case.channel.state().pending] == [1]
    case.scan()
    assert len(log.commits) == 1, "it is not written twice"
    log.commits.pop()(StorageError("sync failed"))
    assert (case.places, case.dead()) == ((1, 0, 0, 0), [])
    case.scan(1.1)
    log.commits.pop()(None)
    assert (case.places, case.dead()) == ((0, 0, 0, 1), [b"x"])
    assert not case.channel.state().pending


def test_a_channel_emptied_while_the_disk_works() -> None:
    """What was on its way is forgotten by the channel, whatever becomes of it."""
    case = Case(ListStore(must_commit=True), limit=1)
    case.publish(b"x")
    case.store.logs["t"].commits.pop()(None)
    case.refuse()
    case.scan()
    case.channel.empty()
    case.store.logs[DLQ].commits.pop()(StorageError("sync failed"))
    assert case.places == (0, 0, 0, 0)


def test_many_at_once() -> None:
    """They go in batches, some thousands with one scan."""
    case = Case(limit=1, settings={"mem_queue_size": 100})
    count = 3000
    case.publish(*[b"%d" % i for i in range(count)])
    case.subscription.set_ready(count)
    case.subscription.set_ready(0)
    for id in case.consumer.take():
        case.subscription.requeue(id, 0)
    case.scan()
    assert case.places == (count - 2048, 0, 0, 2048)
    assert len(case.store.logs[DLQ].batches) == 8
    case.scan()
    assert sorted(map(int, case.dead())) == list(range(count))
    assert case.places == (0, 0, 0, count)


def test_a_dead_letter_topic_with_consumers() -> None:
    """It is an ordinary topic: its channels get the dead letters, unless it is paused."""
    case = Case(limit=1)
    topic = case.broker.get_topic(DLQ)
    reader = RecordingSubscriber()
    topic.get_channel("r").subscribe(reader, SECOND, SECOND).set_ready(9)
    case.publish(b"x", b"y")
    case.refuse()
    case.scan()
    assert reader.bodies == [b"x"]
    topic.pause()
    case.refuse()
    case.scan()
    assert reader.bodies == [b"x"]
    assert topic.depth == 1


def test_dead_letters_never_come_back() -> None:
    """A chain of dead-letter topics that leads back is not followed: the message stays."""
    case = Case(limit=1)
    dlq = case.broker.get_topic(DLQ)
    back = dlq.get_channel("back")
    back.limit_attempts(1, "t")
    assert leads_back(case.broker, DLQ, "t")
    assert leads_back(case.broker, "t", "t")
    case.publish(b"x")
    case.refuse()
    case.scan()
    assert case.places == (1, 0, 0, 0)
    assert "they would come back" in case.failures[0]
    back.limit_attempts(0, "t")
    case.scan(1.1)
    assert case.places == (0, 0, 0, 1)
    assert dlq.channels["back"].depth == 1


def test_a_chain() -> None:
    """A channel of a dead-letter topic may have dead letters of its own."""
    case = Case(limit=1)
    channel = case.broker.get_topic(DLQ).get_channel("again")
    channel.limit_attempts(1)
    consumer = RecordingSubscriber()
    subscription = channel.subscribe(consumer, SECOND, SECOND)
    case.publish(b"x")
    case.refuse()
    case.scan()
    subscription.set_ready(1)
    subscription.requeue(consumer.ids[0], 0)
    case.scan()
    assert case.dead("t.c.dlq.again.dlq") == [b"x"]
    assert not leads_back(case.broker, DLQ, "t")


def test_ephemeral_ones() -> None:
    """An ephemeral topic moves its dead letters from memory to another ephemeral topic."""
    case = Case(topic="t#ephemeral", limit=1)
    case.publish(b"x", b"y")
    case.refuse()
    case.scan()
    assert case.dead("t.c.dlq#ephemeral") == [b"x"]
    case.refuse(delay=SECOND)
    case.scan()
    assert case.dead("t.c.dlq#ephemeral") == [b"x", b"y"]
    assert case.store.logs == {}


def test_a_broker_that_stops_moves_nothing() -> None:
    """What waits is in the last checkpoint."""
    case = Case(limit=1)
    case.publish(b"x")
    case.refuse()
    assert case.broker.stop() == []
    bury(case.broker, case.channel)
    assert case.dead() == []
    case.crash()
    case.scan()
    assert case.dead() == [b"x"]


def test_stats_show_it_only_where_it_is_set() -> None:
    """Without a limit nothing is added to what the original shows."""
    case = Case(limit=1)
    case.broker.topics["t"].get_channel("d")
    case.publish(b"x")
    case.refuse()
    case.scan()
    stats = TopicStats.of(case.broker, "t")
    assert stats is not None
    limited, plain = next(iter(stats))["channels"]
    added = {key: limited[key] for key in list(limited)[-3:]}
    assert not set(added) & set(plain)
    assert added == {"max_attempts": 1, "dead_letter_topic": DLQ, "dead_letter_count": 1}
    case.channel.limit_attempts(0)
    stats = TopicStats.of(case.broker, "t", "c")
    assert stats is not None
    assert next(iter(stats))["channels"][0]["dead_letter_count"] == 1


@pytest.mark.parametrize(
    ("topic", "channel", "name"),
    [
        ("t", "c", "t.c.dlq"),
        ("t#ephemeral", "c", "t.c.dlq#ephemeral"),
        ("t", "c#ephemeral", "t.c.dlq#ephemeral"),
        ("t#ephemeral", "c#ephemeral", "t.c.dlq#ephemeral"),
        ("t" * 29, "c" * 30, "t" * 29 + "." + "c" * 30 + ".dlq"),
        ("t" * 30, "c" * 30, "tttttttttttttttttttttttttttttt.cccccccccccccccc.7a6638441d62.dlq"),
    ],
)
def test_names(topic: str, channel: str, name: str) -> None:
    """Topic, channel and .dlq, shortened by a hash when that is too long."""
    assert dead_letter_name(topic, channel) == name


def test_long_names_stay_valid_and_apart() -> None:
    """However long topic and channel are, and wherever they differ."""
    long = "x" * 54 + "#ephemeral"
    names = {
        dead_letter_name(topic, channel)
        for topic in ("x" * 64, "x" * 63, long)
        for channel in ("x" * 64, "x" * 63 + "y", "x" * 30, long)
    }
    assert len(names) == 12
    assert all(map(valid_name, names))
