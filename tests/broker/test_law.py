"""Random histories of a topic against the law that nothing is lost, doubled or early."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet.task import Clock

from nsqtx.broker.broker import Broker, Settings
from nsqtx.broker.channel import Channel
from nsqtx.broker.subscription import Subscription
from nsqtx.broker.topic import Topic
from tests.support.lists import ListStore
from tests.support.subscribers import RecordingSubscriber

SECOND = 10**9


class History(RuleBasedStateMachine):
    """One topic with one channel (made at some point), consumers, time, restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.store = ListStore()
        self.published: dict[bytes, int] = {}
        self.finished: set[bytes] = set()
        self.crashed = False
        self.start()

    def start(self) -> None:
        self.broker = Broker(self.store, self.clock.seconds, Settings(mem_queue_size=4))
        self.broker.load({})
        self.topic: Topic = self.broker.get_topic("t")
        self.consumers: list[tuple[RecordingSubscriber, Subscription]] = []
        self.attempts: dict[bytes, int] = {}

    @property
    def channel(self) -> Channel | None:
        return self.topic.channels.get("c")

    @rule(count=st.integers(1, 6), delay=st.sampled_from([0, 0, 1, 5]))
    def publish(self, count: int, delay: int) -> None:
        bodies = [b"%d" % (len(self.published) + i) for i in range(count)]
        due = self.broker.now() + delay * SECOND if delay else 0
        self.topic.publish(bodies, due)
        self.published.update(dict.fromkeys(bodies, due))

    @rule()
    def make_channel(self) -> None:
        self.topic.get_channel("c")

    @precondition(lambda self: self.channel and len(self.consumers) < 3)
    @rule(ready=st.integers(0, 5))
    def subscribe(self, ready: int) -> None:
        assert self.channel is not None
        subscriber = RecordingSubscriber()
        subscription = self.channel.subscribe(subscriber, 2 * SECOND, 5 * SECOND)
        self.consumers.append((subscriber, subscription))
        subscription.set_ready(ready)

    @precondition(lambda self: self.consumers)
    @rule(data=st.data())
    def act(self, data: st.DataObject) -> None:
        """A consumer does something with one of the messages it has in flight."""
        subscriber, subscription = data.draw(st.sampled_from(self.consumers))
        what = data.draw(st.sampled_from(["ready", "fin", "req", "later", "touch", "leave"]))
        if what == "ready":
            subscription.set_ready(data.draw(st.integers(0, 6)))
        elif what == "leave":
            subscription.leave()
            self.consumers.remove((subscriber, subscription))
        elif subscription.in_flight:
            id = data.draw(st.sampled_from(sorted(subscription.in_flight)))
            record = subscription.in_flight[id][0]
            if what == "fin":
                assert subscription.finish([id]) == []
                self.finished.add(record[34:])
                subscription.channel.pump()
            elif what == "touch":
                subscription.touch(id, data.draw(st.sampled_from([1, 2, 4])) * SECOND)
            else:
                subscription.requeue(id, SECOND if what == "later" else 0)
                subscription.channel.pump()

    @rule(tenths=st.integers(1, 30))
    def time_passes(self, tenths: int) -> None:
        self.clock.advance(tenths / 10)
        self.broker.scan()

    @rule()
    def tick(self) -> None:
        self.broker.tick()

    @rule()
    def pause_or_not(self) -> None:
        if self.topic.paused:
            self.topic.unpause()
        else:
            self.topic.pause()

    @rule()
    def pause_channel_or_not(self) -> None:
        if self.channel is not None:
            if self.channel.paused:
                self.channel.unpause()
            else:
                self.channel.pause()

    @precondition(lambda self: self.topic.holding)
    @rule()
    def empty_topic(self) -> None:
        """What the topic holds is dropped, and nothing else."""
        before = self.in_places()
        self.topic.empty()
        self.finished |= before - self.in_places()
        assert self.topic.depth == 0

    @rule()
    def restart(self) -> None:
        """A clean one: attempts are kept, and nothing that was finished comes again."""
        before = dict(self.attempts)
        assert self.broker.stop() == []
        self.start()
        if not self.crashed:
            self.attempts = before

    @rule()
    def crash(self) -> None:
        """What was finished since the last checkpoint may come again, the rest must."""
        self.start()
        self.crashed = True
        # Which of the finished ones are really gone, only the checkpoint knows.
        known = self.in_places()
        self.finished -= known

    def in_places(self) -> set[bytes]:
        """The bodies of all messages that are somewhere."""
        positions: set[int] = set()
        state = self.topic.state()
        deferred: set[int] = set()
        for part in (state.held, *state.channels):
            for start, stop in part.ranges:
                positions.update(range(start, stop))
            positions.update(p.position for p in part.pending)
        log = self.store.logs["t"]
        bodies = set()
        for batch in log.replay(0):
            for i, record in enumerate(batch.records):
                position = batch.first + i
                if batch.due or batch.channel:
                    deferred.add(position)
                    pending = [p for part in (state.held, *state.channels) for p in part.pending]
                    if position not in {p.position for p in pending}:
                        continue
                if position in positions:
                    bodies.add(record[34:])
        return bodies

    @invariant()
    def nothing_is_lost(self) -> None:
        assert set(self.published) - self.in_places() - self.finished == set()

    @invariant()
    def counts_agree(self) -> None:
        channel = self.channel
        held = self.topic.depth
        if channel is None:
            assert held == len(self.published) - len(self.finished)
        else:
            places = held + channel.depth + channel.in_flight_count + channel.deferred_count
            assert places == len(self.published) - len(self.finished)

    @invariant()
    def deliveries_are_in_order(self) -> None:
        """Nothing comes early or after FIN, and attempts count up."""
        now = self.broker.now()
        for subscriber, _ in self.consumers:
            for record in subscriber.records:
                body, attempts = record[34:], int.from_bytes(record[16:18], "big")
                assert self.published[body] <= now
                assert self.crashed or attempts > self.attempts.get(body, 0)
                self.attempts[body] = attempts
            subscriber.records.clear()


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
