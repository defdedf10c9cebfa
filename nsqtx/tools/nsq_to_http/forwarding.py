"""What becomes of a message: where it is sent, and when it is finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nsqtx.client.message import Message, Requeue
from nsqtx.cluster.http import reason_of
from nsqtx.tools.hostpool import Picks
from nsqtx.tools.status import Statuses

__all__ = ["Forwarding"]

log = Logger(namespace="nsqtx.tools.nsq_to_http")


class Publishes(Protocol):
    """What is needed of a publisher."""

    def publish(self, address: str, body: bytes) -> Deferred[None]:
        """Send a message there."""


class Forwarding:
    """The handler. ``pool`` None: each message goes to all addresses, one after the other.

    A message whose request fails is requeued, and the Reader backs off. ``sample`` is the part of
    the messages that are sent; the others are finished as they are.
    """

    def __init__(
        self,
        publisher: Publishes,
        addresses: Sequence[str],
        pool: Picks | None,
        sample: float,
        statuses: Statuses,
        clock: Callable[[], float],
        random: Random,
    ) -> None:
        self._publisher = publisher
        self._addresses = addresses
        self._pool = pool
        self._sample = sample
        self._statuses = statuses
        self._clock = clock
        self._random = random

    async def __call__(self, message: Message) -> None:
        """Send it.

        :raises Requeue: it is to come again.
        """
        if self._sample < 1.0 and self._random.random() > self._sample:
            return
        if self._pool is None:
            for address in self._addresses:
                await self._send(address, message.body)
            return
        address = self._pool.pick()
        try:
            seconds = await self._send(address, message.body)
        except Requeue:
            self._pool.failed(address)
            raise
        self._pool.succeeded(address, seconds)

    async def _send(self, address: str, body: bytes) -> float:
        """Send it there; the seconds that took."""
        started = self._clock()
        try:
            await self._publisher.publish(address, body)
        except Exception as error:  # of the network, of any kind
            # Without its query, in which there may be secrets, or with GET the message.
            where = address.partition("?")[0]
            log.error("ERROR: {where}: {why}", where=where, why=reason_of(error))
            raise Requeue(backoff=True) from error
        seconds = self._clock() - started
        self._statuses.add(address, seconds)
        return seconds
