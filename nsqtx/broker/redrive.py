"""Redrive: dead letters go back to the channel that they come from, and only to that one.

They are appended to the log of the channel's topic as batches for this channel, and forgotten by
the dead-letter topic after that, slice by slice. Attempts begin at 0 again.

What goes back is what the dead-letter topic itself still holds. Once it has a channel, its messages
are handed to that one, and are for its consumers to deal with.
"""

from __future__ import annotations

from functools import partial

import attrs

from nsqtx.broker.broker import Broker
from nsqtx.broker.channel import Channel
from nsqtx.broker.commit import Commit
from nsqtx.broker.errors import Exiting
from nsqtx.broker.topic import Topic
from nsqtx.interfaces import StorageError
from nsqtx.wire.frames import id_of
from nsqtx.wire.guid import position_of

__all__ = ["Redrive"]

#: At most this many messages, and about as many bytes of the log, are one step.
SLICE = 1024
SLICE_BYTES = 1024 * 1024

_Ranges = list[tuple[int, int]]


@attrs.define(eq=False)
class Redrive:
    """Brings up to ``left`` dead letters of a channel back; call `step` until it is `done`.

    Dead letters that come after the beginning are not taken, so that it ends.
    """

    broker: Broker
    topic: Topic
    channel: Channel
    left: int
    #: How many are back for good.
    count: int = 0
    done: bool = False
    _source: Topic | None = attrs.field(init=False)
    _origin: str = attrs.field(init=False)
    #: The part of the dead-letter topic that is still to be looked at.
    _position: int = 0
    _end: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._source = self.broker.topics.get(self.channel.dead_letters.topic)
        self._origin = f"{self.topic.name}/{self.channel.name}"
        source = self._source
        self._end = source.end if source is not None else 0
        self.left = min(self.left, source.depth if source is not None else 0)

    def step(self) -> Commit:
        """Move a slice. The next step may come when the commit is done.

        :raises Exiting: one of the topics, or the channel, is being deleted.
        :raises StorageError: a log cannot be read or written. The slice stays where it is.
        """
        source = self._source
        commit = Commit()
        if source is None:
            self.done = True
        elif source.exiting or self.channel.exiting:
            raise Exiting
        else:
            messages, gone = self._next(source, min(SLICE, self.left, self._room()))
            if messages:
                commit = self.topic.adopt(messages, channel=self.channel.name)
                commit.add(partial(self._moved, source, gone, len(messages)))
                return commit
        commit.finish(None)
        return commit

    def _room(self) -> int:
        """How many messages the channel may get: those without a log must fit into memory."""
        requeued = self.channel.requeued
        return SLICE if self.topic.log is not None else requeued.limit - len(requeued)

    def _next(self, source: Topic, most: int) -> tuple[list[bytes], _Ranges]:
        """The next slice: records, and the ranges of positions that are full of them."""
        messages: list[bytes] = []
        gone: _Ranges = []
        if most <= 0:
            self.done = True
            return messages, gone
        if source.log is None:
            # No log says where these come from: all of them go back.
            messages = source.held.first(most)
            positions = [position_of(id_of(record)) for record in messages]
            self.done = len(messages) < most
            return messages, [(position, position + 1) for position in positions]
        size = 0
        for start, stop in source.held.unread():
            start, stop = max(start, self._position), min(stop, self._end)
            if start >= stop:
                continue
            for batch in source.log.replay(start):
                if batch.first >= stop:
                    break
                records = batch.records[: stop - batch.first]
                if batch.origin == self._origin:
                    records = records[: most - len(messages)]
                    messages += records
                    gone.append((batch.first, batch.first + len(records)))
                self._position = batch.first + len(records)
                size += sum(map(len, records))
                if len(messages) == most or size >= SLICE_BYTES:
                    return messages, gone
        self.done = True
        return messages, gone

    def _moved(self, source: Topic, gone: _Ranges, count: int, error: StorageError | None) -> None:
        if error is not None:
            return
        source.forget(gone)
        self.count += count
        self.left -= count
        if self.left <= 0:
            self.done = True
