"""What becomes of a message of a topic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from twisted.logger import Logger

from nsqtx.client.errors import NsqError
from nsqtx.client.message import Message, Requeue
from nsqtx.tools.hostpool import Picks
from nsqtx.tools.nsq_to_nsq.selection import NotJson, Selection
from nsqtx.tools.status import Statuses

__all__ = ["Forwarding"]

log = Logger(namespace="nsqtx.tools.nsq_to_nsq")


class Publishes(Protocol):
    """What is needed of a destination."""

    async def publish(self, topic: str, body: bytes) -> None:
        """Publish a message."""


class Forwarding:
    """The handler of one topic; ``topic`` is where its messages go.

    A message is finished when an nsqd has said OK; when none has it is requeued, and the Reader
    backs off.
    """

    def __init__(
        self,
        topic: str,
        destinations: Mapping[str, Publishes],
        pool: Picks,
        selection: Selection,
        statuses: Statuses,
        clock: Callable[[], float],
    ) -> None:
        self._topic = topic
        self._destinations = destinations
        self._pool = pool
        self._selection = selection
        self._statuses = statuses
        self._clock = clock

    async def __call__(self, message: Message) -> None:
        """Publish it, unless it is not selected.

        :raises Requeue: it is to come again.
        """
        try:
            body = self._selection.apply(message.body)
        except NotJson:
            shown = message.body[:200].decode("utf-8", "replace")
            log.error("ERROR: Unable to decode json: {body}", body=shown)
            return
        if body is None:
            return
        address = self._pool.pick()
        started = self._clock()
        try:
            await self._destinations[address].publish(self._topic, body)
        except NsqError as error:
            self._pool.failed(address)
            log.error("ERROR: {address}: {error}", address=address, error=error)
            raise Requeue(backoff=True) from error
        else:
            self._pool.succeeded(address, self._clock() - started)
        finally:
            # Of failures, too.
            self._statuses.add(address, self._clock() - started)
