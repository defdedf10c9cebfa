"""Topology-aware consumption: who comes first, and what is counted."""

from __future__ import annotations

import pytest

from nsqtx.broker.broker import Broker
from nsqtx.broker.locality import Locality, Place, locality
from nsqtx.broker.stats import channel_counters
from nsqtx.broker.subscription import Subscription
from tests.support.brokers import SECOND, make_broker
from tests.support.lists import ListStore
from tests.support.subscribers import RecordingSubscriber

HERE = Place("z", "r")
NOWHERE = Place("", "")


def consumer(
    broker: Broker, ready: int, place: Place | None, server: Place = HERE
) -> tuple[RecordingSubscriber, Subscription]:
    """A consumer of topic t, channel c, at a place. None: the experiment is off."""
    subscriber = RecordingSubscriber()
    near = None if place is None else locality(server, place)
    channel = broker.get_topic("t").get_channel("c")
    subscription = channel.subscribe(subscriber, 60 * SECOND, 900 * SECOND, locality=near)
    subscription.ready = ready
    return subscriber, subscription


def counts(broker: Broker) -> list[int]:
    """Zone-local, region-local and global messages of the channel, in ``/stats``."""
    stats = channel_counters(broker.topics["t"].channels["c"])
    return [stats.get(f"{name}_msg_count", 0) for name in ("zone_local", "region_local", "global")]


@pytest.mark.parametrize(
    ("server", "client", "expected"),
    [
        (HERE, Place("z", "r"), (0, True, True)),
        (HERE, Place("z", "other"), (0, True, False)),
        (HERE, Place("other", "r"), (1, False, True)),
        (HERE, Place("other", "other"), (2, False, False)),
        (HERE, NOWHERE, (2, False, False)),
        (NOWHERE, NOWHERE, (2, True, True)),
        (Place("", "r"), Place("", "r"), (1, True, True)),
        (Place("", "r"), Place("", ""), (2, True, False)),
    ],
)
def test_how_near_a_client_is(server: Place, client: Place, expected: Locality) -> None:
    """Zone and region count apart; being in no zone, as the server, is preferred by nobody."""
    assert locality(server, client) == expected


def test_near_consumers_get_theirs_first() -> None:
    """The zone first, up to its RDY, then the region, then the rest."""
    broker = make_broker(ListStore())
    far, _ = consumer(broker, 5, Place("a", "b"))
    region, _ = consumer(broker, 2, Place("a", "r"))
    zone, _ = consumer(broker, 3, Place("z", "r"))
    topic = broker.topics["t"]
    topic.publish([b"1", b"2", b"3"])
    assert (zone.bodies, region.bodies, far.bodies) == ([b"1", b"2", b"3"], [], [])
    topic.publish([b"4", b"5", b"6"])
    assert (region.bodies, far.bodies) == ([b"4", b"5"], [b"6"])
    assert counts(broker) == [3, 2, 1]


def test_consumers_as_near_as_each_other_share() -> None:
    """Within a zone the shares are fair."""
    broker = make_broker(ListStore())
    consumers = [consumer(broker, 50, HERE)[0] for _ in range(2)]
    broker.topics["t"].publish([b"x"] * 10)
    assert [len(each.records) for each in consumers] == [5, 5]


def test_all_are_alike_without_the_experiment() -> None:
    """Messages are shared out, and all of them are global."""
    broker = make_broker(ListStore())
    consumers = [consumer(broker, 50, None)[0] for _ in range(2)]
    broker.topics["t"].publish([b"x"] * 10)
    assert [len(each.records) for each in consumers] == [5, 5]
    assert counts(broker) == [0, 0, 10]


@pytest.mark.parametrize("empty", [False, True])
def test_what_is_read_from_the_log_is_not_counted(empty: bool) -> None:
    """Of 20 messages 4 fit into memory; these count, and those that come when all is read."""
    broker = make_broker(ListStore(), mem_queue_size=4)
    subscriber, subscription = consumer(broker, 0, HERE)
    topic = broker.topics["t"]
    topic.publish([b"x"] * 20)
    subscription.set_ready(8)
    assert (len(subscriber.records), counts(broker)) == (8, [0, 0, 0])
    if empty:
        topic.channels["c"].empty()
        before = 0
    else:
        subscription.set_ready(20)
        before = 4
    assert counts(broker)[0] == before
    subscription.set_ready(100)
    topic.publish([b"y"] * 3)
    assert counts(broker)[0] == before + 3
