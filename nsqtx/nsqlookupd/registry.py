"""What nsqlookupd knows: producers, topics, channels, tombstones (nsqlookupd section 4).

A *producer* is a connection of an nsqd. A *registration* says that a producer has a topic or a
channel. Topics and channels outlive their producers; what is shown of producers is decided when
somebody asks: whoever was not heard of for too long is hidden, and so is whoever has a tombstone
on the topic.

In memory a registration is an entry in the dict of its topic or channel, and a producer knows its
topics, so that nothing is ever searched for. A producer that leaves is hidden at once, and taken
out of all these dicts step by step (`Registry.remove`): it may be in tens of thousands.

Each change of a topic's producers gives the topic a new *index*, a number that only grows, also
over a restart. Those who wait for news compare it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator

from nsqtx.nsqlookupd.entries import ANY, Full, Limits, Producer, Registration, Topic
from nsqtx.wire.names import is_ephemeral

__all__ = ["Registry"]


class Registry:
    """The directory.

    ``now`` gives the time in ns. ``on_change`` is told the name of a topic whose producers changed.
    """

    def __init__(
        self,
        now: Callable[[], int],
        limits: Limits | None = None,
        on_change: Callable[[str], None] = lambda topic: None,
    ) -> None:
        self.now = now
        self.limits = limits or Limits()
        self.producers: dict[Producer, None] = {}
        self.topics: dict[str, Topic] = {}
        #: How many topics and channels there are, and how many topics alone.
        self.names = 0
        self.listed = 0
        self._on_change = on_change
        # Microseconds, so that indexes of an earlier run are smaller.
        self._index = self._first_index = now() // 1000
        # The index of whatever is not there: when something went last.
        self._gone_index = self._index

    # Producers.

    def add(self, producer: Producer) -> None:
        """A producer has introduced itself."""
        self.producers[producer] = None

    def touch(self, producer: Producer) -> int:
        """It was heard of; how long ago that was the case before, in ns."""
        now = self.now()
        before, producer.last_update = producer.last_update, now
        if now - before > self.limits.inactive_producer_timeout:
            # It was hidden, and is back.
            for topic in producer.topics:
                self._changed(topic)
        return now - before

    def remove(self, producer: Producer) -> Iterator[Registration]:
        """A producer has left: it is hidden now, and each step removes a registration.

        Names stay, ephemeral ones too.
        """
        producer.gone = True
        del self.producers[producer]
        return self._removed(producer)

    def _removed(self, producer: Producer) -> Iterator[Registration]:
        while producer.topics:
            topic, _ = producer.topics.popitem()
            del topic.producers[producer]
            self._changed(topic)
            yield Registration("topic", topic.name)
            for name in list(topic.channels):
                if _discard(topic.channels.get(name), producer):
                    yield Registration("channel", topic.name, name)
        producer.tombstones.clear()
        yield Registration("client")

    # Registrations.

    def register(self, producer: Producer, name: str, channel: str = "") -> list[Registration]:
        """A producer has a topic, and maybe a channel of it; what is new of that.

        What is there already stays as it is, with a tombstone if there is one.

        :raises Full: there would be too much of it.
        """
        made: list[Registration] = []
        most = self.limits.max_registrations
        # A command makes two at most, so that few have to be looked at closely.
        if (
            producer.registrations + 2 > most
            and producer.registrations + self._lacking(producer, name, channel) > most
        ):
            raise Full(f"more than {most} registrations")
        topic = self.create_topic(name)
        if channel:
            producers = self._create_channel(topic, channel)
            if producer not in producers:
                producers[producer] = None
                made.append(Registration("channel", name, channel))
        if producer not in topic.producers:
            topic.producers[producer] = None
            producer.topics[topic] = None
            made.append(Registration("topic", name))
            self._changed(topic)
        producer.registrations += len(made)
        return made

    def _lacking(self, producer: Producer, name: str, channel: str) -> int:
        """How many registrations it has yet to make for these names."""
        topic = self.topics.get(name)
        if topic is None:
            return 1 + bool(channel)
        lacks_channel = channel and producer not in topic.channels.get(channel, {})
        return (producer not in topic.producers) + bool(lacks_channel)

    def unregister(self, producer: Producer, name: str, channel: str = "") -> list[Registration]:
        """A producer has that topic, or that channel, no more; what is gone of it.

        An ephemeral name that has no producer left is forgotten. Channels of a topic keep their
        names. Something unknown is fine.
        """
        topic = self.topics.get(name)
        if topic is None:
            return []
        channels = [channel] if channel else list(topic.channels)
        gone = [
            Registration("channel", name, each)
            for each in channels
            if _discard(topic.channels.get(each), producer)
        ]
        if channel:
            if is_ephemeral(channel) and _is_empty(topic.channels.get(channel, {})):
                self.delete_channel(name, channel)
        else:
            if producer in topic.producers:
                del topic.producers[producer]
                del producer.topics[topic]
                producer.tombstones.pop(topic, None)
                gone.append(Registration("topic", name))
                self._changed(topic)
            if is_ephemeral(name) and _is_empty(topic.producers):
                self._unlist(topic)
        producer.registrations -= len(gone)
        return gone

    # Names.

    def create_topic(self, name: str) -> Topic:
        """The topic of that name, made if there is none.

        :raises Full: there are too many names.
        """
        topic = self.topics.get(name)
        if topic is None or not topic.listed:
            self._count_name()
            if topic is None:
                name = sys.intern(name)
                topic = self.topics[name] = Topic(name)
            topic.listed = True
            self.listed += 1
            self._changed(topic)
        return topic

    def create_channel(self, topic: str, channel: str) -> None:
        """See to it that there are a topic and a channel of these names.

        :raises Full: there are too many names.
        """
        self._create_channel(self.create_topic(topic), channel)

    def _create_channel(self, topic: Topic, name: str) -> dict[Producer, None]:
        producers = topic.channels.get(name)
        if producers is None:
            self._count_name()
            # The same few names of channels are in many topics.
            producers = topic.channels[sys.intern(name)] = {}
        return producers

    def _count_name(self) -> None:
        if self.names >= self.limits.max_names:
            raise Full(f"more than {self.limits.max_names} topics and channels")
        self.names += 1

    def delete_topic(self, name: str) -> None:
        """Forget a topic, its channels and all their registrations. Unknown is fine."""
        for topic in list(self.topics.values()) if name == ANY else self._find(name):
            for channel in list(topic.channels):
                self.delete_channel(topic.name, channel)
            for producer in topic.producers:
                # One that is gone may be on its way out of here already.
                producer.topics.pop(topic, None)
                producer.tombstones.pop(topic, None)
                producer.registrations -= 1
            topic.producers.clear()
            self._unlist(topic)

    def _unlist(self, topic: Topic) -> None:
        if topic.listed:
            topic.listed = False
            self.listed -= 1
            self.names -= 1
            self._changed(topic)
            self._gone_index = self._index
        self._forget(topic)

    def delete_channel(self, topic: str, name: str) -> bool:
        """Forget a channel with its registrations; False: there is none."""
        found = self.topics.get(topic)
        if found is None or name not in found.channels:
            return False
        for producer in found.channels.pop(name):
            producer.registrations -= 1
        self.names -= 1
        self._forget(found)
        return True

    def _forget(self, topic: Topic) -> None:
        """Let go of a topic of which nothing is left."""
        if not topic.listed and not topic.channels:
            self.topics.pop(topic.name, None)

    # Tombstones.

    def tombstone(self, name: str, node: str) -> None:
        """Hide a node from a topic for a while (section 4.6)."""
        now = self.now()
        for topic in self.find(name):
            for producer in topic.producers:
                if producer.is_at(node):
                    producer.tombstones[topic] = now
                    self._changed(topic)

    def is_tombstoned(self, producer: Producer, topic: Topic) -> bool:
        """Whether it is hidden from the topic now."""
        since = producer.tombstones.get(topic)
        return since is not None and self.now() - since < self.limits.tombstone_lifetime

    # What is asked.

    def _find(self, name: str) -> list[Topic]:
        topic = self.topics.get(name)
        return [] if topic is None else [topic]

    def find(self, name: str) -> list[Topic]:
        """The topic of that name, or all; only those that are listed."""
        topics: Iterable[Topic] = self.topics.values() if name == ANY else self._find(name)
        return [topic for topic in topics if topic.listed]

    def channels(self, name: str) -> list[str]:
        """The channels of a topic, or of all."""
        topics: Iterable[Topic] = self.topics.values() if name == ANY else self._find(name)
        return [channel for topic in topics for channel in topic.channels]

    def nodes(self) -> list[Producer]:
        """All producers that are not hidden."""
        oldest = self.now() - self.limits.inactive_producer_timeout
        return [producer for producer in self.producers if producer.last_update >= oldest]

    def live(self, topics: Iterable[Topic]) -> list[Producer]:
        """The producers of topics that are not hidden, each once."""
        oldest = self.now() - self.limits.inactive_producer_timeout
        found: dict[Producer, None] = {}
        for topic in topics:
            for producer in topic.producers:
                if (
                    not producer.gone
                    and producer.last_update >= oldest
                    and not (producer.tombstones and self.is_tombstoned(producer, topic))
                ):
                    found[producer] = None
        return list(found)

    def index(self, name: str) -> int:
        """When the producers of a topic changed last; of all topics, for `ANY`."""
        if name == ANY:
            return self._index
        topic = self.topics.get(name)
        return topic.index if topic is not None and topic.listed else self._gone_index

    @property
    def changes(self) -> int:
        """How often the producers of a topic have changed."""
        return self._index - self._first_index

    def _changed(self, topic: Topic) -> None:
        self._index += 1
        topic.index = self._index
        self._on_change(topic.name)


def _discard(producers: dict[Producer, None] | None, producer: Producer) -> bool:
    """Remove a producer from a channel, if it is there."""
    if not producers or producer not in producers:
        return False
    del producers[producer]
    return True


def _is_empty(producers: Iterable[Producer]) -> bool:
    """Whether none is left but those on their way out."""
    return all(producer.gone for producer in producers)
