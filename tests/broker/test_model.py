"""Any operations on topics, channels and messages, against a model of dictionaries.

The model says which messages are where; which consumer gets which message it learns from what
was delivered, and then knows all that may happen to it.
"""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.internet.task import Clock

from nsqtx.broker.broker import Broker, Settings
from nsqtx.broker.subscription import Subscription
from tests.support.lists import ListStore
from tests.support.subscribers import RecordingSubscriber

SECOND = 10**9
#: Until a message that was delivered comes again, and the longest that TOUCH can make it (ns).
TIMEOUT, LONGEST = 2 * SECOND, 5 * SECOND

topics = st.sampled_from(["t", "t", "t", "u"])
channels = st.sampled_from(["c", "c", "c", "d"])


@attrs.define(eq=False)
class Consumer:
    """What is on a channel, and the real ones."""

    subscriber: RecordingSubscriber
    real: Subscription
    ready: int = 0


@attrs.define(eq=False)
class ModelChannel:
    """Message numbers by where they are; deferred with due time, in flight with all of it."""

    ready: set[int] = attrs.Factory(set)
    deferred: dict[int, int] = attrs.Factory(dict)
    #: Consumer, deadline, time of delivery.
    in_flight: dict[int, tuple[Consumer, int, int]] = attrs.Factory(dict)
    attempts: dict[int, int] = attrs.Factory(dict)
    consumers: list[Consumer] = attrs.Factory(list)
    paused: bool = False

    def give_back(self, now: int) -> None:
        """What is due, or has timed out, is ready."""
        for number in [n for n, due in self.deferred.items() if due <= now]:
            del self.deferred[number]
            self.ready.add(number)
        for number in [n for n, (_, deadline, _) in self.in_flight.items() if deadline <= now]:
            del self.in_flight[number]
            self.ready.add(number)


@attrs.define(eq=False)
class ModelTopic:
    """What is held, and the channels."""

    ready: set[int] = attrs.Factory(set)
    deferred: dict[int, int] = attrs.Factory(dict)
    channels: dict[str, ModelChannel] = attrs.Factory(dict)
    paused: bool = False

    def release(self) -> None:
        """All channels get what is held, if there are any and nothing is paused."""
        if self.channels and not self.paused:
            for channel in self.channels.values():
                channel.ready |= self.ready
                channel.deferred |= self.deferred
            self.ready.clear()
            self.deferred.clear()


