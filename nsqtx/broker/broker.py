"""The broker: all topics of one nsqd, and what happens to them as time goes by."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

import attrs

from nsqtx.broker.channel import Channel
from nsqtx.broker.dead_letters import bury
from nsqtx.broker.errors import Exiting
from nsqtx.broker.recovery import recover
from nsqtx.broker.topic import Topic
from nsqtx.interfaces import IStore, ITopicLog, StorageError
from nsqtx.wire.names import is_ephemeral

__all__ = ["Broker", "Settings"]

#: A checkpoint that took t seconds is not written again before this many times t have passed.
CHECKPOINT_REST = 20
#: So many messages time out, or are due, in one go. Each takes some 3 us.
MESSAGES_AT_ONCE = 2000
#: So many topics are looked after in one go. A checkpoint takes 0.1 ms.
TOPICS_AT_ONCE = 64


@attrs.define
class Settings:
    """The options that the broker itself looks at. Durations in ns."""

    node_id: int = 0
    mem_queue_size: int = 10000
    latency_quantiles: Sequence[float] = ()
    latency_window: int = 600 * 10**9
    #: How often a channel may deliver a message unless it has a limit of its own; 0: any number.
    max_attempts: int = 0


def _ignore(*_: object) -> None:
    """Nobody listens."""


@attrs.define(eq=False)
class Broker:
    """All topics by name. Knows no socket and opens no file.

    ``seconds`` is the clock (`IReactorTime.seconds`). ``on_change(kind, topic, channel)`` is told
    of ``"topic made"``, ``"topic gone"``, ``"channel made"`` and ``"channel gone"``;
    ``on_failure(text)`` of what the disk refused and nobody waits for.
    """

    store: IStore
    seconds: Callable[[], float]
    settings: Settings = attrs.Factory(Settings)
    on_change: Callable[[str, Topic, Channel | None], None] = _ignore
    on_failure: Callable[[str], None] = _ignore
    #: Whether new topics hand their messages out at once.
    autostart: bool = True
    topics: dict[str, Topic] = attrs.Factory(dict)
    exiting: bool = False
    # Dicts and not sets, whose order is that of addresses in memory: with the same past comes the
    # same future.
    _busy: dict[Channel, None] = attrs.Factory(dict)
    _dirty: dict[Topic, None] = attrs.Factory(dict)
    #: Topics whose logs want to be ticked.
    _unsettled: dict[Topic, None] = attrs.Factory(dict)
    _rests: dict[Topic, float] = attrs.Factory(dict)
    #: Channels that are still to be looked after in this round, and when it began: what is due
    #: later is for the next one, so that every round has an end.
    _scanning: deque[Channel] = attrs.Factory(deque)
    _scan_began: int = 0
    #: Topics that are still to be looked after.
    _ticking: deque[Topic] = attrs.Factory(deque)

    def now(self) -> int:
        """The time in nanoseconds since the epoch."""
        return int(self.seconds() * 1e9)

    def get_topic(self, name: str) -> Topic:
        """The topic of that name, made if missing.

        :raises Exiting: nsqd stops.
        :raises StorageError: its log cannot be made.
        """
        topic = self.topics.get(name)
        if topic is not None:
            return topic
        if self.exiting:
            raise Exiting
        topic = self._add_topic(name)
        self.checkpoint(topic)
        self.on_change("topic made", topic, None)
        return topic

    def _add_topic(self, name: str) -> Topic:
        log = None if is_ephemeral(name) else self.store.open(name)
        topic = Topic(
            name,
            self.settings,
            log,
            self.now,
            self._changed,
            self._busy.setdefault,
            self._channel_made,
            self._channel_gone,
            self.on_failure,
            started=self.autostart,
        )
        self.topics[name] = topic
        return topic

    def load(self, known: dict[str, Iterable[str]]) -> None:
        """Find what an earlier run left: every topic with a log, and the ``known`` ones.

        ``known`` maps topics to channels that existed by another record (``nsqd.dat``).

        :raises StorageError: a log cannot be read.
        """
        for name in self.store.topics():
            recover(self._add_topic(name), known.get(name, ()))

    def delete_topic(self, name: str) -> None:
        """Delete a topic with its channels and messages; consumers are disconnected.

        :raises KeyError: there is no such topic.
        :raises StorageError: the disk refused; nothing has changed.
        """
        topic = self.topics[name]
        topic.exiting = True
        if topic.log is not None:
            try:
                self.store.delete(name)
            except StorageError:
                topic.exiting = False
                raise
        for channel in list(topic.channels):
            topic.delete_channel(channel)
        if self.topics.pop(name, None) is None:
            return  # an ephemeral topic that went with its last channel just now
        self._forget(topic)

    def _forget(self, topic: Topic) -> None:
        """Drop a topic that is in no table any more."""
        topic.close()
        self._dirty.pop(topic, None)
        self._unsettled.pop(topic, None)
        self._rests.pop(topic, None)
        self.on_change("topic gone", topic, None)

    def _channel_made(self, topic: Topic, channel: Channel) -> None:
        if not channel.ephemeral:
            # At once: a message answered OK after this must find the channel after a crash.
            topic.channels_unsaved = not self.checkpoint(topic)
        self.on_change("channel made", topic, channel)

    def _channel_gone(self, topic: Topic, channel: Channel) -> None:
        self._busy.pop(channel, None)
        if not channel.ephemeral and not topic.exiting:
            self.checkpoint(topic)
        self.on_change("channel gone", topic, channel)
        last = topic.ephemeral and not topic.channels and not topic.exiting
        if last and self.topics.get(topic.name) is topic:
            del self.topics[topic.name]
            self._forget(topic)

    def checkpoint(self, topic: Topic) -> bool:
        """Write a topic's checkpoint now. False: the disk refused, it is tried again later."""
        self._dirty.pop(topic, None)
        self._unsettled[topic] = None
        began = self.seconds()
        try:
            topic.checkpoint()
        except StorageError as error:
            self._dirty[topic] = None
            self.on_failure(f"checkpoint of topic {topic.name} failed - {error}")
            return False
        took = self.seconds() - began
        if took > 0.01:
            self._rests[topic] = began + CHECKPOINT_REST * took
        return True

    def scan(self) -> bool:
        """Look after deadlines and due times; call it every 100 ms or so.

        True: there are more, call it again as soon as connections have had their turn.
        """
        waiting = self._scanning
        if not waiting:
            waiting.extend(self._busy)
            self._scan_began = self.now()
        left = MESSAGES_AT_ONCE
        while waiting and left > 0:
            channel = waiting.popleft()
            if channel not in self._busy:
                continue  # it was deleted
            count = channel.scan(self._scan_began, left)
            if count == left:
                waiting.append(channel)  # there may be more of it
            left -= 1 + count
            if not channel.waits:
                self._busy.pop(channel, None)
            elif channel.dead_letters:
                bury(self, channel)
        return bool(waiting)

    def tick(self) -> bool:
        """Write checkpoints that are no longer true, and let logs do theirs; once a second.

        True: these were not all, call it again as soon as connections have had their turn.
        """
        waiting = self._ticking
        if not waiting:
            waiting.extend(self._dirty)
            waiting.extend(topic for topic in self._unsettled if topic not in self._dirty)
        now = self.seconds()
        for _ in range(min(TOPICS_AT_ONCE, len(waiting))):
            self._look_after(waiting.popleft(), now)
        return bool(waiting)

    def _look_after(self, topic: Topic, now: float) -> None:
        if topic in self._dirty and self._rests.get(topic, 0.0) <= now:
            self._rests.pop(topic, None)
            self.checkpoint(topic)
        if topic in self._unsettled and (
            topic.log is None or not self._tick_log(topic.log, topic.name)
        ):
            self._unsettled.pop(topic, None)

    def _tick_log(self, log: ITopicLog, name: str) -> bool:
        try:
            return log.tick()
        except StorageError as error:
            self.on_failure(f"log of topic {name}: {error}")
            return True

    def _changed(self, topic: Topic) -> None:
        """The checkpoint of a topic is no longer true, and its log may have something to do."""
        self._dirty[topic] = None
        self._unsettled[topic] = None

    def stop(self) -> list[str]:
        """Take no more messages, write everything down. Returns what went wrong."""
        self.exiting = True
        failures = []
        for topic in self.topics.values():
            topic.close()
            if topic.log is None:
                continue
            try:
                topic.checkpoint(clean=True)
                topic.log.close()
            except StorageError as error:
                failures.append(f"topic {topic.name}: {error}")
        self._dirty.clear()
        self._ticking.clear()
        self._scanning.clear()
        self._busy.clear()
        return failures
