"""What a topic begins with: its newest checkpoint and the log after it, or an import."""

from __future__ import annotations

from collections.abc import Iterable

from nsqtx.broker.channel import Channel
from nsqtx.broker.topic import Topic
from nsqtx.interfaces import Batch, ChannelState
from nsqtx.wire.frames import restored_record
from nsqtx.wire.guid import make_ids

__all__ = ["recover", "take_over"]


def recover(topic: Topic, known_channels: Iterable[str] = ()) -> None:
    """Make a topic what its log says: the newest checkpoint, and what was appended after it.

    ``known_channels`` are used only if there is no checkpoint: they get all of the log.

    :raises StorageError: the log cannot be read.
    """
    log, held = topic.log, topic.held
    assert log is not None
    state = log.load()
    start = 0
    if state is None:
        for name in known_channels:
            topic.add_channel(name)
        # Else they are only in nsqd.dat, which is written without a sync.
        topic.channels_unsaved = bool(topic.channels)
        held.tail = 0
    else:
        start = topic.end = state.end
        topic.paused = state.paused
        _restore_held(topic, state.held, state.end)
        for part in state.channels:
            _restore_channel(topic.add_channel(part.name), part, state.end)
        # Before what comes later: the checkpoint may have been taken between the making of
        # the first channel and handing it what was held.
        topic.release()
    for batch in log.replay(start):
        _replay(topic, batch)
    end, topic.end = topic.end, log.end
    held.skip(end, topic.end)
    for channel in topic.channels.values():
        channel.backlog.skip(end, topic.end)
        channel.message_count = 0
    topic.release()


def _restore_held(topic: Topic, held: ChannelState, end: int) -> None:
    topic.held.tail = end
    for start, stop in held.ranges:
        topic.held.leave(start, stop, 0)
    topic.held.behind = held.ready
    for position, attempts, due in held.pending:
        topic.held_deferred.put(due, position, attempts, None)


def _restore_channel(channel: Channel, state: ChannelState, end: int) -> None:
    """``end`` is where the log ended when the checkpoint was taken."""
    channel.paused = state.paused
    channel.limit_attempts(state.max_attempts, state.dead_letter_topic)
    channel.backlog.tail = end
    for start, stop in state.ranges:
        channel.backlog.leave(start, stop, 0)
    channel.backlog.behind = state.ready
    for position, attempts, due in state.pending:
        if due:
            channel.deferred.put(due, position, attempts, None)
        else:
            channel.put_again(position, attempts, None)
    if channel.deferred or channel.dead_letters:
        channel.wake(channel)


def _replay(topic: Topic, batch: Batch) -> None:
    """A batch that no checkpoint knows: as if it were published just now, but for the log."""
    if batch.channel:
        topic.hand_to(batch.channel, batch.first, batch.records)
    else:
        topic.hand_on(batch.first, batch.records, sum(map(len, batch.records)), batch.due)


def take_over(topic: Topic, stored: list[bytes], channel: str | None) -> None:
    """Append messages from a disk queue of the original: for that channel alone, or held.

    Nothing is handed on, and only a checkpoint makes them more than bytes in the log: the
    caller sees to that, and to `Topic.release`. All is to be called before the topic is used.

    :raises StorageError: the log refused.
    """
    assert topic.log is not None
    first, count = topic.log.end, len(stored)
    ids = make_ids(first, count, topic.settings.node_id)
    topic.log.append(count, b"".join(map(restored_record, stored, ids)))
    backlog = topic.held if channel is None else topic.channels[channel].backlog
    backlog.leave(first, first + count, count)
    topic.end = first + count
