"""Work of many connections that is done once, at the end of a turn of the reactor.

A client that publishes, waits and publishes sends one message at a time. With sixteen of them the
reactor finds several to read from in one turn. Each topic then gets what came for it as one batch:
one write to its log, one checksum, one look at its channels, and only then is everybody answered.
Consumers that finish one message at a time are served by one `Channel.pump` for all of them.

Nothing waits longer for it: the turn ends before the reactor waits for what comes next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from nsqtx.broker.broker import Broker
from nsqtx.broker.channel import Channel
from nsqtx.broker.commit import Commit
from nsqtx.broker.topic import Topic
from nsqtx.interfaces import StorageError

__all__ = ["BATCH_LIMIT", "Publisher", "Turn"]

#: With so many bytes put off, the turn is over early.
BATCH_LIMIT = 1024 * 1024


class Publisher(Protocol):
    """Who published, and is told how that went. Nothing is raised into a `Turn`."""

    def taken(self, topic: str, size: int, commit: Commit | None) -> None:
        """A message of that size is safe, or will be with the commit."""

    def refused(self, error: Exception) -> None:
        """It was not taken: a `BrokerError` or `StorageError` says why, or a bug."""


@attrs.define(eq=False)
class Turn:
    """What one turn of the reactor has put off. ``at_end`` calls something when the turn ends."""

    broker: Broker
    at_end: Callable[[Callable[[], None]], None]
    _publishes: dict[str, list[tuple[Publisher, bytes]]] = attrs.Factory(dict)
    _channels: dict[Channel, None] = attrs.Factory(dict)
    _size: int = 0
    _asked: bool = False

    def publish(self, topic: str, body: bytes, publisher: Publisher) -> None:
        """Publish a message when the turn ends. The topic's name is valid."""
        waiting = self._publishes.get(topic)
        if waiting is None:
            self._publishes[topic] = [(publisher, body)]
            if not self._asked:
                self._asked = True
                self.at_end(self.finish)
        else:
            waiting.append((publisher, body))
        self._size += len(body)
        if self._size > BATCH_LIMIT:
            self._publish_all()

    def pump(self, channel: Channel) -> None:
        """Pump a channel when the turn ends."""
        self._channels[channel] = None
        if not self._asked:
            self._asked = True
            self.at_end(self.finish)

    def finish(self) -> None:
        """Do what was put off. To be called earlier when something must not come before it."""
        self._asked = False
        if self._publishes:
            self._publish_all()
        if self._channels:
            channels, self._channels = self._channels, {}
            for channel in channels:
                channel.pump()

    def _publish_all(self) -> None:
        self._size = 0
        publishes, self._publishes = self._publishes, {}
        for name, waiting in publishes.items():
            try:
                topic = self.broker.get_topic(name)
            except Exception as error:  # noqa: BLE001  # they are told
                _refuse(waiting, error)
            else:
                self._publish(topic, waiting)

    def _publish(self, topic: Topic, waiting: list[tuple[Publisher, bytes]]) -> None:
        try:
            commit = topic.publish([body for _, body in waiting])
        except StorageError as error:
            if len(waiting) == 1:
                _refuse(waiting, error)
            else:
                # There may be room for some of them: each gets what it would get alone.
                for one in waiting:
                    self._publish(topic, [one])
        except Exception as error:  # noqa: BLE001  # they are told
            _refuse(waiting, error)
        else:
            name = topic.name
            for publisher, body in waiting:
                publisher.taken(name, len(body), commit)


def _refuse(waiting: list[tuple[Publisher, bytes]], error: Exception) -> None:
    for publisher, _ in waiting:
        publisher.refused(error)
