"""A broker over lists, and a consumer on one of its channels."""

from __future__ import annotations

from twisted.internet.task import Clock

from nsqtx.broker.broker import Broker, Settings
from tests.support.lists import ListStore
from tests.support.subscribers import RecordingSubscriber

__all__ = ["SECOND", "consume", "make_broker"]

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
