"""What ``/stats`` and statsd show of topics and channels (nsqd-http section 8.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from nsqtx.broker.broker import Broker
from nsqtx.broker.channel import Channel
from nsqtx.broker.locality import LocalCounts
from nsqtx.broker.quantile import summary
from nsqtx.broker.topic import Topic

__all__ = ["TopicStats", "channel_counters"]


@attrs.frozen
class TopicStats:
    """The ``topics`` of ``/stats``, sorted by name, keys in the order of the specification.

    Going through it gives each topic as it is at that moment. With ``topic`` it is only that one;
    with ``channel`` only channels of that name, and no topic without it.
    """

    broker: Broker
    topic: str
    channel: str
    clients: bool
    _topics: list[Topic]

    @classmethod
    def of(
        cls, broker: Broker, topic: str = "", channel: str = "", clients: bool = True
    ) -> TopicStats | None:
        """Of those that there are now; None: there is no such topic."""
        if topic:
            if topic not in broker.topics:
                return None
            topics = [broker.topics[topic]]
        else:
            topics = [broker.topics[name] for name in sorted(broker.topics)]
        if channel:
            topics = [each for each in topics if channel in each.channels]
        return cls(broker, topic, channel, clients, topics)

    def __len__(self) -> int:
        return len(self._topics)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for each in self._topics:
            yield _topic(self.broker, each, self.topic, self.channel, self.clients)


def _topic(
    broker: Broker, topic: Topic, topic_filter: str, channel_filter: str, clients: bool
) -> dict[str, Any]:
    channels = topic.channels
    names = [name for name in sorted(channels) if channel_filter in ("", name)]
    windows = [c.latency for c in channels.values() if c.latency is not None]
    return {
        "topic_name": topic.name,
        "channels": [_channel(broker, channels[name], topic_filter, clients) for name in names],
        "depth": topic.depth,
        "backend_depth": topic.backend_depth,
        "message_count": topic.message_count,
        "message_bytes": topic.message_bytes,
        "paused": topic.paused,
        "e2e_processing_latency": summary(windows, broker.settings.latency_quantiles, broker.now()),
    }


def _dead_letters(channel: Channel) -> dict[str, Any]:
    """Only of channels that have, or had, a limit: the original shows nothing of the kind."""
    letters = channel.dead_letters
    if not channel.max_attempts and not letters.count:
        return {}
    return {
        "max_attempts": channel.max_attempts,
        "dead_letter_topic": letters.topic,
        "dead_letter_count": letters.count,
    }


def channel_counters(channel: Channel) -> dict[str, Any]:
    """The counters of a channel in ``/stats`` up to ``timeout_count``."""
    counted = {
        "channel_name": channel.name,
        "depth": channel.depth,
        "backend_depth": channel.backend_depth,
        "in_flight_count": channel.in_flight_count,
        "deferred_count": channel.deferred_count,
        "message_count": channel.message_count,
    }
    local = channel.local or LocalCounts()
    memory_counts = {
        "zone_local_msg_count": local.zone,
        "region_local_msg_count": local.region,
        "global_msg_count": max(0, channel.memory_count - local.zone - local.region),
    }
    counted.update({key: count for key, count in memory_counts.items() if count})
    counted["requeue_count"] = channel.requeue_count
    counted["timeout_count"] = channel.timeout_count
    return counted


def _channel(broker: Broker, channel: Channel, topic: str, clients: bool) -> dict[str, Any]:
    windows = [] if channel.latency is None else [channel.latency]
    subscribers = [each.subscriber for each in channel.subscriptions]
    return {
        **channel_counters(channel),
        "client_count": len(subscribers),
        "clients": [each.stats(topic) for each in subscribers] if clients else None,
        "paused": channel.paused,
        "e2e_processing_latency": summary(windows, broker.settings.latency_quantiles, broker.now()),
        **_dead_letters(channel),
    }
