"""One consumer on one channel, and what it has in flight.

`Channel.subscribe` hands a `Subscription` out; it is the only object that can FIN, REQ or TOUCH, so
who owns a message is the shape of the program.

A client has one ``msg_timeout``, so the order in which messages went out is the order of their
deadlines, and a dict keeps the first: `expire` walks from the front and stops at the first message
that is not due. TOUCH deletes and inserts again. The few whose deadline is out of that order (what
``--max-msg-timeout`` cut short) have it on a small heap beside the dict.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import islice, repeat
from random import randrange
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from nsqtx.broker.errors import BrokerError, NotInFlight, NotOwner
from nsqtx.broker.locality import FAR, Locality
from nsqtx.broker.returned import next_frame
from nsqtx.interfaces import ISubscriber
from nsqtx.wire.frames import timestamp_of

if TYPE_CHECKING:
    from nsqtx.broker.channel import Channel

__all__ = ["Delivery", "Subscription"]

#: No client is handed more than about this many bytes in one write.
DELIVER_BYTES = 1024 * 1024
#: Records that are longer are written one by one: to join them costs more than a write.
JOINED = 16 * 1024


class Delivery(NamedTuple):
    """When messages were sent, and when they time out (ns). Shared by all of one write."""

    #: 0 when the deadline is on the heap instead.
    deadline: int
    delivered: int


@attrs.define(eq=False)
class Subscription:
    """A consumer of a channel. Times and durations are in nanoseconds."""

    channel: Channel
    subscriber: ISubscriber
    msg_timeout: int
    max_msg_timeout: int
    #: 1..99: of a hundred messages about ``sample_rate + 1`` are delivered, the rest is dropped.
    sample_rate: int = 0
    locality: Locality = FAR
    _ready: int = 0
    _blocked: bool = False
    #: Records by id, in the order of their deadlines.
    in_flight: dict[bytes, tuple[bytes, Delivery]] = attrs.Factory(dict)
    message_count: int = 0
    finish_count: int = 0
    requeue_count: int = 0
    _clamped: list[tuple[int, bytes]] = attrs.Factory(list)

    @property
    def ready(self) -> int:
        """RDY: how many messages may be in flight."""
        return self._ready

    @ready.setter
    def ready(self, count: int) -> None:
        self._ready = count
        if count:
            self.channel.takers.add(self)

    @property
    def blocked(self) -> bool:
        """The client does not read as fast as we write; nothing is sent until it does."""
        return self._blocked

    @blocked.setter
    def blocked(self, blocked: bool) -> None:
        self._blocked = blocked
        if not blocked:
            self.channel.takers.add(self)

    def room(self) -> int:
        """How many messages may be sent now; zero or less: none."""
        return 0 if self._blocked else self._ready - len(self.in_flight)

    def deliver(self, records: list[bytes], now: int) -> None:
        """Send these records: in flight from here on."""
        if self.sample_rate:
            rate = self.sample_rate
            records = [record for record in records if randrange(100) <= rate]  # noqa: S311
            if not records:
                return
        stamp = Delivery(now + self.msg_timeout, now)
        count = len(records)
        self.message_count += count
        if count == 1:
            record = records[0]
            self.in_flight[record[18:34]] = (record, stamp)
            self.subscriber.deliver(record, 1)
            return
        ids = [record[18:34] for record in records]
        self.in_flight.update(zip(ids, zip(records, repeat(stamp), strict=False), strict=False))
        if len(records[0]) > JOINED:
            for record in records:
                self.subscriber.deliver(record, 1)
        else:
            self.subscriber.deliver(b"".join(records), count)

    def set_ready(self, count: int) -> None:
        """RDY."""
        self.ready = count
        self.channel.pump()

    def finish_one(self, id: bytes) -> bool:
        """FIN of one message. False: it is not in flight here, and nothing was done."""
        entry = self.in_flight.pop(id, None)
        if entry is None:
            return False
        channel = self.channel
        if channel.latency is not None:
            now = channel.now()
            channel.latency.add([now - timestamp_of(entry[0])], now)
        channel.takers.add(self)
        self.finish_count += 1
        channel.unsampled += 1
        if channel.unsampled >= channel.sample_at:
            channel.note_latency(entry[0], entry[1].delivered)
        channel.changed()
        return True

    def finish(self, ids: Sequence[bytes]) -> list[bytes]:
        """FIN of one message or more. Returns the ids that were not in flight here; `why_not` says
        why."""
        failed: list[bytes] = []
        in_flight = self.in_flight
        channel = self.channel
        sample = None
        if channel.unsampled + len(ids) >= channel.sample_at:
            sample = in_flight.get(ids[0])
        left = iter(ids)
        if channel.latency is not None:
            stamps = []
            for id in left:
                entry = in_flight.pop(id, None)
                if entry is None:
                    failed.append(id)
                else:
                    stamps.append(timestamp_of(entry[0]))
            now = channel.now()
            channel.latency.add([now - stamp for stamp in stamps], now)
        else:
            while True:
                try:
                    for id in left:
                        del in_flight[id]
                    break
                except KeyError:
                    failed.append(id)
        channel.takers.add(self)
        finished = len(ids) - len(failed)
        self.finish_count += finished
        channel.unsampled += finished
        if sample is not None:
            channel.note_latency(sample[0], sample[1].delivered)
        channel.changed()
        return failed

    def why_not(self, id: bytes) -> BrokerError:
        """Why this message cannot be finished, requeued or touched here."""
        for other in self.channel.owners():
            if id in other.in_flight:
                return NotOwner()
        return NotInFlight()

    def requeue(self, id: bytes, delay: int) -> None:
        """REQ, with a delay in ns.

        :raises NotInFlight, NotOwner: and nothing changed.
        """
        entry = self.in_flight.pop(id, None)
        if entry is None:
            raise self.why_not(id)
        self.requeue_count += 1
        self.channel.takers.add(self)
        self.channel.requeue(entry[0], delay)

    def touch(self, id: bytes, timeout: int) -> None:
        """TOUCH: the message times out ``timeout`` ns from now, or ``max_msg_timeout`` after its
        delivery, whichever is earlier.

        :raises NotInFlight, NotOwner: and nothing changed.
        """
        in_flight = self.in_flight
        entry = in_flight.pop(id, None)
        if entry is None:
            raise self.why_not(id)
        record, stamp = entry
        now = self.channel.now()
        deadline = min(now + timeout, stamp.delivered + self.max_msg_timeout)
        if deadline == now + self.msg_timeout:
            in_flight[id] = (record, Delivery(deadline, stamp.delivered))
        else:
            in_flight[id] = (record, Delivery(0, stamp.delivered))
            heapq.heappush(self._clamped, (deadline, id))
            if len(self._clamped) > 2 * len(in_flight) + 16:
                self._drop_stale()

    def _drop_stale(self) -> None:
        """Keep the heap small: drop what is finished, and all but the last deadline of an id."""
        latest: dict[bytes, int] = {}
        for deadline, id in self._clamped:
            entry = self.in_flight.get(id)
            if entry is not None and entry[1].deadline == 0:
                latest[id] = max(deadline, latest.get(id, 0))
        self._clamped = [(deadline, id) for id, deadline in latest.items()]
        heapq.heapify(self._clamped)

    def first(self, count: int) -> list[tuple[bytes, int]]:
        """The records of the first ``count`` in flight, with their deadlines."""
        found = list(islice(self.in_flight.items(), count))
        clamped: dict[bytes, int] = {}
        if any(not stamp.deadline for _, (_, stamp) in found):
            for deadline, id in self._clamped:
                clamped[id] = max(deadline, clamped.get(id, 0))
        return [(record, stamp.deadline or clamped[id]) for id, (record, stamp) in found]

    def expire(self, now: int, limit: int) -> list[bytes]:
        """Take what has timed out; the frames for the next delivery, oldest first."""
        in_flight = self.in_flight
        due: list[bytes] = []
        for id, (_, stamp) in in_flight.items():
            if stamp.deadline > now or len(due) >= limit:
                break
            if stamp.deadline:
                due.append(id)
        if self._clamped and self._clamped[0][0] <= now:
            due += self._take_clamped(now, limit - len(due))
        if due:
            self.channel.takers.add(self)
        return [next_frame(in_flight.pop(id)[0]) for id in due]

    def _take_clamped(self, now: int, limit: int) -> list[bytes]:
        """Ids on the heap that are due. An id touched twice is due at its later deadline."""
        self._drop_stale()
        due: list[bytes] = []
        while self._clamped and self._clamped[0][0] <= now and len(due) < limit:
            due.append(heapq.heappop(self._clamped)[1])
        return due

    def leave(self) -> None:
        """The consumer is gone. What it has in flight waits for its deadline (engine 5.1)."""
        self.ready = 0
        self.channel.unsubscribe(self)

    def stats(self) -> dict[str, Any]:
        """The counters of this client in ``/stats`` (nsqd-http section 8.1)."""
        return {
            "ready_count": self.ready,
            "in_flight_count": len(self.in_flight),
            "message_count": self.message_count,
            "finish_count": self.finish_count,
            "requeue_count": self.requeue_count,
        }
