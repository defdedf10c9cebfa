"""Looking at messages without touching them: no attempt, no order, no cursor is changed.

What waits in memory is shown from there; what is only in the log is read from it, up to a bound,
so that a look costs the same whatever the size of a backlog.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from nsqtx.broker.backlog import Backlog
from nsqtx.broker.channel import Channel
from nsqtx.broker.returned import DeferredMessages, Delayed
from nsqtx.broker.subscription import Subscription
from nsqtx.interfaces import ITopicLog
from nsqtx.wire.frames import attempts_of

__all__ = ["Peeked", "peek_deferred", "peek_held", "peek_in_flight", "peek_ready"]


class Peeked(NamedTuple):
    """A message as it is now. Times are in ns since the epoch."""

    record: bytes
    #: How often it was delivered so far.
    attempts: int
    #: When a deferred message may be delivered, else 0.
    due: int = 0
    #: When a message in flight times out, else 0.
    deadline: int = 0
    #: Who has a message in flight.
    owner: Subscription | None = None


def peek_ready(channel: Channel, limit: int) -> list[Peeked]:
    """Up to ``limit`` of those that a channel would send next: first those that come again.

    :raises StorageError: the log cannot be read.
    """
    again = channel.requeued.first(limit)
    found = _read(again, channel.backlog.log)
    return found + peek_held(channel.backlog, limit - len(again))


def peek_held(backlog: Backlog, limit: int) -> list[Peeked]:
    """Up to ``limit`` of those at the front of a backlog, fewer when they are large.

    :raises StorageError: the log cannot be read.
    """
    # Attempts in a record are those of its next delivery: an imported one may have had some.
    return [Peeked(each, (attempts_of(each) - 1) & 0xFFFF) for each in backlog.first(limit)]


def peek_deferred(deferred: DeferredMessages, log: ITopicLog | None, limit: int) -> list[Peeked]:
    """Up to ``limit`` of those that are deferred, in the order in which they are due.

    :raises StorageError: the log cannot be read.
    """
    return _read(deferred.first(limit), log)


def peek_in_flight(channel: Channel, limit: int) -> list[Peeked]:
    """Up to ``limit`` of those in flight, by consumer, each one's in the order of sending."""
    found = (
        Peeked(record, attempts_of(record), 0, deadline, owner)
        for owner in channel.owners()
        for record, deadline in owner.first(limit)
    )
    return list(islice(found, limit))


def _read(entries: Sequence[Delayed], log: ITopicLog | None) -> list[Peeked]:
    """With the records that are only in the log; without those that are gone from it."""
    wanted = sorted(position for _, position, _, record in entries if record is None)
    stored = dict(zip(wanted, log.fetch(wanted), strict=True)) if wanted and log else {}
    found = []
    for due, position, attempts, record in entries:
        record = record or stored.get(position)
        if record is not None:
            found.append(Peeked(record, attempts, due))
    return found
