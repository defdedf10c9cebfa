"""A topic: takes messages in, writes them to its log, and hands them to its channels.

``released`` (the front of `held`) is up to where the messages were handed out. It stands still
while the topic is paused, has no channel, has not been started, or waits for a commit; a new
channel starts there. That one idea gives NSQ's rules for all of those cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

import attrs

from nsqtx.broker.backlog import Backlog
from nsqtx.broker.channel import Channel
from nsqtx.broker.commit import Commit
from nsqtx.broker.errors import Exiting
from nsqtx.broker.quantile import LatencyWindow
from nsqtx.broker.returned import DeferredMessages, RequeuedMessages
from nsqtx.interfaces import Batch, ChannelState, ITopicLog, StorageError, TopicState
from nsqtx.wire.frames import HEADER_SIZE, pack_records, restored_record
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
    #: A channel was made that no checkpoint knows yet, because the disk refused it.
    channels_unsaved: bool = False
    message_count: int = 0
    message_bytes: int = 0
    #: The position after the last message that was handed on, or is held. At durability ``fsync``
    #: the log may be ahead, by what waits for its commit.
    end: int = 0
    #: What no channel has been given yet.
    held: Backlog = attrs.field(init=False)
    held_deferred: DeferredMessages = attrs.Factory(DeferredMessages)

    def __attrs_post_init__(self) -> None:
        self.held = Backlog(self.log, self.settings.mem_queue_size)
        # Positions count from the time in microseconds, as those in a log do (see storage.log):
        # never used twice, over restarts and re-creation too.
        self.end = self.now() // 1000 if self.log is None else self.log.end
        self.held.tail = self.end

    @property
    def ephemeral(self) -> bool:
        """Whether the topic goes with its last channel and never touches the disk."""
        return is_ephemeral(self.name)

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
            commit = Commit()
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
        commit.finish(error)

    def _accept(self, first: int, records: list[bytes], size: int, due: int) -> None:
        """Count messages that are in the log, and hand them on."""
        self.message_count += len(records)
        self.message_bytes += size - HEADER_SIZE * len(records)
        self._hand_on(first, records, size, due)

    def _hand_on(self, first: int, records: list[bytes], size: int, due: int) -> None:
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

    def take_over(self, stored: list[bytes], channel: str | None) -> None:
        """Append messages from a disk queue of the original: for that channel alone, or held.

        Nothing is handed on, and only a checkpoint makes them more than bytes in the log: the
        caller sees to that, and to `release`. All is to be called before the topic is used.

        :raises StorageError: the log refused.
        """
        assert self.log is not None
        first, count = self.log.end, len(stored)
        ids = make_ids(first, count, self.settings.node_id)
        self.log.append(count, b"".join(map(restored_record, stored, ids)))
        backlog = self.held if channel is None else self.channels[channel].backlog
        backlog.leave(first, first + count, count)
        self.end = first + count

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
        channel = self._add_channel(name)
        self.changed(self)
        self.channel_made(self, channel)
        self.release()
        return channel

    def _add_channel(self, name: str) -> Channel:
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
            "", False, len(self.held), self.held.unread(), list(self.held_deferred.pending())
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
        # First what frees space, so that a full disk can take the checkpoint. That is safe: what
        # is deleted was finished by everybody, whatever an older checkpoint says.
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
                floor = min(floor, min(part.pending)[0])
        return floor

    def recover(self, known_channels: Iterable[str] = ()) -> None:
        """Become what the log says: the newest checkpoint, and what was appended after it.

        ``known_channels`` are used only if there is no checkpoint: they get all of the log.

        :raises StorageError: the log cannot be read.
        """
        assert self.log is not None
        state = self.log.load()
        start = 0
        if state is None:
            for name in known_channels:
                self._add_channel(name)
            self.held.tail = 0
        else:
            start = self.end = state.end
            self.paused = state.paused
            self._restore_held(state.held, state.end)
            for part in state.channels:
                self._add_channel(part.name).restore(part, state.end)
            # Before what comes later: the checkpoint may have been taken between the making of
            # the first channel and handing it what was held.
            self.release()
        for batch in self.log.replay(start):
            self._replay(batch)
        end, self.end = self.end, self.log.end
        self.held.skip(end, self.end)
        for channel in self.channels.values():
            channel.backlog.skip(end, self.end)
            channel.message_count = 0
        self.release()

    def _restore_held(self, held: ChannelState, end: int) -> None:
        self.held.tail = end
        for start, stop in held.ranges:
            self.held.leave(start, stop, 0)
        self.held.behind = held.ready
        for position, attempts, due in held.pending:
            self.held_deferred.put(due, position, attempts, None)

    def _replay(self, batch: Batch) -> None:
        """A batch that no checkpoint knows: as if it were published just now, but for the log."""
        size = sum(map(len, batch.records))
        self._hand_on(batch.first, batch.records, size, batch.due)
