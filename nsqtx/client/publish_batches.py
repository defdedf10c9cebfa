"""Micro-batching: publishes that come close together become one MPUB (client section 9.7).

For programs that publish single messages, many of them: an MPUB costs nsqd and the network a
fraction per message. A batch is sent when it has so many messages or bytes, and at the latest after
``batch_linger``. Its one answer is that of each message in it.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from nsqtx.client.config import WriterConfig
from nsqtx.connections import cancel

__all__ = ["PublishBatches"]

#: What an MPUB has beside its messages, and with each of them, in bytes.
_HEAD = 8
_EACH = 4

#: Sends the messages of a batch: topic, messages, key.
Send = Callable[[str, list[bytes], str], Deferred[bytes]]


class _Batch:
    """The messages of one topic and key that wait to be sent together."""

    def __init__(self, key: tuple[str, str], timer: IDelayedCall) -> None:
        self.key = key
        self.timer = timer
        self.bodies: dict[Deferred[bytes], bytes] = {}
        self.size = _HEAD


class PublishBatches:
    """Collects messages and gives them to ``send``."""

    def __init__(self, config: WriterConfig, clock: IReactorTime, send: Send) -> None:
        self._clock = clock
        self._send = send
        self._linger = config.batch_linger
        self._count = config.batch_count
        self._size = min(config.batch_bytes, config.max_body_size)
        self._batches: dict[tuple[str, str], _Batch] = {}

    @property
    def waiting(self) -> int:
        """How many messages wait in batches."""
        return sum(len(batch.bodies) for batch in self._batches.values())

    def add(self, topic: str, body: bytes, key: str) -> Deferred[bytes]:
        """Send this message with others; nsqd's answer to all of them.

        Cancelled before the batch is sent, it is left out.
        """
        place = topic, key
        batch = self._batches.get(place)
        size = len(body) + _EACH
        if batch is not None and batch.size + size > self._size:
            self._flush(batch)
            batch = None
        if batch is None:
            timer = self._clock.callLater(self._linger, self._late, place)
            batch = self._batches[place] = _Batch(place, timer)
        owner = batch

        def leave_out(result: Deferred[bytes]) -> None:
            if owner.bodies.pop(result, None) is not None:
                owner.size -= size

        result: Deferred[bytes] = Deferred(leave_out)
        batch.bodies[result] = body
        batch.size += size
        if len(batch.bodies) >= self._count or batch.size >= self._size:
            self._flush(batch)
        return result

    def flush(self) -> None:
        """Send what there is, now."""
        for batch in list(self._batches.values()):
            self._flush(batch)

    def _late(self, place: tuple[str, str]) -> None:
        self._flush(self._batches[place])

    def _flush(self, batch: _Batch) -> None:
        del self._batches[batch.key]
        cancel(batch.timer)
        # From here a message that is cancelled is sent all the same.
        bodies, batch.bodies = batch.bodies, {}
        if not bodies:
            return
        topic, key = batch.key

        def answered(answer: bytes) -> None:
            for result in bodies:
                if not result.called:
                    result.callback(answer)

        def failed(failure: Failure) -> None:
            for result in bodies:
                if not result.called:
                    result.errback(failure.value)

        self._send(topic, list(bodies.values()), key).addCallbacks(answered, failed)
