"""One nsqd that messages are published to."""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from nsqtx.client.config import WriterConfig
from nsqtx.client.errors import NsqError
from nsqtx.client.events import Connected, ConnectFailed, Disconnected, Event
from nsqtx.client.writer import Writer

__all__ = ["Destination", "Unreachable"]


class Unreachable(NsqError):
    """There is no connection, and the last attempt to make one failed."""


class Destination(Service):
    """A Writer for one nsqd, which says at once when that is not there.

    A Writer would wait for it to come back, and hold the messages meanwhile.
    """

    def __init__(self, address: str, reactor: Any, config: WriterConfig) -> None:
        self.address = address
        self._down = ""
        self._writer = Writer([address], reactor=reactor, config=config, on_event=self._told)

    def startService(self) -> None:
        super().startService()
        self._writer.startService()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return self._writer.stopService()

    async def publish(self, topic: str, body: bytes) -> None:
        """Publish a message.

        :raises NsqError: it was not, as far as we know.
        """
        if self._down:
            raise Unreachable(self._down)
        await self._writer.publish(topic, body)

    def _told(self, event: Event) -> None:
        if isinstance(event, Connected):
            self._down = ""
        elif isinstance(event, ConnectFailed | Disconnected):
            self._down = event.reason
