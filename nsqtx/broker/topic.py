"""A topic: takes messages in, writes them to its log, and hands them to its channels.

``released`` (the front of `held`) is up to where the messages were handed out. It stands still
while the topic is paused, has no channel, has not been started, or waits for a commit; a new
channel starts there. That one idea gives NSQ's rules for all of those cases.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import attrs

from nsqtx.broker.backlog import Backlog
from nsqtx.broker.channel import Channel
from nsqtx.broker.commit import Commit
from nsqtx.broker.dead_letters import DeadLetters, dead_letter_name
from nsqtx.broker.errors import Exiting
from nsqtx.broker.quantile import LatencyWindow
from nsqtx.broker.returned import DeferredMessages, RequeuedMessages
from nsqtx.interfaces import ChannelState, ITopicLog, StorageError, TopicState
from nsqtx.wire.frames import HEADER_SIZE, pack_records, renamed
from nsqtx.wire.guid import make_ids
from nsqtx.wire.names import is_ephemeral

if TYPE_CHECKING:
    from nsqtx.broker.broker import Settings

__all__ = ["Topic"]


@attrs.define(eq=False)
class Topic:
    """A stream of messages; every channel gets a copy of each.

    ``log`` is None for an ``#ephemeral`` topic. ``changed`` is called whenever the checkpoint is
    no longer true, ``wake`` when a channel has something for `scan`, ``channel_made`` and
    ``channel_gone`` when the set of channels changed, ``failed`` when the log cannot be read.
    """

    name: str
    settings: Settings
    log: ITopicLog | None
    now: Callable[[], int]
    changed: Callable[[Topic], None]
    wake: Callable[[Channel], None]
    channel_made: Callable[[Topic, Channel], None]
    channel_gone: Callable[[Topic, Channel], None]
    failed: Callable[[str], None]
    channels: dict[str, Channel] = attrs.Factory(dict)
    paused: bool = False
    started: bool = True
    exiting: bool = False
    channels_made: int = 0
    #: A channel was made that no checkpoint knows yet, because the disk refused it.
    channels_unsaved: bool = False
    message_count: int = 0
    message_bytes: int = 0
    #: The position after the last message that was handed on, or is held. At durability ``fsync``
    #: the log may be ahead, by what waits for its commit.
    end: int = 0
    held: Backlog = attrs.field(init=False)
    held_deferred: DeferredMessages = attrs.Factory(DeferredMessages)

    def __attrs_post_init__(self) -> None:
        self.held = Backlog(self.log, self.settings.mem_queue_size)
        # As in a log (see storage.log): the time in microseconds, so that none is used twice.
        self.end = self.now() // 1000 if self.log is None else self.log.end
        self.held.tail = self.end

    @property
    def ephemeral(self) -> bool:
        """Whether the topic goes with its last channel and never touches the disk."""
        return is_ephemeral(self.name)

    @property
    def must_commit(self) -> bool:
        """Whether OK has to wait for a `Commit`."""
        return self.log is not None and self.log.must_commit

    @property
    def depth(self) -> int:
        """Messages that no channel has been given yet."""
        return len(self.held) + len(self.held_deferred)

    @property
    def backend_depth(self) -> int:
        """Those of them that are only in the log."""
        return self.held.behind

    @property
    def holding(self) -> bool:
        """Whether messages wait here."""
        return self.paused or not self.started or not self.channels

    # Messages in.

    def publish(self, bodies: list[bytes], due: int = 0) -> Commit | None:
        """Take messages in: all of them or, when an error is raised, none (S7).

        ``due`` is the time in ns before which they may not be delivered, 0 for at once. None means
        that they are safe as ``--durability`` promises; a `Commit` that they will be.

        :raises Exiting: the topic is being deleted, or nsqd stops.
        :raises StorageError: the log refused.
        """
        if self.exiting:
            raise Exiting
        now = self.now()
        if due <= now:
            due = 0
        log = self.log
        count = len(bodies)
        first = self.end if log is None else log.end
        records = pack_records(bodies, make_ids(first, count, self.settings.node_id), now)
        data = b"".join(records)
        size = len(data)
        if log is not None:
            if self.channels_unsaved:
                # A message answered OK must find its channels again after a crash.
                self.checkpoint()
            log.append(count, data, due)
        self.changed(self)
        if log is not None and log.must_commit:
            commit = Commit(self.channels_made)
            log.commit(partial(self._committed, commit, first, records, size, due))
            return commit
        self._accept(first, records, size, due)
        return None

    def _committed(
        self,
        commit: Commit,
        first: int,
        records: list[bytes],
        size: int,
        due: int,
        error: StorageError | None,
    ) -> None:
        """The log has, or has not, made a publish safe."""
        if error is None and not self.exiting:
            self._accept(first, records, size, due)
            if self.channels_made != commit.channels_made and self.log is not None:
                # The sync may have begun before a channel that OK promises was in the checkpoint.
                self.log.commit(commit.finish)
                return
        commit.finish(error)

    def _accept(self, first: int, records: list[bytes], size: int, due: int) -> None:
        """Count messages that are in the log, and hand them on."""
        self.message_count += len(records)
        self.message_bytes += size - HEADER_SIZE * len(records)
        self.hand_on(first, records, size, due)

    def hand_on(self, first: int, records: list[bytes], size: int, due: int) -> None:
        """Give messages that are in the log to all channels, or hold them."""
        stop = first + len(records)
        keep = self.log is None
        holding = self.holding
        if holding:
            if due:
                self.held.receive(first, stop, [], 0)
                for position, record in zip(range(first, stop), records, strict=True):
                    self.held_deferred.put(due, position, 0, record if keep else None)
            else:
                self.held.receive(first, stop, records, size)
        elif due:
            for channel in self.channels.values():
                channel.receive_deferred(first, stop, records, due, keep)
        else:
            for channel in self.channels.values():
                channel.receive(first, stop, records, size)
        if not holding:
            self.held.tail = stop
        self.end = stop

    # Messages that are moved here from another topic.

    def adopt(self, messages: list[bytes], channel: str = "", origin: str = "") -> Commit:
        """Take in records of another topic, under new ids, as if they had never been delivered.

        ``channel`` and ``origin`` as in `nsqtx.interfaces.Batch`. Once the commit is done without
        an error, the other topic may forget them: they survive what a publish survives at this
        topic's durability, and a kill at every durability.

        :raises Exiting, StorageError: as `publish`.
        """
        if self.exiting:
            raise Exiting
        log = self.log
        count = len(messages)
        first = self.end if log is None else log.end
        ids = make_ids(first, count, self.settings.node_id)
        records = list(map(renamed, messages, ids))
        if log is not None:
            if self.channels_unsaved:
                self.checkpoint()
            log.append(count, b"".join(records), 0, channel, origin)
        self.changed(self)
        commit = Commit()
        adopted = partial(self._adopted, commit, first, records, channel)
        if log is not None and log.must_commit:
            log.commit(adopted)
        else:
            adopted(None)
        return commit

    def _adopted(
        self,
        commit: Commit,
        first: int,
        records: list[bytes],
        channel: str,
        error: StorageError | None,
    ) -> None:
        if error is None and not self.exiting:
            if channel:
                self.hand_to(channel, first, records)
            else:
                self._accept(first, records, sum(map(len, records)), 0)
        commit.finish(error)

    def hand_to(self, name: str, first: int, records: list[bytes]) -> None:
        """Give messages that are in the log to one channel, if there is such a one.

        For the others they are a hole. A topic that holds messages does not hold these: they were
        handed on before.
        """
        stop = first + len(records)
        if self.holding:
            self.held.receive(first, stop, [], 0)
        else:
            for channel in self.channels.values():
                channel.backlog.receive(first, stop, [], 0)
            self.held.tail = stop
        self.end = stop
        if name in self.channels:
            self.channels[name].receive_again(records)

    def forget(self, gone: list[tuple[int, int]]) -> None:
        """Hold what is in these ranges, full of records, no more: another topic has it."""
        self.held.forget(gone)
        if not self.held.unread():
            self.held.tail = self.end
        self.changed(self)

    def release(self) -> None:
        """Hand what is held to the channels, if nothing stands in the way any more."""
        if self.holding:
            return
        held = self.held
        channels = list(self.channels.values())
        deferred = self.held_deferred.take_all()
        for channel in channels:
            for due, position, attempts, record in deferred:
                channel.deferred.put(due, position, attempts, record)
            channel.message_count += len(deferred)
            if deferred:
                self.wake(channel)
        if len(held):
            first, stop = held.cursor, self.end
            if not held.ranges:
                size = held.fresh_size
                records = held.take(len(held))
                for channel in channels:
                    channel.receive(first, stop, records, size)
            else:
                unread, count = held.unread(), len(held)
                for channel in channels:
                    channel.message_count += count
                    for start, end in unread:
                        channel.backlog.leave(start, end, 0)
                    channel.backlog.behind += count
                    channel.pump()
        held.clear()
        held.tail = self.end
        self.changed(self)

    # Channels.

    def get_channel(self, name: str) -> Channel:
        """The channel of that name, made if missing. The first one gets all that is held.

        :raises Exiting: the topic is being deleted.
        """
        channel = self.channels.get(name)
        if channel is not None:
            return channel
        if self.exiting:
            raise Exiting
        channel = self.add_channel(name)
        self.channels_made += 1
        self.changed(self)
        self.channel_made(self, channel)
        self.release()
        return channel

    def add_channel(self, name: str) -> Channel:
        """Make a channel and tell nobody."""
        settings = self.settings
        latency = None
        if settings.latency_quantiles:
            latency = LatencyWindow(settings.latency_window)
        channel = Channel(
            self.name,
            name,
            Backlog(self.log, settings.mem_queue_size, drop=is_ephemeral(name)),
            RequeuedMessages(self.log, settings.mem_queue_size),
            self.now,
            partial(self.changed, self),
            self.wake,
            self._channel_emptied,
            self.failed,
            DeadLetters(
                RequeuedMessages(self.log, settings.mem_queue_size),
                dead_letter_name(self.name, name),
                settings.max_attempts,
            ),
            latency,
        )
        channel.backlog.tail = self.held.cursor
        self.channels[name] = channel
        return channel

    def delete_channel(self, name: str) -> None:
        """Delete a channel and its messages; its consumers are disconnected.

        :raises KeyError: there is no such channel.
        """
        channel = self.channels.pop(name)
        channel.close()
        channel.departed.clear()  # those of its consumers that had messages; they refer to it
        self.changed(self)
        self.channel_gone(self, channel)

    def _channel_emptied(self, channel: Channel) -> None:
        """The last consumer of a channel left."""
        if channel.ephemeral and self.channels.get(channel.name) is channel:
            self.delete_channel(channel.name)

    # What an operator does.

    def pause(self) -> None:
        """Hold messages back from here on."""
        self.paused = True
        self.changed(self)

    def unpause(self) -> None:
        """Hand out what was held, and go on."""
        self.paused = False
        self.changed(self)
        self.release()

    def start(self) -> None:
        """Begin to hand messages out; a topic made with ``started`` false waits for this."""
        self.started = True
        self.release()

    def empty(self) -> None:
        """Forget what is held here. Channels keep what they have (engine section 8)."""
        self.held.clear()
        self.held.tail = self.end
        self.held_deferred.clear()
        self.changed(self)

    def close(self) -> None:
        """Take no more messages and let go of all consumers."""
        self.exiting = True
        for channel in self.channels.values():
            channel.close()

    # Checkpoints.

    def state(self, clean: bool = False) -> TopicState:
        """This topic as its checkpoint keeps it."""
        held = ChannelState(
            "", False, len(self.held), self.held.unread(), self.held_deferred.pending()
        )
        channels = [c.state() for c in self.channels.values() if not c.ephemeral]
        return TopicState(self.end, self.paused, held, channels, clean)

    def checkpoint(self, clean: bool = False) -> None:
        """Save `state`, and let the log delete what nobody needs.

        :raises StorageError: the disk refused; the last checkpoint is as it was.
        """
        if self.log is None:
            return
        state = self.state(clean)
        # First what frees space, for a full disk. Everybody is finished with what is deleted.
        self.log.release(self._floor(state))
        self.log.save(state)
        self.channels_unsaved = False

    def _floor(self, state: TopicState) -> int:
        """Before this position everything is finished."""
        floor = min(state.end, self.end)
        ephemeral = [c.state() for c in self.channels.values() if c.ephemeral]
        for part in (state.held, *state.channels, *ephemeral):
            if part.ranges:
                floor = min(floor, part.ranges[0][0])
            if part.pending:
                floor = min(floor, min(part.pending.positions))
        return floor
