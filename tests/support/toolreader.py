"""A Reader and its messages, for tests of tools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed

from nsqtx.client.handling import Collector

__all__ = ["FakeMessage", "FakeReader"]


class FakeMessage:
    """A message that notes how it was answered: ``FIN``, ``REQ``, or not yet."""

    def __init__(self, body: bytes, attempts: int = 1) -> None:
        self.body = body
        self.attempts = attempts
        self.answered = False
        self.answer = ""
        self.time_left = 60.0

    def finish(self) -> None:
        """FIN."""
        self._answer("FIN")

    def requeue(self, delay: float | None = None, backoff: bool | None = None) -> None:
        """REQ."""
        self._answer("REQ")

    def _answer(self, answer: str) -> None:
        assert not self.answered
        self.answered = True
        self.answer = answer


class FakeReader(Service):
    """A Reader that receives what a test gives it."""

    starved = False

    def __init__(self, topic: str, handler: Callable[[Any], Any]) -> None:
        self.topic = topic
        self.handler = handler
        #: What `stopService` answers with.
        self.stopping: Deferred[None] = succeed(None)

    def receive(self, *bodies: bytes) -> list[FakeMessage]:
        """Messages come."""
        messages = [FakeMessage(body) for body in bodies]
        for message in messages:
            self.handler(message)
        if isinstance(self.handler, Collector):
            self.handler.read_done()
        return messages

    def stopService(self) -> Deferred[None]:
        super().stopService()
        if isinstance(self.handler, Collector):
            self.handler.stop()
        return self.stopping
