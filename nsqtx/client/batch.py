"""Batches: a handler that gets many messages at once (client section 11).

::

    async def store(messages):
        await insert([message.body for message in messages])

    reader = Reader("events", "warehouse", Batches(store, size=500, linger=1.0), ...)

A batch is handed over when it is full, when its oldest message has waited for ``linger`` seconds,
or when nsqd will send no more before it gets answers. If the function raises, all of the batch
that it has not answered itself are requeued; else they are finished, but for those whose answers it
has deferred.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from nsqtx.client.errors import ConfigError
from nsqtx.client.message import Message, Requeue
from nsqtx.client.results import to_wait_for
from nsqtx.client.stream import lost
from nsqtx.connections import cancel

__all__ = ["Batches"]

log = Logger(namespace="nsqtx.client")


class BatchReader(Protocol):
    """What a batch needs of its Reader."""

    @property
    def starved(self) -> bool:
        """Whether nsqd sends no more before it gets answers."""


class Batches:
    """A handler for a Reader that calls ``handle`` with lists of messages.

    ``size`` is the most messages of a batch, ``linger`` the longest time in seconds that one waits
    for others. ``max_in_flight`` of the Reader should be at least ``size``.

    :raises ConfigError: a size below 1, or a negative time.
    """

    def __init__(
        self, handle: Callable[[list[Message]], Any], size: int = 100, linger: float = 1.0
    ) -> None:
        if size < 1 or linger < 0:
            raise ConfigError(f"batches of {size} messages, lingering {linger:g} s, cannot be")
        self.size = size
        self.linger = linger
        self._handle = handle
        self._batch: list[Message] = []
        self._lingering: IDelayedCall | None = None
        self._reader: BatchReader | None = None
        self._clock: IReactorTime
        self._stopped = False
        self._flushing: set[Deferred[Any]] = set()

    def attach(self, reader: BatchReader, clock: IReactorTime) -> None:
        """The Reader that this is the handler of.

        :raises ConfigError: there is one already.
        """
        if self._reader is not None:
            raise ConfigError("Batches are for one Reader each")
        self._reader = reader
        self._clock = clock

    def __call__(self, message: Message) -> None:
        """Take one more message."""
        self._batch.append(message)
        if len(self._batch) >= self.size:
            self.flush()
        elif self._lingering is None:
            self._lingering = self._clock.callLater(self.linger, self._lingered)

    def read_done(self) -> None:
        """All messages of a read are here."""
        if self._batch and self._reader is not None and self._reader.starved:
            self.flush()

    def _lingered(self) -> None:
        self._lingering = None
        self.flush()

    def flush(self) -> None:
        """Hand over what there is."""
        batch = self._take()
        if not batch:
            return
        try:
            result = to_wait_for(self._handle(batch))
        except Exception as error:  # noqa: BLE001
            self._failed(batch, error)
            return
        if result is not None:
            self._flushing.add(result)
            result.addCallbacks(
                self._done, self._failed_later, (batch, result), {}, (batch, result)
            )
            result.addErrback(lambda failure: log.failure("bug in a batch", failure))
        else:
            self._finish(batch)

    def _take(self) -> list[Message]:
        cancel(self._lingering)
        self._lingering = None
        batch, self._batch = self._batch, []
        # Whose connection is gone will come again.
        return [each for each in batch if not each.answered and not lost(each)]

    def _done(self, _: Any, batch: list[Message], flushing: Deferred[Any]) -> None:
        self._flushing.discard(flushing)
        self._finish(batch)

    def _failed_later(
        self, failure: Failure, batch: list[Message], flushing: Deferred[Any]
    ) -> None:
        self._flushing.discard(flushing)
        error = failure.value
        self._failed(batch, error if isinstance(error, Exception) else RuntimeError(repr(error)))

    def _finish(self, batch: list[Message]) -> None:
        for message in batch:
            if not message.answered and not message.deferred:
                message.finish()

    def _failed(self, batch: list[Message], error: Exception) -> None:
        delay, backoff = None, None
        if isinstance(error, Requeue):
            delay, backoff = error.delay, error.backoff
        elif self._stopped and isinstance(error, CancelledError):
            delay, backoff = 0.0, False
        else:
            backoff = True
            log.failure("the handler of {count} messages failed", Failure(error), count=len(batch))
            for message in batch:
                message.source.failed(message, error)
        for message in batch:
            if not message.answered:
                # The first one counts, if any: the Reader listens to nobody in a block.
                message.requeue(delay, backoff)

    def stop(self) -> None:
        """Give back what nobody has begun with."""
        self._stopped = True
        for message in self._take():
            message.source.return_unhandled(message)

    def abandon(self) -> None:
        """Cancel what was begun."""
        for flushing in list(self._flushing):
            flushing.cancel()