class Operations(RuleBasedStateMachine):
    """Does everything twice: to the broker, and to the model."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.store = ListStore()
        self.model: dict[str, ModelTopic] = {}
        self.number = 0
        self.start()

    def start(self) -> None:
        self.broker = Broker(self.store, self.clock.seconds, Settings(mem_queue_size=3))
        self.broker.load({})

    def topic(self, name: str) -> tuple[Any, ModelTopic]:
        return self.broker.get_topic(name), self.model.setdefault(name, ModelTopic())

    def channel(self, topic: str, name: str) -> tuple[Any, ModelChannel]:
        real, model = self.topic(topic)
        found = model.channels.setdefault(name, ModelChannel())
        made = real.get_channel(name)
        model.release()
        return made, found

    @rule(topic=topics, count=st.integers(1, 5), delay=st.sampled_from([0, 0, 1, 3]))
    def publish(self, topic: str, count: int, delay: int) -> None:
        real, model = self.topic(topic)
        numbers = range(self.number, self.number + count)
        self.number += count
        due = self.broker.now() + delay * SECOND if delay else 0
        real.publish([b"%d" % n for n in numbers], due)
        (model.deferred.update(dict.fromkeys(numbers, due)) if due else model.ready.update(numbers))
        model.release()

    @rule(topic=topics, name=channels)
    def make_channel(self, topic: str, name: str) -> None:
        self.channel(topic, name)

    @rule(topic=topics, name=channels, ready=st.integers(0, 4))
    def subscribe(self, topic: str, name: str, ready: int) -> None:
        real, model = self.channel(topic, name)
        subscriber = RecordingSubscriber()
        consumer = Consumer(subscriber, real.subscribe(subscriber, TIMEOUT, LONGEST), ready)
        model.consumers.append(consumer)
        consumer.real.set_ready(ready)

    @rule(data=st.data(), what=st.sampled_from(["fin", "fin", "req", "later", "touch"]))
    def answer(self, data: st.DataObject, what: str) -> None:
        """A consumer answers one of its messages."""
        held = [
            (channel, number)
            for topic in self.model.values()
            for channel in topic.channels.values()
            for number, (consumer, _, _) in channel.in_flight.items()
            if consumer in channel.consumers
        ]
        if not held:
            return
        channel, number = data.draw(st.sampled_from(held))
        consumer, _, delivered = channel.in_flight.pop(number)
        now = self.broker.now()
        (id,) = [i for i, (r, _) in consumer.real.in_flight.items() if r[34:] == b"%d" % number]
        if what == "fin":
            assert consumer.real.finish([id]) == []
            consumer.real.channel.pump()
        elif what == "touch":
            deadline = min(now + TIMEOUT, delivered + LONGEST)
            channel.in_flight[number] = (consumer, deadline, delivered)
            consumer.real.touch(id, TIMEOUT)
        else:
            consumer.real.requeue(id, SECOND if what == "later" else 0)
            if what == "later":
                channel.deferred[number] = now + SECOND
            else:
                channel.ready.add(number)
            consumer.real.channel.pump()

    @rule(data=st.data(), ready=st.sampled_from([None, 0, 1, 5]))
    def set_ready_or_leave(self, data: st.DataObject, ready: int | None) -> None:
        every = [
            (channel, consumer)
            for topic in self.model.values()
            for channel in topic.channels.values()
            for consumer in channel.consumers
        ]
        if not every:
            return
        channel, consumer = data.draw(st.sampled_from(every))
        if ready is None:
            channel.consumers.remove(consumer)
            consumer.real.leave()
        else:
            consumer.ready = ready
            consumer.real.set_ready(ready)

    @rule(tenths=st.integers(1, 30))
    def time_passes(self, tenths: int) -> None:
        self.clock.advance(tenths / 10)
        for topic in self.model.values():
            for channel in topic.channels.values():
                channel.give_back(self.broker.now())
        self.broker.scan()

    @rule(topic=topics)
    def pause_topic_or_not(self, topic: str) -> None:
        real, model = self.topic(topic)
        model.paused = not model.paused
        (real.pause if model.paused else real.unpause)()
        model.release()

    @rule(topic=topics, name=channels)
    def pause_channel_or_not(self, topic: str, name: str) -> None:
        real, model = self.channel(topic, name)
        model.paused = not model.paused
        (real.pause if model.paused else real.unpause)()

    @rule(topic=topics, name=st.sampled_from([None, "c", "d"]), delete=st.booleans())
    def empty_or_delete(self, topic: str, name: str | None, delete: bool) -> None:
        real, model = self.topic(topic)
        if name is None and delete:
            self.broker.delete_topic(topic)
            del self.model[topic]
        elif name is None:
            real.empty()
            model.ready.clear()
            model.deferred.clear()
        elif name in model.channels and delete:
            real.delete_channel(name)
            del model.channels[name]
        elif name in model.channels:
            real.channels[name].empty()
            channel = model.channels[name]
            for place in (channel.ready, channel.deferred, channel.in_flight):
                place.clear()

    @rule()
    def tick(self) -> None:
        self.broker.tick()

    @rule()
    def restart(self) -> None:
        """What was in flight is ready again, everything else is as it was."""
        assert self.broker.stop() == []
        self.start()
        for topic in self.model.values():
            for channel in topic.channels.values():
                channel.ready |= channel.in_flight.keys()
                channel.in_flight.clear()
                channel.consumers.clear()

    @invariant()
    def broker_and_model_agree(self) -> None:
        now = self.broker.now()
        assert self.broker.topics.keys() == self.model.keys()
        for name, topic in self.model.items():
            real = self.broker.topics[name]
            assert (real.depth, real.paused) == (
                len(topic.ready) + len(topic.deferred),
                topic.paused,
            )
            assert real.channels.keys() == topic.channels.keys()
            for each, channel in topic.channels.items():
                for consumer in channel.consumers:
                    self.take_deliveries(channel, consumer, now)
                for consumer in channel.consumers:
                    self.nobody_waits(channel, consumer)
                found = real.channels[each]
                assert (found.depth, found.deferred_count, found.in_flight_count) == (
                    len(channel.ready),
                    len(channel.deferred),
                    len(channel.in_flight),
                )

    def take_deliveries(self, channel: ModelChannel, consumer: Consumer, now: int) -> None:
        """What was delivered was ready, once, and its attempts are right."""
        for record in consumer.subscriber.records:
            number, attempts = int(record[34:]), int.from_bytes(record[16:18], "big")
            channel.ready.remove(number)
            channel.attempts[number] = channel.attempts.get(number, 0) + 1
            assert attempts == channel.attempts[number]
            channel.in_flight[number] = (consumer, now + TIMEOUT, now)
        consumer.subscriber.records.clear()

    def nobody_waits(self, channel: ModelChannel, consumer: Consumer) -> None:
        """A consumer with room leaves nothing ready."""
        taken = sum(owner is consumer for owner, _, _ in channel.in_flight.values())
        waits = channel.ready and not channel.paused and taken < consumer.ready
        assert not waits, f"{len(channel.ready)} messages wait for a consumer with room"


TestOperations = Operations.TestCase
TestOperations.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
