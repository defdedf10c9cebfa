"""What is put off to the end of a turn of the reactor (`nsqtx.broker.turn`)."""

from __future__ import annotations

import attrs

from nsqtx.broker.broker import Broker
from nsqtx.broker.commit import Commit
from nsqtx.broker.errors import Exiting
from nsqtx.broker.turn import BATCH_LIMIT, Turn
from nsqtx.interfaces import StorageError
from nsqtx.wire.frames import body_of
from tests.support.brokers import consume, make_broker
from tests.support.lists import ListLog, ListStore
from tests.support.turns import ManualTurns


@attrs.define(eq=False)
class RecordingPublisher:
    """Keeps what it is told."""

    taken_sizes: list[int] = attrs.Factory(list)
    commits: list[Commit | None] = attrs.Factory(list)
    errors: list[Exception] = attrs.Factory(list)

    def taken(self, topic: str, size: int, commit: Commit | None) -> None:
        self.taken_sizes.append(size)
        self.commits.append(commit)

    def refused(self, error: Exception) -> None:
        self.errors.append(error)


class Desk:
    """A broker over lists, and turns that end when it says so."""

    def __init__(self, must_commit: bool = False) -> None:
        self.store = ListStore(must_commit=must_commit)
        self.broker: Broker = make_broker(self.store)
        self.turns = ManualTurns()
        self.turn = Turn(self.broker, self.turns.at_turn_end)
        self.publishers = [RecordingPublisher() for _ in range(3)]

    def publish(self, *bodies: bytes, topic: str = "t") -> None:
        for publisher, body in zip(self.publishers, bodies, strict=False):
            self.turn.publish(topic, body, publisher)

    def end(self) -> None:
        self.turns.end()

    def log(self, topic: str = "t") -> ListLog:
        return self.store.logs[topic]


def test_one_batch_for_all_publishers() -> None:
    """What several publish in a turn is one batch of the log, in the order in which it came."""
    desk = Desk()
    desk.publish(b"a", b"bb", b"ccc")
    assert len(desk.turns.works) == 1
    assert not desk.broker.topics
    desk.end()
    (batch,) = desk.log().batches
    assert list(map(body_of, batch.records)) == [b"a", b"bb", b"ccc"]
    assert [publisher.taken_sizes for publisher in desk.publishers] == [[1], [2], [3]]
    desk.end()
    assert len(desk.log().batches) == 1


def test_a_batch_for_each_topic() -> None:
    """Topics have nothing to do with each other: one that is refused costs the other nothing."""
    desk = Desk()
    desk.broker.get_topic("full")
    desk.log("full").refuse = "no space"
    desk.publish(b"a", topic="full")
    desk.turn.publish("t", b"b", desk.publishers[1])
    desk.end()
    assert [str(error) for error in desk.publishers[0].errors] == ["no space"]
    assert desk.publishers[1].taken_sizes == [1]


def test_a_refusal_is_for_those_who_have_no_room() -> None:
    """When a batch is refused each message is tried alone, as it would have been without turns."""

    class SmallLog(ListLog):
        def append(
            self, count: int, data: bytes, due: int = 0, channel: str = "", origin: str = ""
        ) -> None:
            self.refuse = "no space" if len(data) > 40 else None
            super().append(count, data, due, channel, origin)

    desk = Desk()
    desk.store.logs["t"] = SmallLog()
    desk.publish(b"a", b"b" * 100, b"c")
    desk.end()
    assert [len(publisher.errors) for publisher in desk.publishers] == [0, 1, 0]
    assert [publisher.taken_sizes for publisher in desk.publishers] == [[1], [], [1]]
    assert [len(batch.records) for batch in desk.log().batches] == [1, 1]


def test_everybody_hears_of_a_stop_and_of_a_bug() -> None:
    """Nobody waits for ever: a topic that goes, and what nobody expected, are told to all."""
    desk = Desk()
    desk.broker.exiting = True
    desk.publish(b"a", b"b")
    desk.end()
    desk.broker.exiting = False
    topic = desk.broker.get_topic("t")
    topic.exiting = True
    desk.publish(b"a", b"b")
    desk.end()
    topic.exiting = False
    topic.now = lambda: 1 // 0
    desk.publish(b"a", b"b")
    desk.end()
    for publisher in desk.publishers[:2]:
        assert [type(error) for error in publisher.errors] == [Exiting, Exiting, ZeroDivisionError]
        assert not publisher.taken_sizes


def test_a_commit_is_shared() -> None:
    """Where OK has to wait for the disk, all of a turn wait for the same commit."""
    desk = Desk(must_commit=True)
    desk.publish(b"a", b"b")
    desk.end()
    first, second = (publisher.commits[0] for publisher in desk.publishers[:2])
    assert first is not None
    assert first is second
    heard: list[StorageError | None] = []
    first.add(heard.append)
    (done,) = desk.log().commits
    done(None)
    assert heard == [None]


def test_much_is_not_put_off() -> None:
    """The memory that a turn may hold is bounded."""
    desk = Desk()
    desk.publish(bytes(BATCH_LIMIT // 2), bytes(BATCH_LIMIT // 2), b"c")
    half = [BATCH_LIMIT // 2]
    assert [publisher.taken_sizes for publisher in desk.publishers] == [half, half, [1]]
    desk.publish(b"d")
    assert desk.publishers[0].taken_sizes == half


def test_channels_are_pumped_once_and_after_what_was_published() -> None:
    """A consumer with room gets what all publishers of the turn have sent in one delivery."""
    desk = Desk()
    channel = desk.broker.get_topic("t").get_channel("c")
    consumer = consume(desk.broker, "t", "c", ready=0)
    desk.publish(b"a", b"b")
    channel.subscriptions[0].ready = 10
    desk.turn.pump(channel)
    desk.turn.pump(channel)
    assert not consumer.records
    desk.end()
    assert list(map(body_of, consumer.records)) == [b"a", b"b"]


def test_an_early_end() -> None:
    """What must not be overtaken can end the turn; the reactor's end then has nothing to do."""
    desk = Desk()
    desk.publish(b"a")
    desk.turn.finish()
    assert desk.publishers[0].taken_sizes == [1]
    desk.publish(b"b")
    desk.end()
    assert desk.publishers[0].taken_sizes == [1, 1]
    assert [len(batch.records) for batch in desk.log().batches] == [1, 1]
