"""A broker over lists, and consumers on its channels."""

from __future__ import annotations

from twisted.internet.task import Clock

from nsqtx.broker.broker import Broker, Settings
from nsqtx.broker.channel import Channel
from nsqtx.broker.subscription import Subscription
from nsqtx.broker.topic import Topic
from tests.support.lists import ListStore
from tests.support.subscribers import RecordingSubscriber

__all__ = ["SECOND", "Bench", "consume", "make_broker"]

SECOND = 10**9


def make_broker(store: ListStore, clock: Clock | None = None, **settings: int) -> Broker:
    if clock is None:
        clock = Clock()
        clock.advance(1_700_000_000)
    return Broker(store, clock.seconds, Settings(**settings))  # type: ignore[arg-type]


def consume(broker: Broker, topic: str, channel: str, ready: int = 1000) -> RecordingSubscriber:
    subscriber = RecordingSubscriber()
    subscription = (
        broker.topics[topic].channels[channel].subscribe(subscriber, 60 * SECOND, 900 * SECOND)
    )
    subscription.set_ready(ready)
    return subscriber


class Bench:
    """A broker with one topic and one channel, under a clock that the test owns."""

    def __init__(self, **settings: int) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.store = ListStore()
        self.broker = make_broker(self.store, self.clock, **settings)
        self.topic: Topic = self.broker.get_topic("t")
        self.channel: Channel = self.topic.get_channel("c")

    def consumer(
        self, ready: int, timeout: int = 60 * SECOND, channel: Channel | None = None
    ) -> tuple[RecordingSubscriber, Subscription]:
        subscriber = RecordingSubscriber()
        subscription = (channel or self.channel).subscribe(subscriber, timeout, 900 * SECOND)
        subscription.set_ready(ready)
        return subscriber, subscription

    def publish(self, *bodies: bytes, due: int = 0) -> None:
        assert self.topic.publish(list(bodies), due) is None

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.broker.scan()
