"""Who has room is served, in turn, and nobody else is looked at (`nsqtx.broker.takers`)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from nsqtx.broker.subscription import Subscription
from tests.support.brokers import SECOND, make_broker
from tests.support.lists import ListStore
from tests.support.subscribers import RecordingSubscriber

EVENTS = ["publish", "join", "time", "empty", "leave", "rdy", "finish", "requeue", "block"]
#: These come more often.
EVENTS += ["publish", "finish"]


class Crowd:
    """A channel and all who ever consumed it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.broker = make_broker(ListStore(), self.clock)
        self.topic = self.broker.get_topic("t")
        self.channel = self.topic.get_channel("c")
        self.all: list[tuple[RecordingSubscriber, Subscription]] = []

    def join(self, ready: int) -> RecordingSubscriber:
        """One more."""
        subscriber = RecordingSubscriber()
        subscription = self.channel.subscribe(subscriber, 60 * SECOND, 900 * SECOND)
        self.all.append((subscriber, subscription))
        subscription.set_ready(ready)
        return subscriber

    def do(self, what: str, which: int, count: int) -> None:
        """Something that happens to a consumer, and the pump that comes with it."""
        _, subscription = self.all[which % len(self.all)]
        here = subscription in self.channel.subscriptions
        in_flight = list(subscription.in_flight)[:count]
        if what == "publish":
            self.topic.publish([b"x"] * (count + 1))
        elif what == "join":
            self.join(count)
        elif what == "time":
            self.clock.advance(61)
            self.broker.scan()
        elif what == "empty":
            self.channel.empty()
        elif what == "leave":
            subscription.leave()
        elif what == "rdy" and here:
            subscription.set_ready(count)
        elif what == "finish" and in_flight:
            subscription.finish(in_flight)
        elif what == "requeue" and in_flight:
            subscription.requeue(in_flight[-1], 0)
        elif what == "block":
            subscription.blocked = bool(count % 2)
        self.channel.pump()


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(EVENTS),
            st.integers(0, 5),
            st.integers(0, 4),
        ),
        max_size=40,
    )
)
def test_nobody_with_room_waits(events: list[tuple[str, int, int]]) -> None:
    """L1: whatever happened, there is no consumer with room while there are messages."""
    crowd = Crowd()
    crowd.join(1)
    for what, which, count in events:
        crowd.do(what, which, count)
        waiting = len(crowd.channel.backlog) + len(crowd.channel.requeued)
        room = [each.room() for each in crowd.channel.subscriptions]
        assert not waiting or max(room, default=0) <= 0, (waiting, room)


def test_all_in_turn() -> None:
    """Messages that come one by one go round, also among those with much room."""
    crowd = Crowd()
    consumers = [crowd.join(ready) for ready in (1000, 3, 50)]
    for number in range(9):
        crowd.topic.publish([b"%d" % number])
    assert [each.bodies for each in consumers] == [
        [b"0", b"3", b"6"],
        [b"1", b"4", b"7"],
        [b"2", b"5", b"8"],
    ]


class Watched(Subscription):
    """Counts how often it is asked for room."""

    asked = 0

    def room(self) -> int:
        """As ever."""
        type(self).asked += 1
        return super().room()


def test_a_crowd_costs_no_more() -> None:
    """A message for one of a thousand consumers is no look at a thousand."""
    crowd = Crowd()
    for _ in range(1000):
        subscriber = RecordingSubscriber()
        watched = Watched(crowd.channel, subscriber, 60 * SECOND, 900 * SECOND)
        crowd.channel.subscriptions.append(watched)
        watched.set_ready(1)
    Watched.asked = 0
    for _ in range(100):
        crowd.topic.publish([b"x"])
    assert crowd.channel.in_flight_count == 100
    assert Watched.asked < 1000
