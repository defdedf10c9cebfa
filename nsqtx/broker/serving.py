"""How a channel shares out what is ready among the consumers that have room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nsqtx.broker.locality import LocalCounts, nearest
from nsqtx.broker.subscription import DELIVER_BYTES, Subscription
from nsqtx.interfaces import StorageError

if TYPE_CHECKING:
    from nsqtx.broker.channel import Channel

__all__ = ["serve"]


def serve(channel: Channel) -> bool:
    """Offer every consumer with room its share, once. True: there may be more to do."""
    available = len(channel.backlog) + len(channel.requeued)
    if not available:
        return False
    local, takers = channel.local, channel.takers
    # More of them than there are messages are only asked where it matters how near they are.
    open_ = takers.first(available if local is None else len(channel.subscriptions))
    if not open_:
        return False
    if local is None:
        sent = _serve_all(channel, open_, -(-available // len(open_)))
    else:
        near = nearest(open_)  # the others are offered what is left in the next round
        sent = _serve_each(channel, near, -(-available // len(near)), local)
    if not sent:
        # Nothing came although there should be: what was counted is gone from the log.
        return False
    channel.sent_count += sent
    channel.wake(channel)
    channel.changed()
    return True


def _serve_all(channel: Channel, open_: list[Subscription], share: int) -> int:
    """Take what all of these may have at once, and hand it out; how many messages that was."""
    wants = [min(subscription.room(), share) for subscription in open_]
    records = _take(channel, sum(wants))
    now = channel.now()
    served = channel.takers.served
    at = 0
    try:
        for subscription, want in zip(open_, wants, strict=True):
            part = records[at : at + want]
            if not part:
                break
            at += want
            subscription.deliver(part, now)
            served(subscription)
    finally:
        # After a bug in one of them; else nothing is left.
        for record in records[at:]:
            channel.requeued.put(record)
    return len(records)


def _serve_each(channel: Channel, open_: list[Subscription], share: int, local: LocalCounts) -> int:
    """The same where it is counted who got what, and from where."""
    now = channel.now()
    sent = 0
    for subscription in open_:
        records = _take(channel, min(subscription.room(), share))
        if records:
            sent += len(records)
            subscription.deliver(records, now)
            channel.takers.served(subscription)
            local.add(subscription.locality, len(records), channel.backlog.read_count)
    return sent


def _take(channel: Channel, count: int) -> list[bytes]:
    """Take up to ``count`` messages. Fresh and requeued ones take turns, so neither starves."""
    backlog, requeued = channel.backlog, channel.requeued
    size = backlog.fresh_size
    if size > DELIVER_BYTES:
        # No huge writes: as many as make about `DELIVER_BYTES`, at least one.
        count = min(count, max(1, DELIVER_BYTES * len(backlog.fresh) // size))
    records: list[bytes] = []
    try:
        if requeued:
            records = requeued.take(-(-count // 2) if len(backlog) else count, DELIVER_BYTES)
            count -= len(records)
        if count:
            records += backlog.take(count)
        channel.read_failure = None
    except StorageError as error:
        # What is in the log stays there; the next scan tries again.
        if str(error) != channel.read_failure:
            channel.read_failure = str(error)
            channel.failed(channel.read_failure)
        channel.wake(channel)
    return records
